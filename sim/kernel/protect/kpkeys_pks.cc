// kpkeys on x86-64: page-table pages carry a key for supervisor pages, which IA32_PKRS makes
// read-only (PKS series of 2021). The register's value is kept per core (pkrs_cache), so it is
// written and never read; WRMSR of it needs no barrier.

#include "sim/kernel/protect/protection.h"
#include "sim/pkrs/levels.h"

namespace kpksim::kernel {
namespace {

class KpkeysPks final : public Protection {
 public:
  explicit KpkeysPks(bool batching) : batching_(batching) {}

  void boot(mmu::Registers& regs) const override {
    regs.tcr2 = mmu::tcr2::kPoe.set(regs.tcr2, 1);  // CR4.PKS
    regs.por_el1 = pkrs::por_default(kPkeyPgtables);
  }
  void begin_write(cpu::Core& core) override { core.msr_por_el1(kOpen); }
  void end_write(cpu::Core& core) override { core.msr_por_el1(kClosed); }
  void enter_lazy(cpu::Core& core) override {
    if (batching_) begin_write(core);
  }
  void leave_lazy(cpu::Core& core, bool) override {
    if (batching_) end_write(core);
  }
  // pkrs_save_irq() and pkrs_restore_irq(): written only where the value changes.
  std::uint64_t exception_entry(cpu::Core& core) override {
    const std::uint64_t before = core.mmu().registers().por_el1;
    if (before != kClosed) core.msr_por_el1(kClosed);
    return before;
  }
  void exception_return(cpu::Core& core, std::uint64_t before) override {
    if (before != kClosed) core.msr_por_el1(before);
  }
  bool batches() const override { return batching_; }
  bool keys_pages() const override { return true; }

 private:
  static constexpr std::uint64_t kClosed = pkrs::por_default(kPkeyPgtables);
  static constexpr std::uint64_t kOpen = pkrs::por_pgtables(kClosed, kPkeyPgtables);

  bool batching_;
};

}  // namespace

std::unique_ptr<Protection> make_kpkeys_pks(bool batching) {
  return std::make_unique<KpkeysPks>(batching);
}

}  // namespace kpksim::kernel
