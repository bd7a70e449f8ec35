// kpksim conform: replays vectors of the architecture through the model.

#include <fmt/core.h>

#include <iostream>

#include "app/command_line.h"
#include "app/options.h"
#include "app/output.h"
#include "sim/base/error.h"
#include "sim/base/printable.h"
#include "sim/conform/replay.h"

namespace kpksim::app {
namespace po = boost::program_options;

int conform(const std::vector<std::string>& arguments) {
  po::options_description options(
      "kpksim conform [options] FILE...\n"
      "Replays vectors of the architecture (JSON lines; plain, gzip or zstd) through the model.\n"
      "Exit status 1 if one disagrees");
  std::vector<std::string> files;
  std::uint64_t max_failures = 10;
  options.add_options()(
      "max-failures",
      number_option("--max-failures", max_failures)->default_value("10")->value_name("N"),
      "print at most this many disagreements (all are counted)");
  constexpr const char* kExamples =
      "  kpksim conform tests/golden/walks.jsonl.gz\n"
      "  kpksim conform --max-failures 100 vectors.jsonl more.jsonl.zst\n";
  if (!read_command_line(arguments, options, kExamples,
                         {{"file", texts_option("FILE", files), -1}}))
    return 0;
  if (files.empty()) throw InputError("no vectors given; see kpksim conform --help");
  std::uint64_t failures = 0;
  bool bad_input = false;
  const conform::Listener listener{[&](const std::string& text) {
                                     if (failures++ < max_failures) std::cout << text << "\n";
                                   },
                                   [&](const std::string& text) {
                                     bad_input = true;
                                     complain(text);
                                   }};
  for (const std::string& file : files) {
    try {
      const conform::Tally tally = conform::replay_file(file, listener);
      std::cout << fmt::format("{}: {} of {} vectors agree", printable(file), tally.agreed,
                               tally.agreed + tally.disagreed);
      if (tally.malformed != 0) std::cout << fmt::format(", {} malformed lines", tally.malformed);
      std::cout << "\n";
    } catch (const InputError& e) {
      bad_input = true;
      complain(e.what());
    }
  }
  if (failures > max_failures) {
    std::cout << fmt::format("{} more disagreements (--max-failures)\n", failures - max_failures);
  }
  return failures != 0 ? 1 : bad_input ? 2 : 0;
}

}  // namespace kpksim::app
