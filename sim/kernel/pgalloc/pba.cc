// The pkeys block allocator of v6, for block-mapped linear maps: a list of cached, marked pages,
// refilled by runs of order 9, 4 or 2 that are marked with one call each. A free puts the page back
// at the head of the list, still marked; the shrinker unmarks and releases.

#include <fmt/core.h>

#include <algorithm>
#include <list>
#include <map>
#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

constexpr unsigned kBlockOrder = kPmdShift - kPageShift;
constexpr std::uint64_t kBlockPages = 1u << kBlockOrder;

class Pba final : public PageTableAllocator {
 public:
  Pba(const AllocatorContext& context, const Parameters& p)
      : PageTableAllocator(context),
        orders_(p.numbers("orders")),
        reserve_(p.number("reserve")),
        keep_(p.number("keep")),
        worth_breaking_(p.number("break")),
        as_ppa_(p.is_on("ppa")),
        refills_(orders_.size()) {}

  // pba_init() fills the cache when nothing can be marked yet; pba_init_late() marks that run, and
  // splits in doing so may use its pages.
  void boot(cpu::Core& core) override {
    const Because boot(core, Cause::kBoot);
    const auto [run, order] = allocate_run();
    cache(run, order, false);
    context_.protection.mark(core, run, 1ull << order, TableKind::kPool);
    if (as_ppa_) {
      mark_boot_ranges(core);
    } else {
      mark_boot_tables(core);
    }
  }

  // pba_prepare_direct_map_split(). The splits of a refill itself have the reserve, whose other
  // half is for all others: one that is not full is filled first.
  void prepare_split(cpu::Core& core) override {
    if (refilling_ || cached_.size() >= reserve_) return;
    ++replenished_;
    refill(core, false);
  }
  Pfn allocate_for_split(cpu::Core&) override {
    if (cached_.empty()) throw InputError("out of memory: pba has no page for a split");
    return pop();
  }

 private:
  using Blocks = std::map<Pfn, std::uint64_t>;

  Pfn take(cpu::Core& core, TableKind) override {
    const auto refilled = [&] {
      const Because keying(core, Cause::kKeying);
      return refill(core, true);
    };
    const Pfn pfn = cached_.size() > reserve_ ? pop() : refilled();
    zero_marked(core, pfn);
    return pfn;
  }

  void give_back(cpu::Core&, Pfn pfn) override {
    cached_.push_front(pfn);
    if (const auto block = blocks_.find(block_of(pfn)); block != blocks_.end()) ++block->second;
  }

  Pfn pop() {
    const Pfn pfn = cached_.front();
    cached_.pop_front();
    if (const auto block = blocks_.find(block_of(pfn)); block != blocks_.end()) --block->second;
    return pfn;
  }

  // The largest run that there is. Without one the reserve stays, and the allocation fails.
  std::pair<Pfn, unsigned> allocate_run() {
    for (std::size_t i = 0; i < orders_.size(); ++i) {
      const auto order = static_cast<unsigned>(orders_[i]);
      const auto run = context_.buddy.allocate(order, Mobility::kUnmovable);
      if (!run) continue;
      ++refills_[i];
      return {*run, order};
    }
    throw InputError("out of memory: pba cannot refill (give the machine more --memory)");
  }

  // __refill_pages(). `hand_out`: the run's first page is not cached. Returns that page.
  Pfn refill(cpu::Core& core, bool hand_out) {
    const auto [run, order] = allocate_run();
    refilling_ = true;  // alloc_mutex
    context_.protection.mark(core, run, 1ull << order, TableKind::kPool);
    refilling_ = false;
    cache(run, order, hand_out);
    return run;
  }

  // split_page(): the pages are single ones from now on. Each goes to the head: the last is first.
  void cache(Pfn run, unsigned order, bool without_first) {
    const std::uint64_t pages = 1ull << order;
    if (order == kBlockOrder) blocks_[run] = without_first ? pages - 1 : pages;
    for (std::uint64_t i = without_first ? 1 : 0; i < pages; ++i) cached_.push_front(run + i);
  }

  std::uint64_t cached() const override { return cached_.size(); }
  std::vector<OwnStatistic> own() const override {
    std::vector<OwnStatistic> out;
    for (std::size_t i = 0; i < orders_.size(); ++i) {
      out.push_back({fmt::format("refills_order_{}", orders_[i]), "refills",
                     fmt::format("refills with {} pages", 1u << orders_[i]), refills_[i]});
    }
    out.push_back(
        {"replenished", "refills", "refills of the reserve before a split", replenished_});
    out.push_back(
        {"shrunk_blocks", "blocks", "2 MB blocks released by the shrinker", shrunk_blocks_});
    out.push_back(
        {"shrunk_pages", "pages", "single pages released by the shrinker", shrunk_pages_});
    return out;
  }

  static Pfn block_of(Pfn pfn) { return Pfn(align_down(pfn.value, kBlockPages)); }

  std::uint64_t shrinkable() const override {
    return cached_.size() - std::min<std::uint64_t>(cached_.size(), keep_);
  }

  // pba_shrink_scan()
  std::uint64_t scan(cpu::Core& core, std::uint64_t count) override {
    const Because shrinking(core, Cause::kShrink);
    const std::uint64_t most = shrinkable();
    std::uint64_t outside = 0;                // pages that belong to no block
    Blocks::iterator target = blocks_.end();  // the block with most free pages
    for (const Pfn pfn : cached_) {
      const auto block = blocks_.find(block_of(pfn));
      if (block == blocks_.end()) {
        ++outside;
      } else if (target == blocks_.end() || block->second > target->second) {
        target = block;
        if (target->second == kBlockPages) break;
      }
    }
    if (target != blocks_.end() && target->second == kBlockPages) {
      if (most < kBlockPages) return 0;  // part of it would split the linear map
      release_block(core, target);
      return kBlockPages;
    }
    if (target != blocks_.end() && outside < std::min(target->second, count) &&
        target->second >= worth_breaking_) {
      count = std::min(count, target->second);
    } else {
      count = std::min(count, outside);
      target = blocks_.end();
    }
    return release_pages(core, target, std::min(count, most));
  }

  void release_block(cpu::Core& core, Blocks::iterator block) {
    const Pfn first = block->first;
    cached_.remove_if([&](Pfn pfn) { return block_of(pfn) == first; });
    blocks_.erase(block);
    context_.protection.unmark(core, first, kBlockPages);
    context_.buddy.free(first, kBlockOrder);
    ++shrunk_blocks_;
  }

  // `count` cached pages of `target`, which is no block from now on, or of no block.
  std::uint64_t release_pages(cpu::Core& core, Blocks::iterator target, std::uint64_t count) {
    std::list<Pfn> gone;
    for (auto it = cached_.begin(); it != cached_.end() && gone.size() < count;) {
      const auto page = it++;
      if (blocks_.find(block_of(*page)) == target) gone.splice(gone.begin(), cached_, page);
    }
    if (target != blocks_.end()) blocks_.erase(target);
    for (const Pfn pfn : gone) {
      context_.protection.unmark(core, pfn, 1);
      context_.buddy.free(pfn, 0);
    }
    shrunk_pages_ += gone.size();
    return gone.size();
  }

  const std::vector<std::uint64_t> orders_;
  const std::uint64_t reserve_, keep_, worth_breaking_;
  const bool as_ppa_;
  std::list<Pfn> cached_;
  Blocks blocks_;                       // whole 2 MB blocks -> how many of their pages are cached
  std::vector<std::uint64_t> refills_;  // by order
  bool refilling_ = false;
  std::uint64_t replenished_ = 0, shrunk_blocks_ = 0, shrunk_pages_ = 0;
};

const Allocators::Entry registered{{
    .name = "pba",
    .description = "marked pages cached, refilled by runs (pkeys block allocator of v6)",
    .rank = 2,
    .natural = Granularity::kBlock,
    .pools = true,
    .parameters = {{"orders", "order of a run", "sizes of a refill, tried from the first on",
                    "9/4/2", ParameterInfo::Kind::kNumbers, 2, 9},
                   {"reserve", "pages", "kept for splits of the linear map", "4",
                    ParameterInfo::Kind::kNumber, 4, 4096},
                   {"keep", "pages", "that the shrinker leaves", "16", ParameterInfo::Kind::kNumber,
                    4, 1u << 20},
                   {"break", "free pages", "from which on the shrinker takes a block apart", "64",
                    ParameterInfo::Kind::kNumber, 1, 512},
                   switch_parameter("ppa",
                                    "boot's tables as ppa:form=v6 has them, which gives the rest "
                                    "of their last 2 MB back and splits that block")},
    .early =
        [](Granularity map, const Parameters& p) {
          return p.is_on("ppa") || map == Granularity::kBlock ? EarlyTables::kRanges
                                                              : EarlyTables::kPages;
        },
    .against = [](Granularity map) -> std::string_view {
      if (map != Granularity::kPte) return {};
      return "it is for a linear map of blocks; with 'pte' nothing is ever split, and 'per-page' "
             "is what the series uses";
    },
    .make = make_allocator_of<Pba>,
}};

}  // namespace
}  // namespace kpksim::kernel
