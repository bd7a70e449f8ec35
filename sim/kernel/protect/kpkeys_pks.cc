// kpkeys on x86-64: page-table pages carry a key for supervisor pages, which IA32_PKRS makes
// read-only (PKS series of 2021). The register's value is kept per core (pkrs_cache), so it is
// written and never read; WRMSR of it needs no barrier.

#include "sim/kernel/protect/kpkeys.h"

namespace kpksim::kernel {
namespace {

class KpkeysPks final : public KeyedTables {
 public:
  KpkeysPks(const ProtectionContext& context, const Parameters& parameters)
      : KeyedTables(context), skips_(parameters.choice("series") == "v9") {}

  void boot(mmu::Registers& regs) const override {
    regs.tcr2 = mmu::tcr2::kPoe.set(regs.tcr2, 1);  // CR4.PKS
    regs.por_el1 = kContextDefault.por();
  }
  bool is_context(std::uint64_t por) const override {
    return por == kContextDefault.por() ||
           por == context_writing(kContextDefault, kPkeyPgtables).por();
  }
  std::uint64_t open(cpu::Core& core, const Target&) override {
    const std::uint64_t before = core.mmu().registers().por_el1;
    const std::uint64_t pkrs = context_writing(pkrs::Context(before), kPkeyPgtables).por();
    if (!skips_ || pkrs != before) core.msr_por_el1(pkrs);
    return before;
  }
  void close(cpu::Core& core, const Target&, std::uint64_t before, bool) override {
    if (!skips_ || core.mmu().registers().por_el1 != before) core.msr_por_el1(before);
  }
  // pkrs_save_irq() and pkrs_restore_irq(): written only where the value changes.
  std::uint64_t exception_entry(cpu::Core& core) override {
    const std::uint64_t before = core.mmu().registers().por_el1;
    if (before != kContextDefault.por()) core.msr_por_el1(kContextDefault.por());
    return before;
  }
  void exception_return(cpu::Core& core, std::uint64_t before) override {
    if (before != kContextDefault.por()) core.msr_por_el1(before);
  }

 private:
  bool skips_;
};

const Protections::Entry kpkeys_pks_entry{{
    .name = "kpkeys-pks",
    .description = "the same on x86-64, by a key for supervisor pages and IA32_PKRS",
    .marks = "a key",
    .changes_map = true,
    .refuses = {{.overlay = true}},
    .aarch64 = false,
    .x86 = true,
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .parameters = {series_parameter(), soft_parameter()},
    .against = against_kpkeys,
    .make = make_protection_of<KpkeysPks>,
}};

}  // namespace
}  // namespace kpksim::kernel
