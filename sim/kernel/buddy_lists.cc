// The page allocator as a core calls it: its own lists of free pages first.

#include <algorithm>
#include <bit>

#include "sim/cpu/core.h"
#include "sim/kernel/buddy.h"

namespace kpksim::kernel {

void Buddy::set_lists(unsigned cores, const PcpLimits& limits) {
  of_cores_.assign(cores, PerCpuPages(kNone));
  limits_ = limits;
}

// rmqueue_pcplist(). What other cores hold is the last resort of __alloc_pages_slowpath(), which a
// larger folio does not get to: a smaller one will do (GFP_TRANSHUGE_LIGHT).
bool Buddy::take(const cpu::Core& core, unsigned order, Mobility mobility, Pfn& page) {
  if (of_cores_.empty() || !PerCpuPages::holds(order)) {
    const auto found = allocate(order, mobility);
    page = found.value_or(Pfn());
    return found.has_value();
  }
  PerCpuPages& own = of_cores_[core.id()];
  const std::size_t list = PerCpuPages::index(order, mobility == Mobility::kMovable);
  own.allocating();
  if (own.lists[list].first == kNone && !refill(own, list, order, mobility)) {
    if (order != 0 && mobility == Mobility::kMovable) return false;
    drain();
    if (!refill(own, list, order, mobility)) return false;
  }
  const std::uint64_t i = own.lists[list].first;
  unlist(own, list, i);
  free_pages_ -= 1ull << order;
  page = first_ + i;
  return true;
}

// free_unref_page(): the list is that of the block's type now.
std::uint64_t Buddy::free(const cpu::Core& core, Pfn pfn, unsigned order) {
  if (of_cores_.empty() || !PerCpuPages::holds(order) || is_claimed(pfn)) {
    free(pfn, order);
    return 0;
  }
  const std::uint64_t i = freed(pfn, order);
  free_pages_ += 1ull << order;
  PerCpuPages& own = of_cores_[core.id()];
  const bool movable = block_type_[i >> kBlockOrder] == Mobility::kMovable;
  const std::size_t at = PerCpuPages::index(order, movable);
  PerCpuPages::List& list = own.lists[at];
  nodes_[i] = Node::listed(order, list.first, kNone);
  (list.first == kNone ? list.last : nodes_[list.first].previous) = i;
  list.first = i;
  own.count += 1ull << order;
  const std::uint64_t pages = own.overflow(limits_, order);
  return pages == 0 ? 0 : give_back(own, pages, at);
}

// rmqueue_bulk(): in the order in which the zone has them. What one after the other would take of a
// larger run, from its start on, and would leave of it, is taken and left at once.
bool Buddy::refill(PerCpuPages& own, std::size_t at, unsigned order, Mobility mobility) {
  PerCpuPages::List& list = own.lists[at];
  const std::uint64_t batch = own.refill(limits_, order) << order;
  std::uint64_t taken = 0;
  while (taken < batch) {
    const unsigned from = find(order, mobility);
    if (from > kMaxOrder) break;
    const std::uint64_t start = head(mobility, from), end = start + (1ull << from);
    remove(start);
    std::uint64_t i = start;
    for (; i != end && taken < batch; i += 1ull << order, taken += 1ull << order) {
      nodes_[i] = Node::listed(order, kNone, list.last);
      if (list.last == kNone) {
        list.first = i;
      } else {
        nodes_[list.last].set_next(i);
      }
      list.last = i;
    }
    while (i != end) {
      const auto left = static_cast<unsigned>(std::countr_zero(i));
      push(i, left);
      i += 1ull << left;
    }
  }
  own.count += taken;
  return list.first != kNone;
}

void Buddy::unlist(PerCpuPages& own, std::size_t at, std::uint64_t i) {
  PerCpuPages::List& list = own.lists[at];
  Node& node = nodes_[i];
  if (node.previous == kNone) {
    list.first = node.next();
  } else {
    nodes_[node.previous].set_next(node.next());
  }
  (node.next() == kNone ? list.last : nodes_[node.next()].previous) = node.previous;
  own.count -= 1ull << node.order();
  node.clear();
}

// free_pcppages_bulk(): the oldest runs of one list, then of the next. Returns how many runs.
std::uint64_t Buddy::give_back(PerCpuPages& own, std::uint64_t pages, std::size_t at) {
  std::uint64_t runs = 0;
  for (pages = std::min(pages, own.count); pages != 0; at = (at + 1) % PerCpuPages::kLists) {
    while (pages != 0 && own.lists[at].last != kNone) {
      const std::uint64_t i = own.lists[at].last;
      const unsigned order = nodes_[i].order();
      unlist(own, at, i);
      merge(i, order);
      pages -= std::min<std::uint64_t>(pages, 1ull << order);
      ++runs;
    }
  }
  return runs;
}

void Buddy::drain() {
  for (PerCpuPages& own : of_cores_) give_back(own, own.count, 0);
}

}  // namespace kpksim::kernel
