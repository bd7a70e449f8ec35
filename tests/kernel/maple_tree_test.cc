// The shape of the tree of VMAs: how full its nodes are, and what a store replaces.

#include "sim/kernel/maple_tree.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kPage = 4096;

// A process as the guest of tools/kernel-truth has it: text, relocated data, data, bss, heap, the
// vdso's data and text, stack, and the gaps between them: 13 slots.
struct MapleTreeProcess {
  MapleTreeProcess() {
    for (const auto& [start, pages] : {std::pair{0x400000ull, 128ull},
                                       {0x48c000, 4},
                                       {0x490000, 3},
                                       {0x493000, 9},
                                       {0x49c000, 33},
                                       {0xfffff7ffc000, 2},
                                       {0xfffff7ffe000, 2},
                                       {0xfffffffdf000, 33}}) {
      map(start, pages);
    }
  }
  MapleTree::Written map(std::uint64_t start, std::uint64_t pages) {
    Vma vma;
    vma.start = start;
    vma.end = start + pages * kPage;
    vma.special = true;  // merges with none
    vmas.insert(vma);
    return tree.store(vmas, vma.start, vma.end);
  }
  MapleTree::Written unmap(std::uint64_t start, std::uint64_t end) {
    for (auto it = vmas.first_above(start); it != vmas.end() && it->first < end;
         it = vmas.first_above(start)) {
      vmas.erase(it->first);
    }
    return tree.store(vmas, start, end);
  }
  VmaTree vmas;
  MapleTree tree;
};

TEST(MapleTree, AMappingCopiesTheOnlyLeaf) {
  MapleTreeProcess p;
  EXPECT_EQ(p.tree.occupancy(), (std::vector<std::vector<std::size_t>>{{13}}));
  // mmap and munmap of lone_page_3_tables_x500 (Linux 6.12, tools/kernel-truth --where): 1,000
  // mas_wr_node_store() and as many nodes for RCU.
  const MapleTree::Written mapped = p.map(2048ull << 30, 1);
  EXPECT_EQ(mapped.nodes, 1u);
  EXPECT_EQ(mapped.freed, 1u);
  const MapleTree::Written unmapped = p.unmap(2048ull << 30, (2048ull << 30) + kPage);
  EXPECT_EQ(unmapped.freed, 1u);
  EXPECT_FALSE(mapped.reshaped || unmapped.reshaped);
}

TEST(MapleTree, WithANeighbourTheLeafSplitsAndIsJoinedAgain) {
  MapleTreeProcess p;
  p.map(1024ull << 30, 1);
  // lone_page_1_table_x500: 2,000 nodes made and 2,000 freed in 500 rounds, each with one
  // mas_split() and one mas_spanning_rebalance().
  const std::uint64_t page = (1024ull << 30) + (4 << 20);
  const MapleTree::Written mapped = p.map(page, 1);
  const MapleTree::Written unmapped = p.unmap(page, page + kPage);
  EXPECT_TRUE(mapped.reshaped && unmapped.reshaped);
  EXPECT_EQ(mapped.nodes + unmapped.nodes, 4u);
  EXPECT_EQ(mapped.freed + unmapped.freed, 4u);
}

TEST(MapleTree, AVmaThatGrowsChangesItsLeafInPlace) {
  MapleTreeProcess p;
  p.vmas.resize(0x49c000, 0x49c000 + 34 * kPage);  // brk(): none of 1,024 in brk_grow_4m
  const MapleTree::Written written = p.tree.store(p.vmas, 0x49c000, 0x49c000 + 34 * kPage);
  EXPECT_EQ(written.nodes, 0u);
  EXPECT_EQ(written.freed, 0u);
}

TEST(MapleTree, EverySecondPageProtected) {
  // mprotect_every_2nd_4m: 1,023 stores, of which 137 are no copy of a leaf; 1,245 nodes freed.
  MapleTreeProcess p;
  const std::uint64_t area = 0xffffe0000000;
  p.map(area, 1024);
  unsigned freed = 0, reshaped = 0;
  const auto split = [&](std::uint64_t at) {
    p.vmas.split(at);
    const MapleTree::Written written = p.tree.store(p.vmas, at, at + 1);
    freed += written.freed;
    reshaped += written.reshaped ? 1 : 0;
  };
  for (unsigned page = 0; page < 1024; page += 2) {
    if (page != 0) split(area + page * kPage);
    split(area + (page + 1) * kPage);
  }
  EXPECT_NEAR(freed, 1245, 25);
  EXPECT_NEAR(reshaped, 137, 7);
}

RC_GTEST_PROP(MapleTreeProperty, HoldsEachVmaAndGapOnce_InNodesThatAreNotTooFull, ()) {
  MapleTreeProcess p;
  const auto steps = *rc::gen::container<std::vector<std::pair<unsigned, unsigned>>>(
      rc::gen::pair(rc::gen::inRange(0u, 400u), rc::gen::inRange(1u, 12u)));
  for (const auto& [page, pages] : steps) {
    const std::uint64_t start = 0x700000000000 + page * kPage;
    const std::uint64_t end = start + pages * kPage;
    const auto it = p.vmas.first_above(start);
    if (it == p.vmas.end() || it->first >= end) {
      p.map(start, pages);
    } else {
      for (const std::uint64_t at : {start, end}) {
        const Vma* vma = p.vmas.find(at);
        if (vma == nullptr || vma->start == at) continue;
        p.vmas.split(at);
        p.tree.store(p.vmas, at, at + 1);
      }
      p.unmap(start, end);
    }
    std::size_t slots = 1;
    std::uint64_t last = 0;
    for (const auto& [from, vma] : p.vmas.all()) {
      slots += from > last ? 2 : 1;
      last = vma.end;
    }
    const auto levels = p.tree.occupancy();
    RC_ASSERT(std::accumulate(levels[0].begin(), levels[0].end(), std::size_t{0}) == slots);
    for (std::size_t level = 0; level < levels.size(); ++level) {
      for (const std::size_t used : levels[level]) {
        RC_ASSERT(used >= 1 && used <= (level == 0 ? MapleTree::kLeafSlots : MapleTree::kSlots));
      }
      if (level == 0) continue;
      RC_ASSERT(std::accumulate(levels[level].begin(), levels[level].end(), std::size_t{0}) ==
                levels[level - 1].size());
    }
    RC_ASSERT(levels.back().size() == 1u);
  }
}

}  // namespace
}  // namespace kpksim::kernel
