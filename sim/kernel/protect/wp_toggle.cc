// CR0.WP of x86-64: page tables are read-only in the linear map, as rodata-toggle leaves them, and
// a window clears WP, which makes privileged writes ignore that (Intel SDM volume 3, 4.6.1; the
// kernel guard of PaX KERNEXEC, pax_open_kernel()). No descriptor changes, so there is no TLBI, and
// the window is this core's alone. But it is open for every read-only page of the kernel.
//
// A guard reads CR0 first. Where WP is clear already it writes nothing, as the write serialises.
// CR0 is no part of what an exception saves: the handler's entry sets WP, its exit clears it again.
//
// Linux as it is would not let this be done: native_write_cr0() sets WP again (cr_pinning), and
// with CR4.CET set, as shadow stacks need it, a write that clears WP is a general protection fault.

#include "sim/kernel/linear_map.h"
#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {
namespace {

class WpToggle final : public Protection {
 public:
  explicit WpToggle(const ProtectionContext& context) : linear_map_(context.linear_map) {}

  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind) override {
    linear_map_.set_memory(core, first, count, kSetMemoryRo);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    linear_map_.set_memory(core, first, count, kSetMemoryRw);
  }
  std::uint64_t open(cpu::Core& core, const Target&) override {
    const std::uint64_t before = core.mov_from_cr0();
    if (is_set(before)) core.mov_to_cr0(mmu::cr0::kWp.set(before, 0));
    return before;
  }
  void close(cpu::Core& core, const Target&, std::uint64_t before, bool) override {
    if (is_set(before)) core.mov_to_cr0(before);
  }
  std::uint64_t exception_entry(cpu::Core& core) override {
    const std::uint64_t before = core.mov_from_cr0();
    if (!is_set(before)) core.mov_to_cr0(mmu::cr0::kWp.set(before, 1));
    return before;
  }
  void exception_return(cpu::Core& core, std::uint64_t before) override {
    if (!is_set(before)) core.mov_to_cr0(before);
  }

 private:
  static bool is_set(std::uint64_t cr0) { return mmu::cr0::kWp.get(cr0) != 0; }

  LinearMap& linear_map_;
};

const Protections::Entry wp_toggle_entry{{
    .name = "wp-toggle",
    .description = "page tables are read-only in the linear map, and windows clear CR0.WP (x86-64)",
    .rank = 2,
    .marks = "read-only",
    .changes_map = true,
    .refuses = {Refusal()},
    .aarch64 = false,
    .x86 = true,
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .parameters = {soft_parameter()},
    .make = make_protection_of<WpToggle>,
}};

}  // namespace
}  // namespace kpksim::kernel
