#include "app/commands.h"

#include <fmt/core.h>

#include <iostream>
#include <sstream>

#include "app/options.h"
#include "app/sweep.h"
#include "app/validate.h"
#include "app/version.h"
#include "sim/base/error.h"

namespace kpksim::app {
namespace {

// `text` in lines of at most `width` letters, each but the first after `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t used = 0;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (used != 0 && used + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      used = 0;
    }
    out += (used == 0 ? "" : " ") + word;
    used += word.size() + (used == 0 ? 0 : 1);
  }
  return out;
}

}  // namespace

const std::vector<CommandInfo>& commands() {
  static const std::vector<CommandInfo> all = {
      {"compare", "WORKLOAD...", "one table: the workload under several policies", compare, {}},
      {"run", "WORKLOAD", "the workload under one policy", run, {}},
      {"sweep", "SPEC", "all points of a space of settings, kept in a file", sweep, sweep_parts()},
      {"config",
       "WORKLOAD",
       "all that a run depends on, as a document that can be run again",
       config,
       {}},
      {"diff", "A B", "two results or configurations: what changed", diff, {}},
      {"validate", "kernel|apps|published",
       "the model against a real kernel's counts and published overheads", validate,
       validate_parts(), true},
      {"keys", "WORKLOAD", "protected classes under budgets of keys", keys, {}},
      {"attack", "[SCENARIO...]", "what data-only attacks reach under policies", attack, {}},
      {"fuzz", "", "random programs under the sanitizer; small ones of what fails", fuzz, {}},
      {"explain",
       "RESULT [PHASE]",
       "where the cycles of the differences between policies went",
       explain,
       {}},
      {"report",
       "RESULT... -o report.html",
       "results as one HTML file: findings, charts, tables",
       report,
       {}},
      {"plot",
       "RESULT... --x NAME --y NAME -o figure.pdf",
       "a figure for a paper: bars, lines, points, fronts, heat maps",
       plot,
       {}},
      {"list", "policies|cores|kernels|workloads|attacks|sites", "what there is to name", list, {}},
      {"conform",
       "FILE...",
       "replay vectors of the architecture (JSON lines, plain, .gz, .zst)",
       conform,
       {}},
      {"translate",
       "",
       "one translation, level by level, from registers and descriptors",
       translate,
       {}},
      {"man", "", "the manual page, for man -l", man, {}},
      {"completion",
       "bash|zsh|fish",
       "a script that completes command lines in this shell",
       completion,
       {}}};
  return all;
}

const CommandInfo& command_named(const std::string& name) {
  std::vector<std::string> known;
  for (const CommandInfo& command : commands()) {
    if (command.name == name) return command;
    known.emplace_back(command.name);
  }
  known.insert(known.end(), {"help", "--help", "--version"});
  throw InputError(fmt::format("'{}' is not a command{}", name, suggest(name, known)));
}

const std::vector<ExitStatus>& exit_statuses() {
  static const std::vector<ExitStatus> all = {
      {0, "done"},
      {1,
       "the check failed: counts or vectors disagree (validate, conform), a stale translation was "
       "found or the simulated kernel died of an injected fault or of a stray store (run, "
       "compare), "
       "a random program failed (fuzz)"},
      {2, "bad input or usage"},
      {3, "output that cannot be written, no memory, or a defect of kpksim"}};
  return all;
}

std::string usage() {
  constexpr std::size_t kIndent = 24, kWidth = 76;
  std::string out = "usage: kpksim COMMAND ...\n";
  const auto line = [&](const std::string& call, const std::string& does) {
    const std::string begin = "  " + call;
    out += begin.size() + 1 < kIndent ? begin + std::string(kIndent - begin.size(), ' ')
                                      : begin + "\n" + std::string(kIndent, ' ');
    out += wrapped(does, kIndent, kWidth) + "\n";
  };
  for (const CommandInfo& command : commands()) {
    const std::string arguments = command.arguments;
    line(command.name + (arguments.empty() ? "" : " " + arguments), command.does);
  }
  line("help [COMMAND]", "this text, or the options of a command (also: COMMAND --help)");
  line("--version", "version, compiler, build type and folder of data");
  out += "\nExit status:\n";
  for (const ExitStatus& status : exit_statuses())
    out += fmt::format("  {}  {}\n", status.status, wrapped(status.says, 5, 88));
  out +=
      "A reader of the output that goes away (head) ends it by SIGPIPE, without a message.\n"
      "\n"
      "Example:\n";
  return out + "  " + kOneExample + "\n";
}

int help(std::vector<std::string> about) {
  if (about.empty() || about[0] == "help" || about[0] == "--help") {
    std::cout << usage();
    return 0;
  }
  const CommandInfo& command = command_named(about[0]);
  about.erase(about.begin());
  about.emplace_back("--help");
  return command.run(about);
}

}  // namespace kpksim::app
