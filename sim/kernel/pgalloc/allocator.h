#pragma once
// A page-table page allocator: where page-table pages come from and when they get and lose their
// key. One file per policy in this folder; allocator.cc lists them by name.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/kernel/buddy.h"
#include "sim/kernel/linear_map.h"

namespace kpksim::kernel {

struct AllocatorStatistics {
  std::uint64_t live = 0, peak = 0, cached = 0;
  std::uint64_t allocated = 0, freed = 0;
  std::uint64_t refill9 = 0, refill4 = 0, refill2 = 0;
  std::uint64_t shrunk_blocks = 0, shrunk_pages = 0;
};
inline constexpr std::array<Statistic<AllocatorStatistics>, 10> kAllocatorStatistics = {{
    {"live", "pages", "page-table pages in use", &AllocatorStatistics::live, true},
    {"peak", "pages", "most page-table pages in use", &AllocatorStatistics::peak, true},
    {"cached", "pages", "pages cached, keyed and unused", &AllocatorStatistics::cached, true},
    {"allocated", "pages", "page-table pages allocated", &AllocatorStatistics::allocated},
    {"freed", "pages", "page-table pages freed", &AllocatorStatistics::freed},
    {"refill9", "refills", "refills with 512 pages", &AllocatorStatistics::refill9},
    {"refill4", "refills", "refills with 16 pages", &AllocatorStatistics::refill4},
    {"refill2", "refills", "refills with 4 pages", &AllocatorStatistics::refill2},
    {"shrunk_blocks", "blocks", "2 MB blocks released by the shrinker",
     &AllocatorStatistics::shrunk_blocks},
    {"shrunk_pages", "pages", "single pages released by the shrinker",
     &AllocatorStatistics::shrunk_pages},
}};

// What an allocator works on.
struct AllocatorContext {
  Buddy& buddy;
  LinearMap& linear_map;
  PageTables& tables;
  mmu::PhysicalMemory& memory;
};

class PageTableAllocator {
 public:
  explicit PageTableAllocator(AllocatorContext context) : context_(context) {}
  virtual ~PageTableAllocator() = default;

  // A zeroed page-table page, keyed if the policy keys. InputError when memory is exhausted.
  Pfn allocate(cpu::Core& core);
  // Gives a page back, after the TLB flush that forgets it.
  void free(cpu::Core& core, Pfn pfn);

  // Called once the MMU is on and keys can be set; keys the early tables.
  virtual void boot(cpu::Core&) {}
  // A page for a split of the linear map.
  virtual Pfn allocate_for_split(cpu::Core& core) = 0;
  // do_shrink_slab() at the highest priority: has up to half of what is cached scanned, in batches,
  // and what an earlier call put off as too little. Returns how many pages went back.
  std::uint64_t shrink(cpu::Core& core);

  const AllocatorStatistics& statistics() const { return statistics_; }

 protected:
  virtual Pfn take(cpu::Core& core) = 0;
  virtual void give_back(cpu::Core& core, Pfn pfn) = 0;
  // The policy's shrinker: count_objects() and scan_objects(), which frees up to about `count`
  // pages and returns how many; 0: SHRINK_STOP.
  virtual std::uint64_t shrinkable() const { return 0; }
  virtual std::uint64_t scan(cpu::Core&, std::uint64_t) { return 0; }
  Pfn page(unsigned order = 0);  // from the buddy allocator, or InputError
  // clear_page() through the linear map: refused where the page is not writable now.
  void zero(cpu::Core& core, Pfn pfn);
  void key_boot_tables(cpu::Core& core);

  AllocatorContext context_;
  AllocatorStatistics statistics_;

 private:
  std::uint64_t put_off_ = 0;  // nr_deferred of the shrinker
};

const std::vector<PolicyInfo>& allocators();
std::unique_ptr<PageTableAllocator> make_allocator(const std::string& name,
                                                   AllocatorContext context);
std::unique_ptr<PageTableAllocator> make_buddy(AllocatorContext context);
std::unique_ptr<PageTableAllocator> make_per_page(AllocatorContext context);
std::unique_ptr<PageTableAllocator> make_pba(AllocatorContext context);

}  // namespace kpksim::kernel
