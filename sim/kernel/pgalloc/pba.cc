// The pkeys block allocator of v6, for block-mapped linear maps: a list of cached, keyed pages,
// refilled by runs of order 9, 4 or 2 that are keyed with one set_memory_pkey() each. A free puts
// the page back at the head of the list, still keyed; the shrinker unkeys and releases.

#include <algorithm>
#include <list>
#include <map>

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
    refill(core);
    key_boot_tables(core);
  }

  Pfn allocate_for_split(cpu::Core&) override {
    if (cached_.empty()) throw InputError("out of memory: pba has no page for a split");
    return pop();
  }

  std::uint64_t shrink(cpu::Core& core, std::uint64_t count) override {
    const Because shrinking(core, Cause::kShrink);
    std::uint64_t freed = 0;
    while (freed < count && cached_.size() >= kKeep + kBlockPages && release_whole_block(core)) {
      freed += kBlockPages;
    }
    while (freed < count && cached_.size() > kKeep) {
      if (!release_single(core)) {
        if (!break_up_a_block()) break;
        continue;
      }
      ++freed;
    }
    statistics_.cached = cached_.size();
    return freed;
  }

 private:
  Pfn take(cpu::Core& core) override {
    if (cached_.size() <= kReserve) {
      const Because keying(core, Cause::kKeying);
      refill(core);
    }
    const Pfn pfn = pop();
    context_.tables.protection().begin_write(core);
    zero(core, pfn);
    context_.tables.protection().end_write(core);
    return pfn;
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

  void refill(cpu::Core& core) {
    for (const unsigned order : {9u, 4u, 2u}) {
      const auto run = context_.buddy.allocate(order, Mobility::kUnmovable);
      if (!run) continue;
      ++(order == 9 ? statistics_.refill9 : order == 4 ? statistics_.refill4 : statistics_.refill2);
      const std::uint64_t pages = 1ull << order;
      // The first refill feeds the split of its own block: its pages are keyed with the rest of it.
      const bool first = cached_.empty();
      if (first) cache(*run, order);
      context_.linear_map.set_memory_pkey(core, *run, pages, kPkeyPgtables);
      if (!first) cache(*run, order);
      statistics_.cached = cached_.size();
      return;
    }
    if (cached_.size() > 0) return;  // eats into the reserve before it gives up
    throw InputError("out of memory: pba cannot refill (give the machine more --memory)");
  }

  // split_page(): the pages are single ones from now on; the first is handed out first
  void cache(Pfn run, unsigned order) {
    if (order == 9) blocks_[run] = kBlockPages;
    for (std::uint64_t i = 1ull << order; i-- > 0;) cached_.push_front(run + i);
  }

  static Pfn block_of(Pfn pfn) { return Pfn(align_down(pfn.value, kBlockPages)); }

  bool release_whole_block(cpu::Core& core) {
    const auto whole = std::find_if(blocks_.begin(), blocks_.end(),
                                    [](const auto& b) { return b.second == kBlockPages; });
    if (whole == blocks_.end()) return false;
    const Pfn first = whole->first;
    cached_.remove_if([&](Pfn pfn) { return block_of(pfn) == first; });
    blocks_.erase(whole);
    context_.linear_map.set_memory_pkey(core, first, kBlockPages, kPkeyDefault);
    context_.buddy.free(first, 9);
    ++statistics_.shrunk_blocks;
    return true;
  }

  bool release_single(cpu::Core& core) {
    const auto single = std::find_if(cached_.begin(), cached_.end(),
                                     [&](Pfn pfn) { return !blocks_.contains(block_of(pfn)); });
    if (single == cached_.end()) return false;
    const Pfn pfn = *single;
    cached_.erase(single);
    context_.linear_map.set_memory_pkey(core, pfn, 1, kPkeyDefault);
    context_.buddy.free(pfn, 0);
    ++statistics_.shrunk_pages;
    return true;
  }

  // The block with the most free pages stops being one, if it has enough of them.
  bool break_up_a_block() {
    const auto fullest =
        std::max_element(blocks_.begin(), blocks_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (fullest == blocks_.end() || fullest->second < kWorthBreaking) return false;
    blocks_.erase(fullest);
    return true;
  }

  std::list<Pfn> cached_;
  std::map<Pfn, std::uint64_t> blocks_;  // whole 2 MB blocks -> how many of their pages are cached
};

}  // namespace

std::unique_ptr<PageTableAllocator> make_pba(AllocatorContext context) {
  return std::make_unique<Pba>(context);
}

}  // namespace kpksim::kernel
