#include "sim/kernel/maple_tree.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kTop = ~0ull;
// mt_min_slots[]: with so many or fewer a node is joined with a sibling.
constexpr std::size_t kLeafMin = 6, kMin = 4;

}  // namespace

MapleTree::Leaf MapleTree::slots(const VmaTree& vmas, std::uint64_t from, std::uint64_t to) {
  Leaf leaf;
  std::uint64_t at = from;
  auto it = vmas.all().lower_bound(from);
  for (; it != vmas.all().end() && it->first < to; ++it) {
    if (it->first > at) leaf.push_back({at, false});
    leaf.push_back({it->first, true});
    at = it->second.end;
  }
  if (at < to) leaf.push_back({at, false});
  return leaf;
}

std::size_t MapleTree::leaf_of(std::uint64_t va) const {
  const auto above =
      std::upper_bound(leaves_.begin(), leaves_.end(), va,
                       [](std::uint64_t at, const Leaf& leaf) { return at < leaf.front().start; });
  return static_cast<std::size_t>(above - leaves_.begin()) - 1;
}

std::uint64_t MapleTree::end_of(std::size_t leaf) const {
  return leaf + 1 < leaves_.size() ? leaves_[leaf + 1].front().start : kTop;
}

std::size_t MapleTree::nodes(std::size_t level) const {
  return level == 0 ? leaves_.size() : levels_[level - 1].size();
}

// Of a node below `levels_[level]`.
std::size_t MapleTree::parent_of(std::size_t level, std::size_t node) const {
  std::size_t parent = 0;
  for (; node >= levels_[level][parent]; ++parent) node -= levels_[level][parent];
  return parent;
}

bool MapleTree::siblings(std::size_t level, std::size_t a, std::size_t b) const {
  return b < nodes(level) && parent_of(level, a) == parent_of(level, b);
}

void MapleTree::replace(Run run, const std::vector<Leaf>& leaves) {
  const auto first = leaves_.begin() + static_cast<std::ptrdiff_t>(run.first);
  const auto at = leaves_.erase(first, leaves_.begin() + static_cast<std::ptrdiff_t>(run.last) + 1);
  leaves_.insert(at, leaves.begin(), leaves.end());
}

// mab_no_null_split(): a leaf does not end with a gap.
std::size_t MapleTree::no_null_split(const Leaf& items, std::size_t wish) {
  if (items[wish - 1].vma) return wish;
  const bool more = wish < kLeafSlots && items.size() - wish > kLeafMin;
  return more ? wish + 1 : wish - 1;
}

// mas_wr_store_type() and what it leads to
MapleTree::Written MapleTree::store(const VmaTree& vmas, std::uint64_t start, std::uint64_t end) {
  Run run{leaf_of(start), leaf_of(end - 1)};
  while (run.last + 1 < leaves_.size() && vmas.end_below(end_of(run.last)) != end_of(run.last)) {
    ++run.last;  // the gap at the end goes on in the next leaf
  }
  Leaf items = slots(vmas, leaves_[run.first].front().start, end_of(run.last));
  if (run.first != run.last) return join(run, std::move(items), vmas);

  Leaf& leaf = leaves_[run.first];
  if (items.size() == leaf.size()) {
    std::size_t differ = 0;
    for (std::size_t i = 0; i < items.size(); ++i) differ += items[i] == leaf[i] ? 0 : 1;
    if (differ <= 1) {  // wr_exact_fit; wr_slot_store: one boundary has moved
      leaf = std::move(items);
      return {};
    }
  }
  if (items.size() > kLeafSlots) return split(run.first, items);
  if (items.size() <= kLeafMin && leaves_.size() > 1) return join(run, std::move(items), vmas);
  leaf = std::move(items);
  return {1, 1, false};  // wr_node_store
}

// mas_split() of a leaf: into a sibling that has room, or into two.
MapleTree::Written MapleTree::split(std::size_t leaf, const Leaf& items) {
  Written written{2, 1, true};
  const auto halves = [](const Leaf& all, std::size_t left) {
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(no_null_split(all, left));
    return std::vector<Leaf>{{all.begin(), middle}, {middle, all.end()}};
  };
  const auto push = [&](std::size_t left) {  // mas_push_data(); the parent is copied
    const bool to_left = left != leaf;
    const Leaf& sibling = leaves_[to_left ? left : leaf + 1];
    const std::size_t total = items.size() + sibling.size() - 2;
    const std::size_t space = 2 * kLeafSlots - 3 - (end_of(leaf) == kTop ? 1 : 0);
    if (total >= space) return false;
    Leaf all = to_left ? sibling : items;
    const Leaf& rest = to_left ? items : sibling;
    all.insert(all.end(), rest.begin(), rest.end());
    replace({left, left + 1}, halves(all, to_left ? kLeafSlots - 1 : total - kLeafSlots + 3));
    written.nodes += 1;
    written.freed += 2;
    return true;
  };
  if (!levels_.empty()) {
    if (leaf != 0 && siblings(0, leaf - 1, leaf) && push(leaf - 1)) return written;
    if (siblings(0, leaf, leaf + 1) && push(leaf)) return written;
  }
  const std::size_t parent = levels_.empty() ? 0 : parent_of(0, leaf);
  replace({leaf, leaf}, halves(items, (items.size() - 1) / 2 + 1));
  split_parent(0, parent, written);
  return written;
}

// One child more: it fits, or the node is split in turn.
void MapleTree::split_parent(std::size_t level, std::size_t node, Written& written) {
  if (level == levels_.size()) {  // a new root
    levels_.push_back({2});
    written.nodes += 1;
    return;
  }
  std::vector<std::size_t>& row = levels_[level];
  if (++row[node] <= kSlots) {
    written.nodes += 1;
    written.freed += 1;
    return;
  }
  const std::size_t parent = level + 1 == levels_.size() ? 0 : parent_of(level + 1, node);
  const std::size_t left = (row[node] - 1) / 2 + 1;
  row.insert(row.begin() + static_cast<std::ptrdiff_t>(node) + 1, row[node] - left);
  row[node] = left;
  written.nodes += 2;
  written.freed += 1;
  split_parent(level + 1, parent, written);
}

// mas_wr_spanning_store(), mas_rebalance(): what the leaves hold now is divided anew, with that of
// a sibling if it is little, and each level up to the root is written anew.
MapleTree::Written MapleTree::join(Run run, Leaf items, const VmaTree& vmas) {
  if (items.size() <= kLeafMin && run.last - run.first + 1 < leaves_.size()) {
    const bool next = run.first == 0 || siblings(0, run.last, run.last + 1) ||
                      (run.last + 1 < leaves_.size() && !siblings(0, run.first - 1, run.first));
    next ? ++run.last : --run.first;
    items = slots(vmas, leaves_[run.first].front().start, end_of(run.last));
  }
  std::vector<Leaf> leaves;
  while (!items.empty()) {
    const std::size_t parts = (items.size() - 1) / kLeafSlots + 1;
    const std::size_t n =
        parts == 1 ? items.size() : no_null_split(items, (items.size() - 1) / parts + 1);
    const auto middle = items.begin() + static_cast<std::ptrdiff_t>(n);
    leaves.emplace_back(items.begin(), middle);
    items.erase(items.begin(), middle);
  }
  // Leaves between the first and the last go with one callback (mt_destroy_walk()).
  Written written{static_cast<unsigned>(leaves.size()),
                  std::min(static_cast<unsigned>(run.last - run.first + 1), 3u), true};
  const std::size_t before = leaves_.size();
  replace(run, leaves);
  if (before > 1) join_parents(0, run, leaves.size(), written);
  return written;
}

// The nodes of `run` below levels_[level] have become `count`.
void MapleTree::join_parents(std::size_t level, Run run, std::size_t count, Written& written) {
  if (level == levels_.size()) {
    if (count > 1) {
      levels_.push_back({count});
      written.nodes += 1;
    }
    return;
  }
  std::vector<std::size_t>& row = levels_[level];
  Run parents{parent_of(level, run.first), parent_of(level, run.last)};
  const auto at = [&](std::size_t node) { return row.begin() + static_cast<std::ptrdiff_t>(node); };
  std::size_t children = std::accumulate(at(parents.first), at(parents.last) + 1, std::size_t{0}) -
                         (run.last - run.first + 1) + count;
  if (children <= kMin && row.size() > parents.last - parents.first + 1) {
    children += parents.last + 1 < row.size() ? row[++parents.last] : row[--parents.first];
  }
  written.freed += parents.first == parents.last ? 1 : 2;
  if (children == 1 && row.size() == parents.last - parents.first + 1) {  // the child is the root
    for (std::size_t above = level + 1; above < levels_.size(); ++above) {
      written.freed += static_cast<unsigned>(levels_[above].size());
    }
    levels_.resize(level);
    return;
  }
  const std::size_t parts = (children - 1) / kSlots + 1;
  row.erase(at(parents.first), at(parents.last) + 1);
  for (std::size_t i = 0; i < parts; ++i) {
    row.insert(at(parents.first + i), (children + i) / parts);
  }
  written.nodes += static_cast<unsigned>(parts);
  join_parents(level + 1, parents, parts, written);
}

std::vector<std::vector<std::size_t>> MapleTree::occupancy() const {
  std::vector<std::vector<std::size_t>> all(1);
  for (const Leaf& leaf : leaves_) all[0].push_back(leaf.size());
  all.insert(all.end(), levels_.begin(), levels_.end());
  return all;
}

}  // namespace kpksim::kernel
