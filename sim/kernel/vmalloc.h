#pragma once
// vmalloc, vfree and vm_map_ram (mm/vmalloc.c): pages mapped in one lazy MMU section per page
// table; freed addresses are kept until lazy_max_pages and then flushed and released together.

#include <cstdint>
#include <map>
#include <vector>

#include "sim/kernel/system.h"

namespace kpksim::kernel {

class Vmalloc {
 public:
  explicit Vmalloc(System& system) : system_(system) {
    free_[kVmallocStart] = kVmallocEnd - kVmallocStart;
  }

  // Address of `pages` mapped pages (plus an unmapped guard page).
  std::uint64_t allocate(std::uint64_t pages, cpu::Core& core);
  void free(std::uint64_t address, cpu::Core& core);
  // One block of at most 1,024 pages per core serves small vm_map_ram calls (vb_alloc).
  std::uint64_t map_ram(std::uint64_t pages, cpu::Core& core);
  void unmap_ram(std::uint64_t address, cpu::Core& core);
  // Flushes and releases all that is waiting.
  void purge(cpu::Core& core);

  // True while `va` is unmapped but may still be in a TLB: such an entry is allowed to be stale.
  bool waiting(VirtAddr va) const;

 private:
  struct Area {
    std::uint64_t bytes = 0;  // guard page included
    std::vector<Pfn> pages;
  };
  struct RamBlock {
    std::uint64_t start = 0, used = 0, dirty = 0;  // pages
  };

  std::uint64_t reserve(std::uint64_t bytes);
  void map(std::uint64_t va, const std::vector<Pfn>& pages, cpu::Core& core);
  void unmap(std::uint64_t va, std::uint64_t pages, cpu::Core& core);
  void defer(std::uint64_t va, std::uint64_t bytes, cpu::Core& core);

  System& system_;
  std::map<std::uint64_t, std::uint64_t> free_;  // start -> bytes
  std::map<std::uint64_t, Area> areas_;
  std::map<std::uint64_t, std::uint64_t> waiting_;  // start -> bytes
  std::uint64_t waiting_pages_ = 0;
  std::map<std::uint64_t, RamBlock> blocks_;  // vm_map_ram blocks in use
  std::uint64_t current_block_ = 0;
  std::map<std::uint64_t, std::vector<Pfn>> ram_;  // address -> pages of a vm_map_ram
};

}  // namespace kpksim::kernel
