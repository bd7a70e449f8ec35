// kpksim translate: one translation, from registers and descriptors, as a person wants to see it.

#include <fmt/core.h>

#include <iostream>

#include "app/command_line.h"
#include "app/options.h"
#include "app/words.h"
#include "sim/base/error.h"
#include "sim/base/json_file.h"
#include "sim/conform/explain.h"
#include "sim/conform/vector.h"
#include "sim/mmu/regime.h"
#include "sim/workload/driver.h"
#include "sim/workload/size.h"

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

// A workload stopped before an operation, whose machine is then looked at.
struct Pause {
  std::string workload, at, policy, core, kernel, memory;
};

// Cuts the workload off before "PHASE:OP" (OP counts from 0) and returns that operation.
workload::Operation cut(workload::Workload& workload, const std::string& at) {
  const std::size_t colon = at.rfind(':');
  if (colon == std::string::npos) {
    throw InputError(fmt::format("--at: '{}': expected PHASE:OP, for example fork:0", at));
  }
  const std::uint64_t index = conform::parse_number(at.substr(colon + 1), "--at");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < workload.phases.size(); ++i) {
    workload::Phase& phase = workload.phases[i];
    names.push_back(phase.name);
    if (phase.name != at.substr(0, colon)) continue;
    if (index >= phase.steps.size()) {
      throw InputError(fmt::format("--at: phase '{}' has operations 0 to {}", phase.name,
                                   phase.steps.size() - 1));
    }
    const workload::Operation next = phase.steps[index].op;
    phase.steps.resize(index);
    workload.phases.resize(i + 1);
    return next;
  }
  throw InputError(fmt::format("--at: '{}' is not a phase of {}{}", at.substr(0, colon),
                               workload.name, suggest(at.substr(0, colon), names)));
}

std::string cached_line(const char* name, const mmu::Tlb& tlb, VirtAddr va, Asid asid) {
  const std::uint32_t i = tlb.locate(mmu::TlbTag::probe(va, asid));
  if (i == mmu::Tlb::kMiss) return fmt::format("  {}  no entry\n", name);
  return fmt::format("  {}  {:#018x}, {:#x} bytes at {:#x}\n", name, tlb[i].leaf.descriptor.raw,
                     1ull << tlb[i].leaf.page_bits, tlb[i].va().value);
}

int translate_paused(const Pause& pause, const std::string& va_text, const poe::Access& access,
                     bool pan) {
  workload::Workload workload = read_workload(pause.workload);
  const workload::Operation next = cut(workload, pause.at);
  kernel::Config config;
  config.policy = kernel::parse_policy(pause.policy);
  config.memory_bytes = workload::parse_size(pause.memory, "--memory");
  kernel::check(config);
  kernel::Kernel kernel(read_core(pause.core), read_kernel(pause.kernel), config);
  workload::Driver driver(kernel);
  driver.run(workload);
  std::optional<VirtAddr> va = driver.place_of(next);
  if (!va_text.empty()) va = VirtAddr(conform::parse_number(va_text, "--va"));
  if (!va) throw InputError("--at: this operation has no address yet; give one with --va");
  cpu::Machine& machine = kernel.system().machine;
  const mmu::Mmu& mmu = machine.core(0).mmu();
  std::cout << conform::explain({mmu.registers(), machine.memory(), *va, access, pan});
  const Asid asid = mmu.registers().asid();
  std::cout << cached_line("L1I TLB", mmu.l1i(), *va, asid)
            << cached_line("L1D TLB", mmu.l1d(), *va, asid)
            << cached_line("L2 TLB ", mmu.l2(), *va, asid);
  return 0;
}

}  // namespace

int translate(const std::vector<std::string>& arguments) {
  po::options_description options(
      "kpksim translate --input FILE [options]\n"
      "kpksim translate --va ADDRESS --reg NAME=VALUE... --mem ADDRESS=DESCRIPTOR... [options]\n"
      "kpksim translate --workload NAME --at PHASE:OP [--va ADDRESS] [options]\n"
      "Shows each level of one translation. Options override what the file says");
  std::string input, va, kind;
  std::vector<std::string> regs, words;
  Pause pause;
  constexpr unsigned kNotGiven = 2;
  unsigned level = kNotGiven;  // as the file says, or 1
  bool unprivileged = false, pan = false;
  options.add_options()("input,i", text_option("--input", input),
                        "a JSON vector: regs, mem, access (as kpksim conform reads)")(
      "va", text_option("--va", va), "virtual address")("kind", text_option("--kind", kind),
                                                        "access: R, W, RW or X (default R)")(
      "el", number_option("--el", level, 0, 1),
      "exception level of the access, 0 or 1 (default 1)")(
      "unprivileged", po::bool_switch(&unprivileged), "LDTR or STTR at EL1")(
      "pan", po::bool_switch(&pan), "PSTATE.PAN = 1")(
      "reg,r", texts_option("--reg", regs),
      "tcr, tcr2, sctlr (default: 1, MMU on), ttbr0, ttbr1, pir, pire0, por_el1, por_el0, mair")(
      "mem,m", texts_option("--mem", words), "a descriptor; all other memory reads as 0")(
      "workload,w", text_option("--workload", pause.workload, workload_words),
      "a workload, paused; its machine's core 0 is shown")(
      "at", text_option("--at", pause.at),
      "PHASE:OP: before this operation (from 0); its address is shown")(
      "policy,p",
      text_option("--policy", pause.policy, policy_words)->default_value(default_policies().back()),
      "of the workload's kernel")(
      "core", text_option("--core", pause.core, core_words)->default_value("neoverse-v1"),
      "core profile")(
      "kernel", text_option("--kernel", pause.kernel, kernel_words)->default_value("linux-6.12"),
      "kernel profile")("memory", text_option("--memory", pause.memory)->default_value("8G"),
                        "physical memory");
  constexpr const char* kExamples =
      "  kpksim translate --workload mixed --at start:2\n"
      "  kpksim translate --va 0x1000 --kind W --reg ttbr0=0x40000000 --reg tcr=0x80100010 \\\n"
      "                   --mem 0x40000000=0x40001003\n";
  if (!read_command_line(arguments, options, kExamples)) return 0;
  const unsigned el = level == kNotGiven ? 1 : level;
  if (!pause.workload.empty() || !pause.at.empty()) {
    if (pause.workload.empty() || pause.at.empty()) {
      throw InputError("--workload and --at need each other");
    }
    if (!input.empty() || !regs.empty() || !words.empty()) {
      throw InputError("--workload brings its own registers and memory");
    }
    return translate_paused(pause, va,
                            {conform::parse_kind(kind.empty() ? "R" : kind, "--kind"),
                             static_cast<std::uint8_t>(el), unprivileged},
                            pan);
  }
  conform::Translation t;
  t.regs.sctlr = 1;
  t.access = {poe::AccessKind::kRead, 1, false};
  if (!input.empty()) {
    const JsonFile file(input);
    try {
      t = conform::parse_translation(file.root());
    } catch (const InputError& e) {
      throw InputError(file.located(input + ": " + e.what()));
    }
  } else if (va.empty()) {
    throw InputError("no address: give --va or --input; see kpksim translate --help");
  }
  for (const std::string& text : regs) set_register(t.regs, text);
  for (const std::string& text : words) add_word(t.memory, text);
  if (!va.empty()) t.va = VirtAddr(conform::parse_number(va, "--va"));
  if (!kind.empty()) t.access.kind = conform::parse_kind(kind, "--kind");
  if (level != kNotGiven) t.access.el = static_cast<std::uint8_t>(el);
  t.access.unprivileged |= unprivileged;
  t.pan |= pan;
  const std::vector<std::string> errors = mmu::illegal_fields(t.regs);
  if (!errors.empty()) throw InputError(errors.front());
  mmu::PhysicalMemory memory;
  for (const auto& [pa, word] : t.memory) memory.write64(pa, word);
  std::cout << conform::explain({t.regs, memory, t.va, t.access, t.pan});
  return 0;
}

}  // namespace kpksim::app
