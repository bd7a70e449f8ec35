// kpksim translate: one translation, from registers and descriptors, as a person wants to see it.

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <iostream>

#include "app/options.h"
#include "sim/base/error.h"
#include "sim/base/text_input.h"
#include "sim/conform/explain.h"
#include "sim/conform/vector.h"
#include "sim/mmu/regime.h"

namespace kpksim::app {
namespace po = boost::program_options;
namespace {

// "NAME=VALUE" in two.
std::pair<std::string, std::string> split(const std::string& text, const std::string& option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw InputError(fmt::format("{}: '{}': expected NAME=VALUE", option, text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void set_register(mmu::Registers& regs, const std::string& text) {
  const auto [name, value] = split(text, "--reg");
  std::uint64_t* const target = conform::register_by_name(regs, name);
  if (target == nullptr) {
    throw InputError(fmt::format("--reg: '{}' is not a register{}", name,
                                 suggest(name, conform::register_names())));
  }
  *target = conform::parse_number(value, "--reg " + name);
}

void add_word(conform::Words& memory, const std::string& text) {
  const auto [address, value] = split(text, "--mem");
  const PhysAddr pa(conform::parse_number(address, "--mem"));
  if (pa.value >> mmu::kPaMax != 0 || pa.value % 8 != 0) {
    throw InputError(fmt::format("--mem: {} is not the address of a descriptor", address));
  }
  memory.emplace_back(pa, conform::parse_number(value, "--mem"));
}

}  // namespace

int translate(const std::vector<std::string>& arguments) {
  po::options_description options(
      "kpksim translate --input FILE [options]\n"
      "kpksim translate --va ADDRESS --reg NAME=VALUE... --mem ADDRESS=DESCRIPTOR... [options]\n"
      "Shows each level of one translation. Options override what the file says");
  std::string input, va, kind;
  std::vector<std::string> regs, words;
  unsigned el = 1;
  options.add_options()("help,h", "this text")(
      "input,i", po::value(&input), "a JSON vector: regs, mem, access (as kpksim conform reads)")(
      "va", po::value(&va), "virtual address")("kind", po::value(&kind),
                                               "access: R, W, RW or X (default R)")(
      "el", po::value(&el), "exception level of the access, 0 or 1 (default 1)")(
      "unprivileged", po::bool_switch(), "LDTR or STTR at EL1")("pan", po::bool_switch(),
                                                                "PSTATE.PAN = 1")(
      "reg,r", po::value(&regs)->composing(),
      "tcr, tcr2, sctlr (default: 1, MMU on), ttbr0, ttbr1, pir, pire0, por_el1, por_el0, mair")(
      "mem,m", po::value(&words)->composing(), "a descriptor; all other memory reads as 0");
  po::variables_map values;
  po::store(po::command_line_parser(arguments).options(options).positional({}).run(), values);
  po::notify(values);
  if (values.count("help") != 0) {
    std::cout << options;
    return 0;
  }
  conform::Translation t;
  t.regs.sctlr = 1;
  t.access = {poe::AccessKind::kRead, 1, false};
  if (!input.empty()) {
    try {
      t = conform::parse_translation(read_text_file(input));
    } catch (const InputError& e) {
      const std::string text = e.what();
      throw InputError(text.starts_with(input) ? text : input + ": " + text);
    }
  } else if (va.empty()) {
    throw InputError("no address: give --va or --input; see kpksim translate --help");
  }
  for (const std::string& text : regs) set_register(t.regs, text);
  for (const std::string& text : words) add_word(t.memory, text);
  if (!va.empty()) t.va = VirtAddr(conform::parse_number(va, "--va"));
  if (!kind.empty()) t.access.kind = conform::parse_kind(kind, "--kind");
  if (el > 1) throw InputError("--el: expected 0 or 1");
  if (values.count("el") != 0) t.access.el = static_cast<std::uint8_t>(el);
  t.access.unprivileged |= values["unprivileged"].as<bool>();
  t.pan |= values["pan"].as<bool>();
  const std::vector<std::string> errors = mmu::illegal_fields(t.regs);
  if (!errors.empty()) throw InputError(errors.front());
  mmu::PhysicalMemory memory;
  for (const auto& [pa, word] : t.memory) memory.write64(pa, word);
  std::cout << conform::explain({t.regs, memory, t.va, t.access, t.pan});
  return 0;
}

}  // namespace kpksim::app
