// kpksim: the command line. What goes wrong ends with one message and a status that says of what
// kind it is.

#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/options.h"
#include "app/output.h"
#include "app/version.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/kernel/pgtable.h"

namespace {

namespace app = kpksim::app;
using Arguments = std::vector<std::string>;

constexpr int kBadInput = 2, kFailed = 3;

constexpr const char* kUsage =
    "usage: kpksim COMMAND ...\n"
    "  compare WORKLOAD...   one table: the workload under several policies\n"
    "  run WORKLOAD          the workload under one policy\n"
    "  sweep SPEC            all points of a space of settings, kept in a file\n"
    "  config WORKLOAD       all that a run depends on, as a document that can be run again\n"
    "  diff A B              two results or configurations: what changed\n"
    "  validate kernel|apps|published\n"
    "                        the model against a real kernel's counts and published overheads\n"
    "  keys WORKLOAD         protected classes under budgets of keys\n"
    "  attack [SCENARIO...]  what data-only attacks reach under policies\n"
    "  explain RESULT [PHASE]\n"
    "                        where the cycles of the differences between policies went\n"
    "  report RESULT... -o report.html\n"
    "                        results as one HTML file: findings, charts, tables\n"
    "  plot RESULT... --x NAME --y NAME -o figure.pdf\n"
    "                        a figure for a paper: bars, lines, points, fronts, heat maps\n"
    "  list policies|cores|kernels|workloads|attacks\n"
    "                        what there is to name\n"
    "  conform FILE...       replay vectors of the architecture (JSON lines, plain, .gz, .zst)\n"
    "  translate             one translation, level by level, from registers and descriptors\n"
    "  help [COMMAND]        this text, or the options of a command (also: COMMAND --help)\n"
    "  --version             version, compiler, build type and folder of data\n"
    "\n"
    "Exit status:\n"
    "  0  done\n"
    "  1  the check failed: counts or vectors disagree (validate, conform), a stale translation\n"
    "     was found or the simulated kernel died of an injected fault (run, compare)\n"
    "  2  bad input or usage\n"
    "  3  output that cannot be written, no memory, or a defect of kpksim\n"
    "A reader of the output that goes away (head) ends it by SIGPIPE, without a message.\n"
    "\n"
    "Example:\n"
    "  kpksim compare -p none,buddy,pte -p kpkeys-poe+lazy,pba,block fork-1g\n";

struct Command {
  const char* name;
  int (*run)(const Arguments&);
};
constexpr Command kCommands[] = {{"compare", app::compare},   {"run", app::run},
                                 {"sweep", app::sweep},       {"diff", app::diff},
                                 {"config", app::config},     {"keys", app::keys},
                                 {"attack", app::attack},     {"explain", app::explain},
                                 {"validate", app::validate}, {"report", app::report},
                                 {"plot", app::plot},         {"list", app::list},
                                 {"conform", app::conform},   {"translate", app::translate}};

const Command& command_named(const std::string& name) {
  Arguments known;
  for (const Command& command : kCommands) {
    if (command.name == name) return command;
    known.emplace_back(command.name);
  }
  known.insert(known.end(), {"help", "--help", "--version"});
  throw kpksim::InputError(
      fmt::format("'{}' is not a command{}", name, kpksim::suggest(name, known)));
}

int help(Arguments about) {
  if (about.empty() || about[0] == "help" || about[0] == "--help") {
    std::cout << kUsage;
    return 0;
  }
  const Command& command = command_named(about[0]);
  about.erase(about.begin());
  about.emplace_back("--help");
  return command.run(about);
}

int dispatch(const Arguments& arguments) {
  if (arguments.empty()) {
    std::cerr << kUsage;
    return kBadInput;
  }
  const std::string& name = arguments[0];
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (name == "--help" || name == "-h" || name == "help") return help(rest);
  if (name == "--version" || name == "version") return app::version();
  return command_named(name).run(rest);
}

int out_of_memory() {
  app::complain("out of memory; a smaller --memory, fewer --jobs or a smaller input may do");
  return kFailed;
}

// As if SIGPIPE had never been ignored: the shell sees what it sees of other programs.
int reader_gone() {
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  return kFailed;
}

// What went wrong, from the exception in flight.
int failure() {
  try {
    throw;
  } catch (const kpksim::InputError& e) {
    app::complain(e.what());
    return kBadInput;
  } catch (const boost::program_options::error& e) {
    app::complain(e.what());
    return kBadInput;
  } catch (const std::filesystem::filesystem_error& e) {
    app::complain(e.path1().string() + ": cannot be read: " + e.code().message());
    return kBadInput;
  } catch (const app::ReaderGone&) {
    return reader_gone();
  } catch (const kpksim::OutputError& e) {
    app::complain(e.what());
  } catch (const kpksim::kernel::KernelOops& e) {
    app::complain(std::string("the simulated kernel died: ") + e.what());
  } catch (const kpksim::ModelError& e) {
    app::complain(std::string("a defect of kpksim: ") + e.what());
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::length_error&) {  // more than any memory has
    return out_of_memory();
  } catch (const std::exception& e) {
    app::complain(std::string("a defect of kpksim: ") + e.what());
  }
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  // Writes fail instead, and say why: a pipe without a reader, a file beyond ulimit -f.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    app::StandardOutput output;
    int status = kFailed;
    try {
      status = dispatch({argv + std::min(argc, 1), argv + argc});
      output.finish();
    } catch (...) {
      status = failure();
    }
    return status;
  } catch (...) {  // no memory even for the message
    return kFailed;
  }
}
