#pragma once
// The kernel's own memory: vmalloc and vm_map_ram, stacks of tasks, memory pressure, and free
// memory that is not in one piece. Its calls come from the task that runs on core 0 (or boot's
// context), within a system call that the workload does not show.

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "sim/kernel/clock.h"
#include "sim/kernel/vmalloc.h"

namespace kpksim::kernel {

// The end of a kernel whose workload has a stray store, which was refused: what was asked for.
class StrayStoreRefused : public KernelOops {
 public:
  using KernelOops::KernelOops;
};

// One got through that must not: the protection has a hole, or there is none.
class StrayStoreDone : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class KernelMemory {
 public:
  KernelMemory(System& system, Scheduler& scheduler, Clock& clock);

  std::uint64_t vmalloc(std::uint64_t pages, bool huge);
  void vfree(std::uint64_t address);
  std::uint64_t vm_map_ram(std::uint64_t pages);
  void vm_unmap_ram(std::uint64_t address);
  void vm_unmap_aliases();
  // A store to it.
  void write(std::uint64_t address);
  // A store that no helper knows of, to the word at `address`, of the value that is there: what a
  // bug or an attack does, without its damage. StrayStoreRefused where it is refused and soft mode
  // does not let it pass. `refused`: it must be, and the kernel survives it, as
  // copy_to_kernel_nofault() does; StrayStoreDone if it is not.
  void stray_store(cpu::Core& core, PhysAddr address, bool refused);
  // While an address is unmapped but may still be in a TLB: such an entry is allowed to be stale.
  bool waiting(VirtAddr va) const { return vmalloc_.waiting(va); }

  // A task's stack (alloc_thread_stack_node()), kept for the next task of the core where there is
  // room.
  std::uint64_t allocate_stack(cpu::Core& core);
  void free_stack(std::uint64_t stack, cpu::Core& core);
  std::size_t kept_stacks() const;

  // drop_caches' loop: shrinkers run until they free almost nothing.
  std::uint64_t pressure();
  // Takes `percent` of the free memory in single, scattered pages; and gives them back.
  void fragment(unsigned percent, std::uint64_t seed);
  void unfragment();

 private:
  cpu::Core& context();
  // With a fault, if it is refused.
  mmu::Fault store_unguarded(cpu::Core& core, VirtAddr at, std::uint64_t value);

  System& system_;
  Scheduler& scheduler_;
  Clock& clock_;
  Vmalloc vmalloc_;
  std::vector<std::vector<std::uint64_t>> stack_cache_;  // of each core
  std::vector<Pfn> fragments_;
};

}  // namespace kpksim::kernel
