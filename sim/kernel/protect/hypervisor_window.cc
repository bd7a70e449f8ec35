// The other way for a kernel under a hypervisor to write page tables: one call makes a table
// writable at stage 2, the kernel stores, another call closes it. The window is open for all cores,
// for the tables that it is for.

#include "sim/kernel/protect/hypervisor.h"
#include "sim/kernel/protect/toggled.h"

namespace kpksim::kernel {
namespace {

class HypervisorWindow final : public ToggledTables {
 public:
  HypervisorWindow(const ProtectionContext& context, const Parameters& parameters)
      : hypervised_(context, parameters) {}

  void boot(mmu::Registers& regs) const override { hypervised_.boot(regs); }
  std::uint64_t bbm_violations() const override { return hypervised_.bbm_violations(); }
  void set_locks(Locks& locks) override {
    ToggledTables::set_locks(locks);
    hypervised_.set_locks(locks);
  }

 private:
  bool can_mark(TableKind) const override { return true; }
  void show(cpu::Core& core, Pfn first, std::uint64_t count) override {
    hypervised_.set_writable(core, first, count, true);
  }
  void hide(cpu::Core& core, Pfn first, std::uint64_t count) override {
    hypervised_.set_writable(core, first, count, false);
  }

  Hypervised hypervised_;
};

const Protections::Entry hypervisor_window_entry{{
    .name = "hypervisor-window",
    .description = "the same, but calls make a table writable for the kernel and close it again",
    .rank = 2,
    .marks = "stage 2",
    .refuses = {{.stage2 = true}},
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .opens_all = false,
    .parameters = {mark_parameter(), soft_parameter()},
    .make = make_protection_of<HypervisorWindow>,
}};

}  // namespace
}  // namespace kpksim::kernel
