#include "sim/kernel/buddy.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "sim/base/error.h"
#include "sim/kernel/observer.h"

namespace kpksim::kernel {

Buddy::Buddy(Pfn first, std::uint64_t count, std::uint64_t taken)
    : first_(first),
      count_(count),
      free_pages_(count - taken),
      nodes_(count, Touched::kUpward),
      block_type_((count >> kBlockOrder) + 1),
      fresh_(std::min(align_up(taken, kLargest), align_down(count, kLargest))),
      fresh_end_(align_down(count, kLargest)) {
  for (Heads& heads : heads_) heads.fill(kNone);
  if (!is_aligned(first.value, kLargest)) throw ModelError("zone start is not aligned");
  if (taken > fresh_end_) throw InputError("memory is too small for its own linear map");
  // Runs at the end, too small for the largest order; from the top down, so that the lowest is at
  // the head of its list.
  for (std::uint64_t end = count; end > fresh_end_;) {
    const auto order = static_cast<unsigned>(std::countr_zero(end));
    end -= 1ull << order;
    push(end, order);
  }
  for (std::uint64_t block = 0; block < fresh_ >> kBlockOrder; ++block) {
    block_type_[block] = Mobility::kUnmovable;
  }
  // What single pages leave of the last run that they were taken from.
  for (std::uint64_t at = taken; at < fresh_;) {
    const auto order = static_cast<unsigned>(std::countr_zero(at));
    push(at, order);
    at += 1ull << order;
  }
}

std::uint64_t Buddy::head(Mobility mobility, unsigned order) {
  const std::uint64_t listed = lists(mobility)[order];
  if (listed != kNone || order != kMaxOrder || mobility != Mobility::kMovable) return listed;
  if (fresh_ == fresh_end_) return kNone;
  push(fresh_, kMaxOrder);
  fresh_ += kLargest;
  return fresh_ - kLargest;
}

void Buddy::push(std::uint64_t i, unsigned order) {
  std::uint64_t& head = lists_of(i)[order];
  nodes_[i] = Node::run(order, head, kNone);
  if (head != kNone) nodes_[head].previous = i;
  head = i;
}

void Buddy::remove(std::uint64_t i) {
  Node& node = nodes_[i];
  if (node.previous != kNone) {
    nodes_[node.previous].set_next(node.next());
  } else {
    lists_of(i)[node.order()] = node.next();
  }
  if (node.next() != kNone) nodes_[node.next()].previous = node.previous;
  node.clear();
}

// __rmqueue_fallback(): the largest run of the other type changes lists, and the blocks that it
// covers change their type.
bool Buddy::steal(unsigned order, Mobility mobility) {
  const Mobility other = mobility == Mobility::kMovable ? Mobility::kUnmovable : Mobility::kMovable;
  for (unsigned from = kMaxOrder + 1; from-- > order;) {
    const std::uint64_t i = head(other, from);
    if (i == kNone) continue;
    remove(i);
    const std::uint64_t blocks = from > kBlockOrder ? 1ull << (from - kBlockOrder) : 1;
    // Other free runs of a block that changes its type go with it (move_freepages_block).
    std::vector<std::pair<std::uint64_t, unsigned>> rest;
    if (from < kBlockOrder) {
      const std::uint64_t start = align_down(i, 1ull << kBlockOrder);
      for (std::uint64_t at = start; at < start + (1ull << kBlockOrder) && at < count_;) {
        if (!nodes_[at].in_zone()) {
          ++at;
          continue;
        }
        const unsigned free = nodes_[at].order();
        rest.emplace_back(at, free);
        remove(at);
        at += 1ull << free;
      }
    }
    for (std::uint64_t b = 0; b < blocks; ++b) block_type_[(i >> kBlockOrder) + b] = mobility;
    for (const auto& [at, free] : rest) push(at, free);
    push(i, from);
    return true;
  }
  return false;
}

unsigned Buddy::find(unsigned order, Mobility mobility) {
  const auto smallest = [&] {
    unsigned from = order;
    while (from <= kMaxOrder && head(mobility, from) == kNone) ++from;
    return from;
  };
  const unsigned from = smallest();
  if (from <= kMaxOrder || mobility == Mobility::kPageTable) return from;
  return steal(order, mobility) ? smallest() : from;
}

std::uint64_t Buddy::take(unsigned order, Mobility mobility) {
  unsigned from = find(order, mobility);
  if (from > kMaxOrder) return kNone;
  const std::uint64_t i = head(mobility, from);
  remove(i);
  while (from > order) {  // the upper halves go back
    --from;
    push(i + (1ull << from), from);
  }
  return i;
}

std::optional<Pfn> Buddy::allocate(unsigned order, Mobility mobility) {
  std::uint64_t i = take(order, mobility);
  if (i == kNone && mobility != Mobility::kPageTable) {
    drain();
    i = take(order, mobility);
  }
  if (i == kNone) return std::nullopt;
  if (mobility != Mobility::kPageTable) free_pages_ -= 1ull << order;
  return first_ + i;
}

bool Buddy::is_free(Pfn pfn) const {
  const std::uint64_t i = pfn - first_;
  if (i >= fresh_ && i < fresh_end_) return true;
  for (unsigned order = 0; order <= kMaxOrder; ++order) {
    const Node& node = nodes_[align_down(i, 1ull << order)];
    if (node.free() && node.order() >= order) return true;
  }
  return false;
}

std::optional<Pfn> Buddy::claim_block() {
  const auto block = allocate(kBlockOrder, Mobility::kUnmovable);
  if (!block) return std::nullopt;
  block_type_[(*block - first_) >> kBlockOrder] = Mobility::kPageTable;
  push(*block - first_, kBlockOrder);
  return block;
}

void Buddy::release_block(Pfn block) {
  if (!is_claimed(block) || !is_free_block(block)) throw ModelError("a block in use is released");
  remove(block - first_);
  block_type_[(block - first_) >> kBlockOrder] = Mobility::kUnmovable;
  free(block, kBlockOrder);
}

void Buddy::list_fresh(std::uint64_t end) {
  std::uint64_t& head = lists(Mobility::kMovable)[kMaxOrder];
  std::uint64_t tail = head;
  while (tail != kNone && nodes_[tail].next() != kNone) tail = nodes_[tail].next();
  for (; fresh_ < std::min(end, fresh_end_); fresh_ += kLargest) {
    nodes_[fresh_] = Node::run(kMaxOrder, kNone, tail);
    if (tail == kNone) {
      head = fresh_;
    } else {
      nodes_[tail].set_next(fresh_);
    }
    tail = fresh_;
  }
}

std::optional<Pfn> Buddy::allocate_contiguous(unsigned order) {
  drain();
  const std::uint64_t frames = 1ull << order;
  // The free run that starts at `at`, in frames; 0 if none does.
  const auto run_at = [&](std::uint64_t at) -> std::uint64_t {
    if (at >= fresh_ && at < fresh_end_) return kLargest;
    if (!nodes_[at].in_zone() || is_claimed(first_ + at)) return 0;
    return 1ull << nodes_[at].order();
  };
  for (std::uint64_t start = align_up(first_.value, frames) - first_.value;
       start + frames <= count_; start += frames) {
    const std::uint64_t end = start + frames;
    std::uint64_t at = start;
    while (at < end && run_at(at) != 0) at += run_at(at);
    if (at < end) continue;
    if (end > fresh_) list_fresh(end);
    for (at = start; at < end;) {
      const std::uint64_t run = at;
      at += run_at(run);
      remove(run);
    }
    free_pages_ -= frames;
    return first_ + start;
  }
  return std::nullopt;
}

std::uint64_t Buddy::freed(Pfn pfn, unsigned order) const {
  if (observer_ != nullptr) observer_->frames_freed(pfn, order);
  const std::uint64_t i = pfn - first_;
  const bool fresh = i >= fresh_ && i < fresh_end_;
  if (i >= count_ || fresh || nodes_[i].free()) throw ModelError("a free page is freed again");
  return i;
}

void Buddy::free(Pfn pfn, unsigned order) {
  const std::uint64_t i = freed(pfn, order);
  if (!is_claimed(pfn)) free_pages_ += 1ull << order;
  merge(i, order);
}

void Buddy::merge(std::uint64_t i, unsigned order) {
  const bool claimed = is_claimed(first_ + i);
  for (; order < kMaxOrder; ++order) {
    const std::uint64_t buddy = i ^ (1ull << order);
    // A claimed block never merges with another.
    if (order == kBlockOrder && (claimed || (buddy < count_ && is_claimed(first_ + buddy)))) break;
    if (buddy >= count_ || !nodes_[buddy].in_zone() || nodes_[buddy].order() != order) break;
    remove(buddy);
    i &= buddy;
  }
  push(i, order);
}

void Buddy::free_range(Pfn first, std::uint64_t count) {
  while (count != 0) {
    const auto aligned = static_cast<unsigned>(std::countr_zero(first - first_));
    const unsigned fits = static_cast<unsigned>(std::bit_width(count)) - 1;
    const unsigned order = std::min({aligned, fits, kMaxOrder});
    free(first, order);
    first += 1ull << order;
    count -= 1ull << order;
  }
}

}  // namespace kpksim::kernel
