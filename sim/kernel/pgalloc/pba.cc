// The pkeys block allocator of v6, for block-mapped linear maps: a list of cached, keyed pages,
// refilled by runs of order 9, 4 or 2 that are keyed with one set_memory_pkey() each. A free puts
// the page back at the head of the list, still keyed; the shrinker unkeys and releases.

#include <algorithm>
#include <list>
#include <map>
#include <optional>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

constexpr std::size_t kReserve = 4;  // pages kept for splits of the linear map
constexpr std::size_t kKeep = 16;    // what the shrinker leaves
constexpr std::uint64_t kBlockPages = 512;
constexpr std::uint64_t kWorthBreaking = kBlockPages / 8;

class Pba final : public PageTableAllocator {
 public:
  using PageTableAllocator::PageTableAllocator;

  void boot(cpu::Core& core) override {
    const Because boot(core, Cause::kBoot);
    refill(core, false);
    key_boot_tables(core);
  }

  Pfn allocate_for_split(cpu::Core&) override {
    if (cached_.empty()) throw InputError("out of memory: pba has no page for a split");
    return pop();
  }

 private:
  using Blocks = std::map<Pfn, std::uint64_t>;

  Pfn take(cpu::Core& core) override {
    std::optional<Pfn> pfn;
    if (cached_.size() <= kReserve) {
      const Because keying(core, Cause::kKeying);
      pfn = refill(core, true);
    }
    if (!pfn) pfn = pop();
    context_.tables.protection().begin_write(core);
    zero(core, *pfn);
    context_.tables.protection().end_write(core);
    return *pfn;
  }

  void give_back(cpu::Core&, Pfn pfn) override {
    cached_.push_front(pfn);
    if (const auto block = blocks_.find(block_of(pfn)); block != blocks_.end()) ++block->second;
    statistics_.cached = cached_.size();
  }

  Pfn pop() {
    const Pfn pfn = cached_.front();
    cached_.pop_front();
    if (const auto block = blocks_.find(block_of(pfn)); block != blocks_.end()) --block->second;
    statistics_.cached = cached_.size();
    return pfn;
  }

  // __refill_pages(). `hand_out`: the run's first page is not cached but returned.
  std::optional<Pfn> refill(cpu::Core& core, bool hand_out) {
    for (const unsigned order : {9u, 4u, 2u}) {
      const auto run = context_.buddy.allocate(order, Mobility::kUnmovable);
      if (!run) continue;
      ++(order == 9 ? statistics_.refill9 : order == 4 ? statistics_.refill4 : statistics_.refill2);
      const std::uint64_t pages = 1ull << order;
      // The first refill feeds the split of its own block: its pages are keyed with the rest of it.
      const bool first = cached_.empty();
      if (first) cache(*run, order, hand_out);
      context_.linear_map.set_memory_pkey(core, *run, pages, kPkeyPgtables);
      if (!first) cache(*run, order, hand_out);
      statistics_.cached = cached_.size();
      if (hand_out) return *run;
      return std::nullopt;
    }
    if (cached_.empty()) {
      throw InputError("out of memory: pba cannot refill (give the machine more --memory)");
    }
    return std::nullopt;  // eats into the reserve before it gives up
  }

  // split_page(): the pages are single ones from now on. Each goes to the head: the last is first.
  void cache(Pfn run, unsigned order, bool without_first) {
    const std::uint64_t pages = 1ull << order;
    if (order == 9) blocks_[run] = without_first ? pages - 1 : pages;
    for (std::uint64_t i = without_first ? 1 : 0; i < pages; ++i) cached_.push_front(run + i);
  }

  static Pfn block_of(Pfn pfn) { return Pfn(align_down(pfn.value, kBlockPages)); }

  std::uint64_t shrinkable() const override {
    return cached_.size() - std::min(cached_.size(), kKeep);
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
        target->second >= kWorthBreaking) {
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
    statistics_.cached = cached_.size();
    blocks_.erase(block);
    context_.linear_map.set_memory_pkey(core, first, kBlockPages, kPkeyDefault);
    context_.buddy.free(first, 9);
    ++statistics_.shrunk_blocks;
  }

  // `count` cached pages of `target`, which is no block from now on, or of no block.
  std::uint64_t release_pages(cpu::Core& core, Blocks::iterator target, std::uint64_t count) {
    std::list<Pfn> gone;
    for (auto it = cached_.begin(); it != cached_.end() && gone.size() < count;) {
      const auto page = it++;
      if (blocks_.find(block_of(*page)) == target) gone.splice(gone.begin(), cached_, page);
    }
    statistics_.cached = cached_.size();
    if (target != blocks_.end()) blocks_.erase(target);
    for (const Pfn pfn : gone) {
      context_.linear_map.set_memory_pkey(core, pfn, 1, kPkeyDefault);
      context_.buddy.free(pfn, 0);
    }
    statistics_.shrunk_pages += gone.size();
    return gone.size();
  }

  std::list<Pfn> cached_;
  Blocks blocks_;  // whole 2 MB blocks -> how many of their pages are cached
};

}  // namespace

std::unique_ptr<PageTableAllocator> make_pba(AllocatorContext context) {
  return std::make_unique<Pba>(context);
}

}  // namespace kpksim::kernel
