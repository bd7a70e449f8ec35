#pragma once
// A page-table page allocator: where page-table pages come from, and when and in which runs they
// are marked; how, the protection knows. One file per allocator in this folder, which registers it.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/parameter.h"
#include "sim/base/registry.h"
#include "sim/base/statistic.h"
#include "sim/kernel/buddy.h"
#include "sim/kernel/keyed_pool.h"
#include "sim/kernel/linear_map.h"
#include "sim/kernel/protect/protection.h"
#include "sim/kernel/shrinker.h"

namespace kpksim::kernel {

// What one allocator counts beside what all do.
struct OwnStatistic {
  std::string name, unit, description;
  std::uint64_t value = 0;
  bool level = false;  // how much there is now, rather than how often something happened
};

struct AllocatorStatistics {
  std::uint64_t live = 0, peak = 0, cached = 0;
  std::uint64_t allocated = 0, freed = 0;
  std::vector<OwnStatistic> own = {};

  // Of one's own by name; 0: there is none.
  std::uint64_t own_value(std::string_view name) const;
};
inline constexpr std::array<Statistic<AllocatorStatistics>, 5> kAllocatorStatistics = {{
    {"live", "pages", "page-table pages in use", &AllocatorStatistics::live, true},
    {"peak", "pages", "most page-table pages in use", &AllocatorStatistics::peak, true},
    {"cached", "pages", "pages held, marked and unused", &AllocatorStatistics::cached, true},
    {"allocated", "pages", "page-table pages allocated", &AllocatorStatistics::allocated},
    {"freed", "pages", "page-table pages freed", &AllocatorStatistics::freed},
}};
// As since() and append() of statistic.h, the allocator's own among them.
AllocatorStatistics allocator_since(const AllocatorStatistics& before,
                                    const AllocatorStatistics& now);
void append_allocator(AllocatorStatistics& sum, const AllocatorStatistics& next);

// What an allocator works on.
struct AllocatorContext {
  Buddy& buddy;
  LinearMap& linear_map;
  PageTables& tables;
  mmu::PhysicalMemory& memory;
  Protection& protection;
};

class PageTableAllocator : public SplitTables {
 public:
  explicit PageTableAllocator(AllocatorContext context) : context_(context) {}

  // A zeroed page-table page, marked if the policy marks. InputError when memory is exhausted.
  Pfn allocate(cpu::Core& core, TableKind kind);
  // Gives a page back, after the TLB flush that forgets it.
  void free(cpu::Core& core, Pfn pfn);

  // Called once the MMU is on and pages can be marked; marks the early tables.
  virtual void boot(cpu::Core&) {}
  // Of those that AllocatorInfo::rejoins; the others are never asked.
  void take_back(cpu::Core&, Pfn) override { throw ModelError("no table of a split comes back"); }
  // Marks late_page()s.
  void finish_split(cpu::Core& core) override;
  // Returns how many pages went back.
  std::uint64_t shrink(cpu::Core& core);

  // The pool that other objects may share (AllocatorInfo::lends).
  virtual KeyedPool* pool() { return nullptr; }

  std::uint64_t live() const { return live_; }  // pages in use
  AllocatorStatistics statistics() const;

 protected:
  virtual Pfn take(cpu::Core& core, TableKind kind) = 0;
  virtual void give_back(cpu::Core& core, Pfn pfn) = 0;
  // Pages held that no table uses; what else the allocator counts.
  virtual std::uint64_t cached() const { return 0; }
  virtual std::vector<OwnStatistic> own() const { return {}; }
  // The policy's shrinker: count_objects() and scan_objects(), which frees up to about `count`
  // pages and returns how many; 0: SHRINK_STOP.
  virtual std::uint64_t shrinkable() const { return 0; }
  virtual std::uint64_t scan(cpu::Core&, std::uint64_t) { return 0; }
  Pfn page(const cpu::Core& core, unsigned order = 0);  // from the buddy allocator, or InputError
  // clear_page() through the linear map, refused where the page is not writable now; and of a page
  // that is marked already, in a window of its own.
  void zero(cpu::Core& core, Pfn pfn);
  void zero_marked(cpu::Core& core, Pfn pfn);
  // Boot's tables: each page or range that memblock gave; or neighbours with one call, and of v6's
  // last range what is used, for the rest is given back. Returns how many calls.
  void mark_boot_tables(cpu::Core& core);
  std::uint64_t mark_boot_ranges(cpu::Core& core);
  // Page by page: a zeroed, marked page; and it goes back.
  Pfn take_single(cpu::Core& core, TableKind kind);
  void give_back_single(cpu::Core& core, Pfn pfn);
  // An unmarked page for a split, which cannot be marked now, as the split may be part of a mark:
  // it is as soon as that is done, which may split once more.
  Pfn late_page(const cpu::Core& core);
  OwnStatistic late_statistic() const;

  AllocatorContext context_;

 private:
  std::uint64_t live_ = 0, peak_ = 0, allocated_ = 0, freed_ = 0;
  Shrinker shrinker_;
  std::vector<Pfn> late_;  // to be marked
  std::uint64_t late_marked_ = 0;
};

struct AllocatorInfo {
  std::string_view name, description;
  int rank = 1;                             // in lists
  bool marks = true;                        // else its pages stay ordinary ones
  Granularity natural = Granularity::kPte;  // the linear map that it is meant for
  bool rejoins = false;  // it takes tables of splits back, when blocks are joined
  bool pools = false;    // pages are marked before it is known what they will be used for
  bool lends = false;    // from a pool that other objects can share
  std::vector<ParameterInfo> parameters = {};
  EarlyTables (*early)(Granularity, const Parameters&) = [](Granularity map, const Parameters&) {
    return map == Granularity::kBlock ? EarlyTables::kRanges : EarlyTables::kPages;
  };
  // A reason against such a linear map, or an empty text.
  std::string_view (*against)(Granularity) = [](Granularity) { return std::string_view(); };
  std::unique_ptr<PageTableAllocator> (*make)(const AllocatorContext&, const Parameters&) = nullptr;
};
// For AllocatorInfo::make: an object of T, from the context, and the parameters if it takes any.
template <class T>
std::unique_ptr<PageTableAllocator> make_allocator_of(
    const AllocatorContext& context, [[maybe_unused]] const Parameters& parameters) {
  if constexpr (std::is_constructible_v<T, const AllocatorContext&, const Parameters&>) {
    return std::make_unique<T>(context, parameters);
  } else {
    return std::make_unique<T>(context);
  }
}

using Allocators = Registry<AllocatorInfo>;

}  // namespace kpksim::kernel
