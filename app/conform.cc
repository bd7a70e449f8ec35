// kpksim conform: replays vectors of the architecture through the model.

#include <fmt/core.h>

#include <iostream>

#include "app/command_line.h"
#include "app/options.h"
#include "sim/base/error.h"
#include "sim/conform/replay.h"

namespace kpksim::app {
namespace po = boost::program_options;

int conform(const std::vector<std::string>& arguments) {
  po::options_description options("kpksim conform [options] FILE...");
  std::vector<std::string> files;
  std::uint64_t max_failures = 10;
  options.add_options()("max-failures", po::value(&max_failures)->default_value(10),
                        "print at most this many disagreements (all are counted)");
  if (!read_command_line(arguments, options, {{"file", po::value(&files), -1}})) return 0;
  if (files.empty()) throw InputError("no vectors given; see kpksim conform --help");
  std::uint64_t failures = 0;
  bool bad_input = false;
  const conform::Listener listener{[&](const std::string& text) {
                                     if (failures++ < max_failures) std::cout << text << "\n";
                                   },
                                   [&](const std::string& text) {
                                     bad_input = true;
                                     std::cerr << "kpksim: " << text << "\n";
                                   }};
  for (const std::string& file : files) {
    try {
      const conform::Tally tally = conform::replay_file(file, listener);
      std::cout << fmt::format("{}: {} of {} vectors agree", file, tally.agreed,
                               tally.agreed + tally.disagreed);
      if (tally.malformed != 0) std::cout << fmt::format(", {} malformed lines", tally.malformed);
      std::cout << "\n";
    } catch (const InputError& e) {
      bad_input = true;
      std::cerr << "kpksim: " << e.what() << "\n";
    }
  }
  if (failures > max_failures) {
    std::cout << fmt::format("{} more disagreements (--max-failures)\n", failures - max_failures);
  }
  return failures != 0 ? 1 : bad_input ? 2 : 0;
}

}  // namespace kpksim::app
