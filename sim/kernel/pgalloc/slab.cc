// Page tables as the objects of a slab cache whose slabs are marked as a whole when they are made
// and unmarked when they are destroyed (SLAB_SET_PKEY of the credentials series). As SLUB has it,
// without its per-CPU partial lists: each core allocates from a slab of its own; when that is used
// up, the first of the partial list becomes it, else a new one. A full slab is on no list until one
// of its pages comes back, which puts it at the list's end. An empty slab stays as long as fewer
// than `keep` are on the list (min_partial). Where there is no run for a slab, one of a single page
// is made. The shrinker is kmem_cache_shrink(): empty slabs go, the fullest come first.

#include <algorithm>
#include <list>
#include <map>
#include <optional>

#include "sim/kernel/cause.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

class SlabTables final : public PageTableAllocator {
 public:
  SlabTables(const AllocatorContext& context, const Parameters& p)
      : PageTableAllocator(context),
        order_(static_cast<unsigned>(p.number("order"))),
        keep_(p.number("keep")) {}

  void boot(cpu::Core& core) override { mark_boot_tables(core); }

  // A slab that is being made serves the splits of its own marking, and is marked with them.
  Pfn allocate_for_split(cpu::Core& core) override {
    return find_current(core) ? pop(core) : late_page(core);
  }

 private:
  struct Slab {
    unsigned order;
    std::vector<Pfn> free;  // the last is handed out first
    enum class State : std::uint8_t { kCurrent, kPartial, kFull } state;

    std::uint64_t pages() const { return 1ull << order; }
    bool empty() const { return free.size() == pages(); }
  };
  using Slabs = std::map<Pfn, Slab>;

  std::optional<Pfn>& current(const cpu::Core& core) {
    if (current_.size() <= core.id()) current_.resize(core.id() + 1);
    return current_[core.id()];
  }

  // Sees to a current slab with a free page, but makes no new one.
  bool find_current(const cpu::Core& core) {
    std::optional<Pfn>& now = current(core);
    if (now && !slabs_.at(*now).free.empty()) return true;
    if (now) slabs_.at(*now).state = Slab::State::kFull;
    now.reset();
    if (partial_.empty()) return false;
    now = partial_.front();
    partial_.pop_front();
    slabs_.at(*now).state = Slab::State::kCurrent;
    return true;
  }

  Pfn pop(const cpu::Core& core) {
    Slab& slab = slabs_.at(*current(core));
    const Pfn pfn = slab.free.back();
    slab.free.pop_back();
    --free_;
    return pfn;
  }

  void make_slab(cpu::Core& core) {
    auto run = context_.buddy.allocate(core, order_, Mobility::kUnmovable);
    Slab slab{run ? order_ : 0, {}, Slab::State::kCurrent};
    if (!run) run = page(core);
    if (slab.order < order_) ++small_;
    for (std::uint64_t i = slab.pages(); i-- > 0;) slab.free.push_back(*run + i);
    free_ += slab.pages();
    ++made_;
    const std::uint64_t pages = slab.pages();
    slabs_.emplace(*run, std::move(slab));
    current(core) = run;
    const Because keying(core, Cause::kKeying);
    context_.protection.mark(core, *run, pages, TableKind::kPool);
  }

  void destroy_slab(cpu::Core& core, Slabs::iterator slab) {
    const auto [first, gone] = *slab;
    slabs_.erase(slab);
    free_ -= gone.pages();
    ++destroyed_;
    context_.protection.unmark(core, first, gone.pages());
    context_.buddy.free(core, first, gone.order);
  }

  Pfn take(cpu::Core& core, TableKind) override {
    while (!find_current(core)) make_slab(core);
    const Pfn pfn = pop(core);
    zero_marked(core, pfn);
    return pfn;
  }

  void give_back(cpu::Core& core, Pfn pfn) override {
    const auto it = std::prev(slabs_.upper_bound(pfn));
    Slab& slab = it->second;
    slab.free.push_back(pfn);
    ++free_;
    if (slab.state == Slab::State::kCurrent) return;
    if (slab.empty() && partial_.size() >= keep_) {
      if (slab.state == Slab::State::kPartial) partial_.remove(it->first);
      const Because keying(core, Cause::kKeying);
      destroy_slab(core, it);
    } else if (slab.state == Slab::State::kFull) {
      partial_.push_back(it->first);
      slab.state = Slab::State::kPartial;
    }
  }

  std::uint64_t cached() const override { return free_; }
  std::uint64_t shrinkable() const override {
    std::uint64_t pages = 0;
    for (const Pfn first : partial_) {
      if (slabs_.at(first).empty()) pages += slabs_.at(first).pages();
    }
    return pages;
  }
  std::uint64_t scan(cpu::Core& core, std::uint64_t count) override {
    const Because shrinking(core, Cause::kShrink);
    std::uint64_t freed = 0;
    for (auto it = partial_.begin(); it != partial_.end() && freed < count;) {
      const auto slab = slabs_.find(*it);
      if (!slab->second.empty()) {
        ++it;
        continue;
      }
      freed += slab->second.pages();
      it = partial_.erase(it);
      destroy_slab(core, slab);
    }
    partial_.sort(
        [&](Pfn a, Pfn b) { return slabs_.at(a).free.size() < slabs_.at(b).free.size(); });
    return freed;
  }
  std::vector<OwnStatistic> own() const override {
    return {{"slabs", "slabs", "slabs there are", slabs_.size(), true},
            {"slabs_made", "slabs", "slabs made, each marked with one call", made_},
            {"slabs_small", "slabs", "of them of one page, for want of a run", small_},
            {"slabs_destroyed", "slabs", "slabs unmarked and given back", destroyed_},
            late_statistic()};
  }

  const unsigned order_;
  const std::uint64_t keep_;
  Slabs slabs_;                              // by first page
  std::list<Pfn> partial_;                   // their first pages
  std::vector<std::optional<Pfn>> current_;  // by core
  std::uint64_t free_ = 0, made_ = 0, small_ = 0, destroyed_ = 0;
};

const Allocators::Entry slab_entry{{
    .name = "slab",
    .description = "objects of a slab cache whose slabs are marked as a whole",
    .rank = 2,
    .pools = true,
    .parameters = {{"order", "order of a run", "size of a slab (3: what SLUB has for 4 KB)", "3",
                    ParameterInfo::Kind::kNumber, 0, kMaxOrder},
                   {"keep", "slabs", "on the partial list, from which on an empty slab goes", "6",
                    ParameterInfo::Kind::kNumber, 0, 1u << 20}},
    .make = make_allocator_of<SlabTables>,
}};

}  // namespace
}  // namespace kpksim::kernel
