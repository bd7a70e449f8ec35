// The example of CONTRIBUTING.md: page tables have a key that POR_EL1 makes read-only at rest.

#include "sim/kernel/linear_map.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/protect/protection.h"
#include "sim/pkrs/context.h"

namespace kpksim::kernel {
namespace {

constexpr PkeyIndex kKey{2};
constexpr pkrs::Context kRest = pkrs::context_default(kKey);

class ExampleKey final : public Protection {
 public:
  explicit ExampleKey(const ProtectionContext& context) : linear_map_(context.linear_map) {}

  // The registers of every core at boot.
  void boot(mmu::Registers& regs) const override {
    regs.tcr2 = mmu::tcr2::kPoe.set(regs.tcr2, 1);
    regs.por_el1 = kRest.por();
  }
  // How a page-table page is told apart. When, and in which runs, is the allocator's business.
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind) override {
    linear_map_.set_memory_pkey(core, first, count, kKey);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    linear_map_.set_memory_pkey(core, first, count, kPkeyDefault);
  }
  // A window. What is returned is given back when it closes: windows nest.
  std::uint64_t open(cpu::Core& core, const Target&) override {
    const std::uint64_t before = core.mrs_por_el1();
    write(core, context_writing(pkrs::Context(before), kKey).por());
    return before;
  }
  void close(cpu::Core& core, const Target&, std::uint64_t before, bool) override {
    write(core, before);
  }
  // What is open stays with its thread: an exception finds the register as it is at rest.
  std::uint64_t exception_entry(cpu::Core& core) override {
    const std::uint64_t before = core.mrs_por_el1();
    write(core, kRest.por());
    return before;
  }
  void exception_return(cpu::Core& core, std::uint64_t before) override { write(core, before); }

 private:
  static void write(cpu::Core& core, std::uint64_t por) {
    core.msr_por_el1(por);
    core.isb();
  }

  LinearMap& linear_map_;
};

// Registered here, and nowhere else.
const Protections::Entry registered{{
    .name = "example-key",
    .description = "the example of CONTRIBUTING.md",
    .rank = 3,
    .marks = "a key",
    .changes_map = true,
    .refuses = {{.overlay = true}},
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .parameters = {soft_parameter()},
    .make = make_protection_of<ExampleKey>,
}};

}  // namespace
}  // namespace kpksim::kernel
