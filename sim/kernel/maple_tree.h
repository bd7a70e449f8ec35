#pragma once
// The shape of the maple tree that holds a process' VMAs (lib/maple_tree.c, 6.12): how full its
// nodes are decides whether a store changes one in place, copies it, or splits and joins several.
// A node that is replaced goes to RCU. The ranges themselves are VmaTree's.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/kernel/vma.h"

namespace kpksim::kernel {

class MapleTree {
 public:
  static constexpr std::size_t kLeafSlots = 16, kSlots = 10;  // MAPLE_RANGE64_, ARANGE64_SLOTS

  struct Written {
    unsigned nodes = 0, freed = 0;
    bool reshaped = false;  // a split, a rebalance or a store that spans leaves
  };
  // After a store to [start, end), which `vmas` has already: an address of each VMA that is new,
  // changed or gone lies in it.
  Written store(const VmaTree& vmas, std::uint64_t start, std::uint64_t end);

  // Numbers of slots in use: of the leaves (VMAs and the gaps between them), then level by level.
  std::vector<std::vector<std::size_t>> occupancy() const;

 private:
  struct Slot {
    std::uint64_t start;
    bool vma;
    bool operator==(const Slot&) const = default;
  };
  using Leaf = std::vector<Slot>;
  // A run of neighbours on one level.
  struct Run {
    std::size_t first, last;
  };

  static Leaf slots(const VmaTree& vmas, std::uint64_t from, std::uint64_t to);
  std::size_t leaf_of(std::uint64_t va) const;
  std::uint64_t end_of(std::size_t leaf) const;
  std::size_t parent_of(std::size_t level, std::size_t node) const;
  bool siblings(std::size_t level, std::size_t a, std::size_t b) const;
  std::size_t nodes(std::size_t level) const;
  // How many of `items`, the first of a leaf's new slots, its left part gets: about `wish`.
  static std::size_t no_null_split(const Leaf& items, std::size_t wish);
  void replace(Run run, const std::vector<Leaf>& leaves);

  Written split(std::size_t leaf, const Leaf& items);
  void split_parent(std::size_t level, std::size_t node, Written& written);
  Written join(Run run, Leaf items, const VmaTree& vmas);
  void join_parents(std::size_t level, Run run, std::size_t count, Written& written);

  std::vector<Leaf> leaves_ = {{{0, false}}};
  std::vector<std::vector<std::size_t>> levels_;  // children of each node; the root is the last
};

}  // namespace kpksim::kernel
