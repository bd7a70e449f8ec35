// kpkeys on AArch64: page-table pages carry key PGTABLES, which POR_EL1 makes read-only; a section
// reads POR_EL1, writes the opened value, ISB, and restores it the same way (kpkeys_set_level and
// kpkeys_restore_pkey_reg of RFC v5). With batching a lazy MMU section is one window.

#include "sim/kernel/protect/protection.h"
#include "sim/pkrs/levels.h"

namespace kpksim::kernel {
namespace {

class KpkeysPoe final : public Protection {
 public:
  explicit KpkeysPoe(bool batching) : batching_(batching) {}

  void boot(mmu::Registers& regs) const override {
    regs.tcr2 = mmu::tcr2::kPoe.set(regs.tcr2, 1);
    regs.por_el1 = pkrs::por_default(kPkeyPgtables);
  }
  void begin_write(cpu::Core& core) override {
    const std::uint64_t por = core.mrs_por_el1();
    core.msr_por_el1(pkrs::por_pgtables(por, kPkeyPgtables));
    core.isb();
  }
  void end_write(cpu::Core& core) override {
    core.msr_por_el1(pkrs::por_default(kPkeyPgtables));
    core.isb();
  }
  void enter_lazy(cpu::Core& core) override {
    if (batching_) begin_write(core);
  }
  void leave_lazy(cpu::Core& core, bool synchronised) override {
    if (!batching_) return;
    core.msr_por_el1(pkrs::por_default(kPkeyPgtables));
    if (!synchronised) core.isb();
  }
  void save(cpu::Core& core) override { core.mrs_por_el1(); }
  std::uint64_t exception_entry(cpu::Core& core) override {
    const std::uint64_t por = core.mrs_por_el1();
    if (por != pkrs::por_default(kPkeyPgtables)) {
      core.msr_por_el1(pkrs::por_default(kPkeyPgtables));
      core.isb();
    }
    return por;
  }
  void exception_return(cpu::Core& core, std::uint64_t por) override {
    core.msr_por_el1(por);  // the ERET that follows synchronises
  }
  bool batches() const override { return batching_; }
  bool keys_pages() const override { return true; }

 private:
  bool batching_;
};

}  // namespace

std::unique_ptr<Protection> make_kpkeys_poe(bool batching) {
  return std::make_unique<KpkeysPoe>(batching);
}

}  // namespace kpksim::kernel
