// Page by page, but what is freed stays marked in a pool of bounded size, for the next table of
// whatever kind (as the grouped pages of the x86 PKS series of 2021). The last that came back is
// handed out first; the shrinker returns those that have waited longest, one by one.

#include <algorithm>
#include <deque>

#include "sim/kernel/cause.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

class Cached final : public PageTableAllocator {
 public:
  Cached(const AllocatorContext& context, const Parameters& p)
      : PageTableAllocator(context), bound_(p.number("bound")), keep_(p.number("keep")) {}

  void boot(cpu::Core& core) override { mark_boot_tables(core); }
  Pfn allocate_for_split(cpu::Core& core) override {
    return pool_.empty() ? late_page(core) : pop();
  }

 private:
  Pfn take(cpu::Core& core, TableKind) override {
    if (pool_.empty()) return take_single(core, TableKind::kPool);
    ++reused_;
    const Pfn pfn = pop();
    zero_marked(core, pfn);
    return pfn;
  }
  void give_back(cpu::Core& core, Pfn pfn) override {
    if (pool_.size() < bound_) {
      pool_.push_back(pfn);
    } else {
      ++overflowed_;
      give_back_single(core, pfn);
    }
  }
  Pfn pop() {
    const Pfn pfn = pool_.back();
    pool_.pop_back();
    return pfn;
  }

  std::uint64_t cached() const override { return pool_.size(); }
  std::uint64_t shrinkable() const override {
    return pool_.size() - std::min<std::uint64_t>(pool_.size(), keep_);
  }
  std::uint64_t scan(cpu::Core& core, std::uint64_t count) override {
    const std::uint64_t freed = std::min(count, shrinkable());
    for (std::uint64_t i = 0; i < freed; ++i) {
      const Pfn pfn = pool_.front();
      pool_.pop_front();
      const Because shrinking(core, Cause::kShrink);
      context_.protection.unmark(core, pfn, 1);
      context_.buddy.free(core, pfn, 0);
    }
    shrunk_ += freed;
    return freed;
  }
  std::vector<OwnStatistic> own() const override {
    return {{"reused", "pages", "allocations that the pool served", reused_},
            {"overflowed", "pages", "pages freed while the pool was full", overflowed_},
            {"shrunk", "pages", "pages released by the shrinker", shrunk_},
            late_statistic()};
  }

  const std::uint64_t bound_, keep_;
  std::deque<Pfn> pool_;
  std::uint64_t reused_ = 0, overflowed_ = 0, shrunk_ = 0;
};

const Allocators::Entry cached_entry{{
    .name = "cached",
    .description = "page by page, freed pages stay marked in a bounded pool",
    .rank = 2,
    .pools = true,
    .parameters = {{"bound", "pages", "that the pool holds at most", "512",
                    ParameterInfo::Kind::kNumber, 1, 1u << 24},
                   {"keep", "pages", "that the shrinker leaves", "16", ParameterInfo::Kind::kNumber,
                    0, 1u << 24}},
    .make = make_allocator_of<Cached>,
}};

}  // namespace
}  // namespace kpksim::kernel
