// kpkeys on AArch64: page-table pages carry key PGTABLES, which POR_EL1 makes read-only; a window
// reads POR_EL1, writes the opened value, ISB, and restores it the same way (kpkeys_set_level() and
// kpkeys_restore_pkey_reg(); from v7 on kpkeys_enter_context() and kpkeys_leave_context()). With
// credentials (cred=on) there are two keys, and a value that would stay is not written.

#include "sim/kernel/injector.h"
#include "sim/kernel/object/cred_policy.h"
#include "sim/kernel/protect/kpkeys.h"

namespace kpksim::kernel {
namespace {

class KpkeysPoe final : public KeyedTables {
 public:
  KpkeysPoe(const ProtectionContext& context, const Parameters& parameters)
      : KeyedTables(context),
        injector_(context.injector),
        cred_(parameters.is_on("cred")),
        keys_(cred_ ? pkrs::ManagedKeys{kPkeyPgtables, kPkeyCred}
                    : pkrs::ManagedKeys{kPkeyPgtables}),
        rest_(keys_.at_rest().por()),
        skips_(cred_ || parameters.choice("series") == "v9") {}

  void boot(mmu::Registers& regs) const override {
    regs.tcr2 = mmu::tcr2::kPoe.set(regs.tcr2, 1);
    regs.por_el1 = rest_;
  }
  std::uint64_t window_bits() const override {
    const auto all = pkrs::Context(~0ull);
    return cred_ ? ~all.with(kPkeyPgtables, pkrs::Rights::kNone).por() : ~0ull;
  }
  bool is_context(std::uint64_t por) const override {
    const pkrs::Context rest(rest_);
    if (por == rest_ || por == keys_.writing(rest, kPkeyPgtables).por()) return true;
    return cred_ && por == keys_.writing(rest, kPkeyCred).por();
  }
  std::uint64_t open(cpu::Core& core, const Target&) override { return enter(core, kPkeyPgtables); }
  std::uint64_t enter(cpu::Core& core, PkeyIndex key) override {
    const std::uint64_t before = core.mrs_por_el1();
    const std::uint64_t por = keys_.writing(pkrs::Context(before), key).por();
    if (skips_ && por == before) return kUnchanged;
    core.msr_por_el1(por);
    injector_.at(core, FaultSite::kIsbWindowOpen, [](cpu::Core& on) { on.isb(); });
    return before;
  }
  void close(cpu::Core& core, const Target&, std::uint64_t before, bool synchronised) override {
    if (before == kUnchanged) return;
    core.msr_por_el1(before);
    if (synchronised) return;
    injector_.at(core, FaultSite::kIsbWindowClose, [](cpu::Core& on) { on.isb(); });
  }
  void leave(cpu::Core& core, std::uint64_t before) override { close(core, {}, before, false); }
  void save(cpu::Core& core) override { core.mrs_por_el1(); }
  std::uint64_t exception_entry(cpu::Core& core) override {
    const std::uint64_t por = core.mrs_por_el1();
    if (por == rest_ || injector_.skips(FaultSite::kResetException)) return por;
    core.msr_por_el1(rest_);
    injector_.at(core, FaultSite::kIsbException, [](cpu::Core& on) { on.isb(); });
    return por;
  }
  void exception_return(cpu::Core& core, std::uint64_t por) override {
    core.msr_por_el1(por);  // the ERET that follows synchronises
  }

 private:
  static constexpr std::uint64_t kUnchanged = 0;  // of no context: key 0 has rights in each

  Injector& injector_;
  const bool cred_;
  const pkrs::ManagedKeys keys_;
  const std::uint64_t rest_;
  const bool skips_;
};

std::vector<ParameterInfo> poe_parameters() {
  std::vector<ParameterInfo> all = {series_parameter(), soft_parameter()};
  const std::vector<ParameterInfo> cred = cred_parameters();
  all.insert(all.end(), cred.begin(), cred.end());
  return all;
}

std::string against(const Combination& c) {
  std::string why = against_kpkeys(c);
  return why.empty() ? against_cred(c) : why;
}

const Protections::Entry kpkeys_poe_entry{{
    .name = "kpkeys-poe",
    .description = "page-table pages carry an overlay key, writable only in a POR_EL1 window",
    .marks = "a key",
    .changes_map = true,
    .refuses = {{.overlay = true}},
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .any_classes = true,
    .no_classes_with = {"cred"},
    .parameters = poe_parameters(),
    .against = against,
    .make = make_protection_of<KpkeysPoe>,
}};

}  // namespace
}  // namespace kpksim::kernel
