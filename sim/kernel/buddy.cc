#include "sim/kernel/buddy.h"

#include "sim/base/error.h"

namespace kpksim::kernel {

Buddy::Buddy(Pfn first, std::uint64_t count)
    : first_(first),
      count_(count),
      nodes_(count),
      block_type_((count >> kBlockOrder) + 1, Mobility::kMovable) {
  for (Heads& heads : heads_) heads.fill(kNone);
  if (!is_aligned(first.value, 1ull << kMaxOrder)) throw ModelError("zone start is not aligned");
  // From the top down, so that the lowest run is at the head of its list.
  std::uint64_t end = count;
  while (end > 0) {
    unsigned order = kMaxOrder;
    while (!is_aligned(end, 1ull << order) || (1ull << order) > end) --order;
    end -= 1ull << order;
    push(static_cast<std::uint32_t>(end), order);
    free_pages_ += 1ull << order;
  }
}

void Buddy::push(std::uint32_t i, unsigned order) {
  Node& node = nodes_[i];
  std::uint32_t& head = lists_of(i)[order];
  node = {head, kNone, static_cast<std::int8_t>(order)};
  if (node.next != kNone) nodes_[node.next].previous = i;
  head = i;
}

void Buddy::remove(std::uint32_t i) {
  Node& node = nodes_[i];
  if (node.previous != kNone) {
    nodes_[node.previous].next = node.next;
  } else {
    lists_of(i)[static_cast<unsigned char>(node.free_order)] = node.next;
  }
  if (node.next != kNone) nodes_[node.next].previous = node.previous;
  node.free_order = -1;
}

// __rmqueue_fallback(): the largest run of the other type changes lists, and the blocks that it
// covers change their type.
bool Buddy::steal(unsigned order, Mobility mobility) {
  const Mobility other = mobility == Mobility::kMovable ? Mobility::kUnmovable : Mobility::kMovable;
  for (unsigned from = kMaxOrder + 1; from-- > order;) {
    const std::uint32_t i = lists(other)[from];
    if (i == kNone) continue;
    remove(i);
    const std::uint32_t blocks = from > kBlockOrder ? 1u << (from - kBlockOrder) : 1u;
    // Other free runs of a block that changes its type go with it (move_freepages_block).
    std::vector<std::pair<std::uint32_t, unsigned>> rest;
    if (from < kBlockOrder) {
      const std::uint32_t start = i >> kBlockOrder << kBlockOrder;
      for (std::uint32_t at = start; at < start + (1u << kBlockOrder) && at < count_;) {
        if (nodes_[at].free_order < 0) {
          ++at;
          continue;
        }
        const unsigned free = static_cast<unsigned char>(nodes_[at].free_order);
        rest.emplace_back(at, free);
        remove(at);
        at += 1u << free;
      }
    }
    for (std::uint32_t b = 0; b < blocks; ++b) block_type_[(i >> kBlockOrder) + b] = mobility;
    for (const auto& [at, free] : rest) push(at, free);
    push(i, from);
    return true;
  }
  return false;
}

std::optional<Pfn> Buddy::allocate(unsigned order, Mobility mobility) {
  const Heads& heads = lists(mobility);
  unsigned from = order;
  while (from <= kMaxOrder && heads[from] == kNone) ++from;
  if (from > kMaxOrder) {
    if (!steal(order, mobility)) return std::nullopt;
    from = order;
    while (heads[from] == kNone) ++from;
  }
  const std::uint32_t i = heads[from];
  remove(i);
  while (from > order) {  // the upper halves go back
    --from;
    push(i + (1u << from), from);
  }
  free_pages_ -= 1ull << order;
  return first_ + i;
}

void Buddy::free(Pfn pfn, unsigned order) {
  auto i = static_cast<std::uint32_t>(pfn - first_);
  if (i >= count_ || nodes_[i].free_order >= 0) throw ModelError("a free page is freed again");
  free_pages_ += 1ull << order;
  for (; order < kMaxOrder; ++order) {
    const std::uint32_t buddy = i ^ (1u << order);
    if (buddy >= count_ || nodes_[buddy].free_order != static_cast<std::int8_t>(order)) break;
    remove(buddy);
    i &= buddy;
  }
  push(i, order);
}

}  // namespace kpksim::kernel
