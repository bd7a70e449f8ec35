#include "sim/kernel/buddy.h"

#include "sim/base/error.h"

namespace kpksim::kernel {

Buddy::Buddy(Pfn first, std::uint64_t count) : first_(first), count_(count), nodes_(count) {
  heads_.fill(kNone);
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
  node = {heads_[order], kNone, static_cast<std::int8_t>(order)};
  if (node.next != kNone) nodes_[node.next].previous = i;
  heads_[order] = i;
}

void Buddy::remove(std::uint32_t i) {
  Node& node = nodes_[i];
  if (node.previous != kNone)
    nodes_[node.previous].next = node.next;
  else
    heads_[static_cast<unsigned char>(node.free_order)] = node.next;
  if (node.next != kNone) nodes_[node.next].previous = node.previous;
  node.free_order = -1;
}

std::optional<Pfn> Buddy::allocate(unsigned order) {
  unsigned from = order;
  while (from <= kMaxOrder && heads_[from] == kNone) ++from;
  if (from > kMaxOrder) return std::nullopt;
  const std::uint32_t i = heads_[from];
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
