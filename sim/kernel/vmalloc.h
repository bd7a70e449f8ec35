#pragma once
// vmalloc, vfree and vm_map_ram (mm/vmalloc.c). Freed addresses are kept until lazy_max_pages, then
// flushed with one TLB flush and released together.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "sim/kernel/system.h"

namespace kpksim::kernel {

inline constexpr std::uint64_t kStackPages = 4;  // THREAD_SIZE: 16 KB

class Vmalloc {
 public:
  // With what boot has left there.
  explicit Vmalloc(System& system);

  // Address of `pages` mapped pages (plus an unmapped guard page). `huge`: 2 MB blocks, and 64 KB
  // runs where the kernel has them, are used if the size allows (VM_ALLOW_HUGE_VMAP).
  std::uint64_t allocate(std::uint64_t pages, bool huge, cpu::Core& core);
  // VMAP_STACK: aligned to twice its size, so that an overflow shows in one bit of the address.
  std::uint64_t allocate_stack(cpu::Core& core);
  // True if that led to a purge, which a kernel thread (drain_vmap_work) does.
  bool free(std::uint64_t address, cpu::Core& core);
  // Up to 64 pages come from blocks of 1,024 pages (vb_alloc), more are areas of their own.
  std::uint64_t map_ram(std::uint64_t pages, cpu::Core& core);
  bool unmap_ram(std::uint64_t address, cpu::Core& core);
  // vm_unmap_aliases(): flushes and releases all that is waiting, blocks of vm_map_ram() of which
  // nothing is in use too.
  void unmap_aliases(cpu::Core& core);

  // True while `va` is unmapped but may still be in a TLB: such an entry is allowed to be stale.
  bool waiting(VirtAddr va) const;

 private:
  struct Run {
    Pfn first;
    unsigned order;
  };
  struct Area {
    std::uint64_t bytes = 0;  // guard page included
    std::vector<Run> runs;    // naturally aligned, in the order of their addresses
  };
  struct RamBlock {
    std::uint64_t free = 0, dirty = 0;  // pages never given out, pages given back
  };

  std::uint64_t reserve(std::uint64_t bytes, std::uint64_t alignment);
  std::uint64_t allocate(std::uint64_t pages, unsigned order, std::uint64_t alignment,
                         cpu::Core& core);
  Area build(const cpu::Core& core, std::uint64_t pages, unsigned order);
  void map(std::uint64_t va, const Area& area, cpu::Core& core);
  void unmap(std::uint64_t va, std::uint64_t pages, bool contiguous, cpu::Core& core);
  std::optional<std::uint64_t> look(bool contiguous) const;
  void release(const cpu::Core& core, const Area& area);
  void work_on_pages(const Area& area, std::uint64_t pages, cpu::Core& core) const;
  void purge(cpu::Core& core);
  bool defer(std::uint64_t va, std::uint64_t bytes, cpu::Core& core);

  System& system_;
  SleepingLock purge_lock_{LockKind::kVmalloc};
  std::map<std::uint64_t, std::uint64_t> free_;     // start -> bytes
  std::map<std::uint64_t, Area> areas_;             // start
  std::map<std::uint64_t, std::uint64_t> waiting_;  // start -> bytes
  std::uint64_t waiting_pages_ = 0;
  std::map<std::uint64_t, RamBlock> blocks_;  // start
  std::map<std::uint64_t, Area> ram_;         // what vm_map_ram gave out of blocks
};

}  // namespace kpksim::kernel
