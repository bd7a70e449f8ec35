// kpkeys on AArch64: page-table pages carry key PGTABLES, which POR_EL1 makes read-only; a window
// reads POR_EL1, writes the opened value, ISB, and restores it the same way (kpkeys_set_level() and
// kpkeys_restore_pkey_reg(); from v7 on kpkeys_enter_context() and kpkeys_leave_context()).

#include "sim/kernel/protect/kpkeys.h"

namespace kpksim::kernel {
namespace {

class KpkeysPoe final : public KeyedTables {
 public:
  KpkeysPoe(const ProtectionContext& context, const Parameters& parameters)
      : KeyedTables(context), skips_(parameters.choice("series") == "v9") {}

  void boot(mmu::Registers& regs) const override {
    regs.tcr2 = mmu::tcr2::kPoe.set(regs.tcr2, 1);
    regs.por_el1 = kContextDefault.por();
  }
  std::uint64_t open(cpu::Core& core, const Target&) override {
    const std::uint64_t before = core.mrs_por_el1();
    const std::uint64_t por = context_writing(pkrs::Context(before), kPkeyPgtables).por();
    if (skips_ && por == before) return kUnchanged;
    core.msr_por_el1(por);
    core.isb();
    return before;
  }
  void close(cpu::Core& core, const Target&, std::uint64_t before, bool synchronised) override {
    if (before == kUnchanged) return;
    core.msr_por_el1(before);
    if (!synchronised) core.isb();
  }
  void save(cpu::Core& core) override { core.mrs_por_el1(); }
  std::uint64_t exception_entry(cpu::Core& core) override {
    const std::uint64_t por = core.mrs_por_el1();
    if (por != kContextDefault.por()) {
      core.msr_por_el1(kContextDefault.por());
      core.isb();
    }
    return por;
  }
  void exception_return(cpu::Core& core, std::uint64_t por) override {
    core.msr_por_el1(por);  // the ERET that follows synchronises
  }

 private:
  static constexpr std::uint64_t kUnchanged = 0;  // of no context: key 0 has rights in each

  bool skips_;
};

const Protections::Entry registered{{
    .name = "kpkeys-poe",
    .description = "page-table pages carry an overlay key, writable only in a POR_EL1 window",
    .marks = "a key",
    .refuses = {{.overlay = true}},
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .parameters = {series_parameter(), soft_parameter()},
    .against = against_kpkeys,
    .make = make_protection_of<KpkeysPoe>,
}};

}  // namespace
}  // namespace kpksim::kernel
