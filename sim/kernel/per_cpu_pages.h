#pragma once
// Each core's own lists of free pages, in front of the page allocator (struct per_cpu_pages,
// mm/page_alloc.c of 6.12): one of each order that they hold and each migrate type. A page that a
// core frees is the next that it gets; an empty list is refilled with a batch, and lists that
// became too long give their oldest runs back. How long they may be follows use: each refill lets
// them hold as much more. What the vmstat timer takes back after a second (decay_pcp_high()) is
// kept.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "sim/base/types.h"

namespace kpksim::kernel {

inline constexpr unsigned kCostlyOrder = 3;  // PAGE_ALLOC_COSTLY_ORDER

// In pages.
struct PcpLimits {
  unsigned batch = 1;
  std::uint64_t high_min = 4, high_max = 4;
};
// Of a zone of `pages` that `cores` share: zone_batchsize(), zone_highsize() of the zone's low
// watermark and of an eighth of it; for lists of at most `most` pages.
PcpLimits pcp_limits(std::uint64_t pages, unsigned cores, std::uint64_t most);

// Of one core.
class PerCpuPages {
 public:
  // Runs, the first handed out first: indices of their first frames.
  struct List {
    std::uint64_t first, last;
  };
  // 0 to kCostlyOrder, and huge pages; of pages that can be moved, and that cannot.
  static constexpr std::size_t kLists = 2 * (kCostlyOrder + 2);

  explicit PerCpuPages(std::uint64_t none) { lists.fill({none, none}); }

  // pcp_allowed_order(), order_to_pindex()
  static constexpr bool holds(unsigned order) {
    return order <= kCostlyOrder || order == kPmdShift - kPageShift;
  }
  static constexpr std::size_t index(unsigned order, bool movable) {
    return std::min(order, kCostlyOrder + 1) * 2 + (movable ? 0 : 1);
  }

  // An allocation begins; an empty list of this order gets so many runs (nr_pcp_alloc()).
  void allocating() { freed_ >>= 1; }
  std::uint64_t refill(const PcpLimits& limits, unsigned order);
  // A run has been put on its list: so many pages have to go back (free_unref_page_commit()).
  std::uint64_t overflow(const PcpLimits& limits, unsigned order);

  std::array<List, kLists> lists;
  std::uint64_t count = 0;  // pages on all of them

 private:
  std::uint64_t high_ = 0;         // that they may hold
  unsigned alloc_factor_ = 0;      // refills since a page was freed, at most kScale
  std::uint64_t freed_ = 0;        // pages freed of late, at most a scaled batch
  bool freed_high_order_ = false;  // last (PCPF_PREV_FREE_HIGH_ORDER)
};

}  // namespace kpksim::kernel
