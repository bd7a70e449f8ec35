#include "sim/kernel/keyed_pool.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"

namespace kpksim::kernel {

using Share = KeyedPool::Share;

KeyedPool::KeyedPool(Buddy& buddy, std::vector<std::uint64_t> orders)
    : buddy_(buddy), orders_(std::move(orders)) {}
KeyedPool::~KeyedPool() = default;

Share& KeyedPool::join(PoolClient& client, const Settings& settings) {
  return shares_.emplace_back(*this, client, settings);
}

// pba_init() fills the cache when nothing can be marked yet; pba_init_late() marks that run.
void Share::fill(cpu::Core& core) {
  const auto [run, order] = allocate_run();
  cache(run, order, false);
  client_.mark_run(core, run, 1ull << order);
}

Pfn Share::take(cpu::Core& core) {
  if (cached_.size() > settings_.reserve) return pop();
  const Because keying(core, Cause::kKeying);
  // The mutex is not held yet: another share's reserve can still be filled up for the splits to
  // come. Inside, its refill would wait for the mutex that this one holds.
  for (Share& other : pool_.shares_) {
    if (&other != this) other.replenish(core);
  }
  if (Share* from = lender()) {
    const Pfn pfn = from->lend();
    ++borrowed_;
    pool_.refilling_ = true;
    client_.mark_run(core, pfn, 1);
    pool_.refilling_ = false;
    return pfn;
  }
  return refill(core, true);
}

Pfn Share::take_reserved() {
  if (cached_.empty()) throw InputError("out of memory: the pool has no page for a split");
  return pop();
}

void Share::give_back(Pfn pfn) {
  cached_.push_front(pfn);
  if (const auto block = blocks_.find(block_of(pfn)); block != blocks_.end()) ++block->second;
}

void Share::replenish(cpu::Core& core) {
  if (pool_.refilling_ || cached_.size() >= settings_.reserve) return;
  ++replenished_;
  refill(core, false);
}

Pfn Share::pop() {
  const Pfn pfn = cached_.front();
  cached_.pop_front();
  if (const auto block = blocks_.find(block_of(pfn)); block != blocks_.end()) --block->second;
  return pfn;
}

// The largest run that there is. Without one the reserve stays, and the allocation fails.
std::pair<Pfn, unsigned> Share::allocate_run() {
  for (std::size_t i = 0; i < pool_.orders_.size(); ++i) {
    const auto order = static_cast<unsigned>(pool_.orders_[i]);
    const auto run = pool_.buddy_.allocate(order, Mobility::kUnmovable);
    if (!run) continue;
    ++refills_[i];
    return {*run, order};
  }
  throw InputError("out of memory: the pool cannot refill (give the machine more --memory)");
}

Pfn Share::refill(cpu::Core& core, bool hand_out) {
  const auto [run, order] = allocate_run();
  pool_.refilling_ = true;
  client_.mark_run(core, run, 1ull << order);
  pool_.refilling_ = false;
  cache(run, order, hand_out);
  return run;
}

// split_page(): the pages are single ones from now on. Each goes to the head: the last is first.
void Share::cache(Pfn run, unsigned order, bool without_first) {
  const std::uint64_t pages = 1ull << order;
  if (order == kBlockOrder) blocks_[run] = without_first ? pages - 1 : pages;
  for (std::uint64_t i = without_first ? 1 : 0; i < pages; ++i) cached_.push_front(run + i);
}

// The share that could give most pages back; nullptr: none could.
Share* Share::lender() {
  Share* most = nullptr;
  for (Share& other : pool_.shares_) {
    if (&other == this || other.shrinkable() == 0) continue;
    if (most == nullptr || other.shrinkable() > most->shrinkable()) most = &other;
  }
  return most;
}

// The page that has waited longest. Its block is none from now on: a page of it has another key.
Pfn Share::lend() {
  const Pfn pfn = cached_.back();
  cached_.pop_back();
  blocks_.erase(block_of(pfn));
  return pfn;
}

std::uint64_t Share::shrinkable() const {
  return cached_.size() - std::min<std::uint64_t>(cached_.size(), settings_.keep);
}

std::uint64_t Share::scan(cpu::Core& core, std::uint64_t count) {
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
      target->second >= settings_.worth_breaking) {
    count = std::min(count, target->second);
  } else {
    count = std::min(count, outside);
    target = blocks_.end();
  }
  return release_pages(core, target, std::min(count, most));
}

void Share::release_block(cpu::Core& core, Blocks::iterator block) {
  const Pfn first = block->first;
  cached_.remove_if([&](Pfn pfn) { return block_of(pfn) == first; });
  blocks_.erase(block);
  client_.unmark_run(core, first, kBlockPages);
  pool_.buddy_.free(first, kBlockOrder);
  ++shrunk_blocks_;
}

// `count` cached pages of `target`, which is no block from now on, or of no block.
std::uint64_t Share::release_pages(cpu::Core& core, Blocks::iterator target, std::uint64_t count) {
  std::list<Pfn> gone;
  for (auto it = cached_.begin(); it != cached_.end() && gone.size() < count;) {
    const auto page = it++;
    if (blocks_.find(block_of(*page)) == target) gone.splice(gone.begin(), cached_, page);
  }
  if (target != blocks_.end()) blocks_.erase(target);
  for (const Pfn pfn : gone) {
    client_.unmark_run(core, pfn, 1);
    pool_.buddy_.free(pfn, 0);
  }
  shrunk_pages_ += gone.size();
  return gone.size();
}

}  // namespace kpksim::kernel
