// kpksim: the command line. Input errors end with one message and exit status 2.

#include <fmt/core.h>

#include <boost/program_options/errors.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "app/options.h"
#include "sim/base/error.h"
#include "sim/kernel/pgtable.h"

namespace {

constexpr const char* kUsage =
    "usage: kpksim COMMAND ...\n"
    "  compare WORKLOAD...   one table: the workload under several policies\n"
    "  run WORKLOAD          the workload under one policy\n"
    "  validate kernel|apps|published\n"
    "                        the model against a real kernel's counts and published overheads\n"
    "  explain RESULT [PHASE]\n"
    "                        where the cycles of the difference between policies went\n"
    "  list policies|cores|kernels|workloads\n"
    "                        what there is to name\n"
    "  conform FILE...       replay vectors of the architecture (JSON lines, plain, .gz, .zst)\n"
    "  translate             one translation, level by level, from registers and descriptors\n"
    "kpksim COMMAND --help shows a command's options.\n";

int dispatch(const std::vector<std::string>& arguments) {
  const std::string command = arguments.empty() ? "" : arguments[0];
  const std::vector<std::string> rest(arguments.begin() + (arguments.empty() ? 0 : 1),
                                      arguments.end());
  if (command == "compare") return kpksim::app::compare(rest);
  if (command == "run") return kpksim::app::run(rest);
  if (command == "explain") return kpksim::app::explain(rest);
  if (command == "validate") return kpksim::app::validate(rest);
  if (command == "list") return kpksim::app::list(rest);
  if (command == "conform") return kpksim::app::conform(rest);
  if (command == "translate") return kpksim::app::translate(rest);
  if (command == "--help" || command == "-h" || command == "help") {
    std::cout << kUsage;
    return 0;
  }
  if (command.empty()) {
    std::cerr << kUsage;
    return 2;
  }
  throw kpksim::InputError(fmt::format(
      "'{}' is not a command{}", command,
      kpksim::suggest(command,
                      {"compare", "run", "explain", "validate", "list", "conform", "translate"})));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return dispatch({argv + 1, argv + argc});
  } catch (const kpksim::InputError& e) {
    std::cerr << "kpksim: " << e.what() << "\n";
  } catch (const boost::program_options::error& e) {
    std::cerr << "kpksim: " << e.what() << "\n";
  } catch (const kpksim::kernel::KernelOops& e) {
    std::cerr << "kpksim: the simulated kernel died: " << e.what() << "\n";
    return 1;
  }
  return 2;
}
