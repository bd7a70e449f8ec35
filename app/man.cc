// kpksim man: the manual page, from what --help and the list of commands are from.

#include <fmt/core.h>

#include <iostream>
#include <sstream>

#include "app/command_line.h"
#include "app/commands.h"
#include "sim/report/result.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;

// Text as roff prints it: a backslash, a line that begins with '.' or a quote, and '-', which would
// be a hyphen that no shell takes.
std::string escaped(const std::string& text) {
  std::string out;
  bool begins = true;
  for (const char c : text) {
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    begins = c == '\n';
  }
  return out;
}

void section(const std::string& name) { std::cout << ".SH " << name << "\n"; }
void line(const std::string& text) { std::cout << escaped(text) << "\n"; }
void bold(const std::string& text) { std::cout << "\\fB" << escaped(text) << "\\fR\n"; }
// What follows stands below `head`.
void item(const std::string& head) { std::cout << ".TP\n\\fB" << escaped(head) << "\\fR\n"; }

std::string head_of(const OptionText& option) {
  std::string head = option.letter.empty() ? "" : fmt::format("-{}, ", option.letter);
  head += "--" + option.name;
  return option.value.empty() ? head : head + " " + option.value;
}

// Lines of commands, as they are.
void examples(const std::string& text) {
  if (text.empty()) return;
  std::cout << ".PP\nExamples:\n.PP\n.nf\n";
  line(text.substr(0, text.find_last_not_of('\n') + 1));
  std::cout << ".fi\n";
}

void options(const Described& of) {
  for (const OptionText& option : of.options) {
    if (option.name == "help") continue;  // every command has it
    item(head_of(option));
    line(option.description);
  }
}

// A call, what it does, its options and its examples.
void describe_command(const std::string& name, const CommandInfo& command) {
  std::cout << ".SS " << escaped(name) << "\n";
  const Described described = describe(command.run);
  for (const std::string& call : described.synopsis) {
    std::cout << (&call == &described.synopsis.front() ? "" : ".br\n");
    bold(call);
  }
  if (!described.text.empty()) {
    std::cout << ".PP\n";
    line(described.text.substr(0, described.text.find_last_not_of('\n') + 1) + ".");
  }
  options(described);
  examples(described.examples);
}

void describe_parts(const CommandInfo& command) {
  for (const CommandInfo& part : command.parts)
    describe_command(fmt::format("{} {}", command.name, part.name), part);
}

void commands_section() {
  section("COMMANDS");
  line("Each command takes --help, which prints what stands here of it.");
  for (const CommandInfo& command : commands()) {
    if (!command.only_parts) describe_command(command.name, command);
    describe_parts(command);
  }
}

constexpr std::pair<const char*, const char*> kEnvironment[] = {
    {"KPKSIM_DATA", "Another folder of profiles, workloads and recordings."},
    {"KPKSIM_PYTHON", "The interpreter with matplotlib, by which kpksim plot draws."},
    {"NO_COLOR", "If it is set, tables have no colours."},
    {"COLUMNS", "How wide tables are, where the terminal does not say."}};

void page() {
  std::cout << ".TH KPKSIM 1 \"" KPKSIM_DATE "\" \"kpksim " << report::version() << "\" \"\"\n";
  section("NAME");
  line("kpksim - what page tables that protection keys protect cost, and what they stop");
  section("SYNOPSIS");
  for (const CommandInfo& command : commands()) {
    const std::string arguments = command.arguments;
    std::cout << (&command == &commands().front() ? "" : ".br\n");
    std::cout << fmt::format("\\fBkpksim {}\\fR {}\n", escaped(command.name), escaped(arguments));
  }
  section("DESCRIPTION");
  line(
      "kpksim is an architectural simulator of Linux's kpkeys. It runs a workload on a modelled "
      "machine with MMU, TLBs and cores, and on a model of the part of Linux that creates, writes "
      "and destroys page tables. It counts TLB invalidations, faults and cycles under each "
      "policy, and says what a stray store could have written.");
  commands_section();
  section("EXIT STATUS");
  for (const ExitStatus& status : exit_statuses()) {
    item(std::to_string(status.status));
    line(std::string(status.says) + ".");
  }
  section("ENVIRONMENT");
  for (const auto& [name, does] : kEnvironment) {
    item(name);
    line(does);
  }
  section("EXAMPLES");
  std::cout << ".nf\n";
  line(kOneExample);
  std::cout << ".fi\n";
}

}  // namespace

int man(const std::vector<std::string>& arguments) {
  po::options_description options(
      "kpksim man\n"
      "The manual page, as roff: kpksim man | man -l -");
  if (!read_command_line(arguments, options, "  kpksim man >kpksim.1\n")) return 0;
  page();
  return 0;
}

}  // namespace kpksim::app
