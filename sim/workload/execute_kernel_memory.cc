// Operations on the kernel's own memory, and on what memory all tasks have.

#include <array>

#include "sim/workload/execution.h"

namespace kpksim::workload {
namespace {

void remember(Execution& x, const Operation& op, std::uint64_t address, std::uint64_t pages) {
  x.remember(op.region, {address, pages << kPageShift});
  if (op.write) x.kernel.memory().write(address);
}

void vmalloc(Execution& x, const Operation& op) {
  const std::uint64_t pages = x.draw(op);
  remember(x, op, x.kernel.memory().vmalloc(pages, op.huge), pages);
}
void vfree(Execution& x, const Operation& op) { x.kernel.memory().vfree(x.address_of(op)); }
void vm_map_ram(Execution& x, const Operation& op) {
  remember(x, op, x.kernel.memory().vm_map_ram(op.count), op.count);
}
void vm_unmap_ram(Execution& x, const Operation& op) {
  x.kernel.memory().vm_unmap_ram(x.address_of(op));
}
void vm_unmap_aliases(Execution& x, const Operation&) { x.kernel.memory().vm_unmap_aliases(); }

void idle(Execution& x, const Operation&) { x.kernel.clock().idle(); }
void pressure(Execution& x, const Operation&) { x.kernel.memory().pressure(); }
void fragment(Execution& x, const Operation& op) {
  x.kernel.memory().fragment(static_cast<unsigned>(op.count), op.seed);
}
void unfragment(Execution& x, const Operation&) { x.kernel.memory().unfragment(); }
void nr_hugepages(Execution& x, const Operation& op) {
  x.kernel.set_nr_hugepages(*kernel::find_hugetlb_size(op.length), op.count);
}
void hugepages(Execution& x, const Operation& op) {
  x.kernel.system().set_huge_pages(op.length, op.setting);
}

constexpr auto kKernelMemoryExecutors = std::to_array<Executor>({
    {OpKind::kVmalloc, vmalloc},
    {OpKind::kVfree, vfree},
    {OpKind::kVmMapRam, vm_map_ram},
    {OpKind::kVmUnmapRam, vm_unmap_ram},
    {OpKind::kVmUnmapAliases, vm_unmap_aliases},
    {OpKind::kIdle, idle},
    {OpKind::kPressure, pressure},
    {OpKind::kFragment, fragment},
    {OpKind::kUnfragment, unfragment},
    {OpKind::kNrHugepages, nr_hugepages},
    {OpKind::kHugepages, hugepages},
});

}  // namespace

std::span<const Executor> kernel_memory_executors() { return kKernelMemoryExecutors; }

}  // namespace kpksim::workload
