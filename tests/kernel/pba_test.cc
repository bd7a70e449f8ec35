// The pkeys block allocator as v6 has it: which page comes first, and what its shrinker leaves.

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kPbaBlock = 512, kKept = 16;

class PbaTest : public testing::Test {
 protected:
  std::vector<Pfn> take(std::uint64_t n) {
    std::vector<Pfn> pages;
    for (std::uint64_t i = 0; i < n; ++i)
      pages.push_back(pba().allocate(core(), TableKind::kUserLeaf));
    return pages;
  }
  void give(const std::vector<Pfn>& pages) {
    for (const Pfn page : pages) pba().free(core(), page);
  }
  PageTableAllocator& pba() { return *k_.system().allocator; }
  AllocatorStatistics statistics() { return pba().statistics(); }
  cpu::Core& core() { return k_.system().machine.core(0); }

  Kernel k_{core_profile(), kernel_profile(),
            config("kpkeys-poe", false, "pba", Granularity::kBlock)};
};

TEST_F(PbaTest, ARunsLastPageIsFirst_ButForTheOneThatTheRefillHandsOut) {
  const std::uint64_t cached = statistics().cached;
  const std::vector<Pfn> boot = take(cached - 4);  // down to the reserve
  for (std::size_t i = 1; i < boot.size(); ++i) EXPECT_EQ(boot[i] + 1, boot[i - 1]);
  EXPECT_EQ(statistics().own_value("refills_order_9"), 1u);
  const std::vector<Pfn> next = take(3);
  EXPECT_EQ(statistics().own_value("refills_order_9"), 2u);
  EXPECT_EQ(next[0].value % kPbaBlock, 0u);
  EXPECT_EQ(next[1], next[0] + (kPbaBlock - 1));
  EXPECT_EQ(next[2], next[0] + (kPbaBlock - 2));
}

TEST_F(PbaTest, WhatCameBackLastIsHandedOutFirst) {
  const std::vector<Pfn> pages = take(3);
  give({pages[1], pages[0]});
  EXPECT_EQ(take(2), (std::vector<Pfn>{pages[0], pages[1]}));
}

TEST_F(PbaTest, ShrinkerReleasesEmptyBlocksWhole_AndLeavesTheLastForWantOfPages) {
  take(statistics().cached - 4);  // the boot's block is in use but for the reserve
  give(take(2 * kPbaBlock));
  const std::uint64_t keyed = k_.system().linear_map.statistics().set_memory_pkey;
  ASSERT_EQ(statistics().cached, 2 * kPbaBlock + 4);
  k_.memory().pressure();
  // Of the 516 pages that are left 16 are to stay: less than a block goes, and part of one would
  // split.
  EXPECT_EQ(statistics().own_value("shrunk_blocks"), 1u);
  EXPECT_EQ(statistics().own_value("shrunk_pages"), 0u);
  EXPECT_EQ(statistics().cached, kPbaBlock + 4);
  EXPECT_EQ(k_.system().linear_map.statistics().set_memory_pkey, keyed + 1);
  EXPECT_EQ(k_.system().linear_map.statistics().split_pmd, 0u);
  // Its pages are given back one by one: the core gets the last one next.
  System& s = k_.system();
  const auto page = s.buddy.allocate(s.machine.core(0), 0, Mobility::kUnmovable);
  EXPECT_EQ(page->value % kPbaBlock, kPbaBlock - 1);
}

TEST_F(PbaTest, ShrinkerBreaksUpTheBlockWithMostFreePages_WhichIsNoneFromThenOn) {
  take(statistics().cached - 4);  // of the boot's block 4 pages are free
  const std::vector<Pfn> second = take(kPbaBlock - 100);
  const std::uint64_t cached = statistics().cached;
  ASSERT_EQ(statistics().own_value("refills_order_9"), 2u);
  k_.memory().pressure();
  const auto map = k_.system().linear_map.statistics();
  EXPECT_EQ(statistics().own_value("shrunk_blocks"), 0u);
  // The split of the block takes one page, those of its runs none.
  EXPECT_EQ(map.split_pmd, 1u);
  EXPECT_EQ(statistics().own_value("shrunk_pages"), cached - kKept);
  EXPECT_EQ(statistics().cached, kKept - 1);
  // What comes back to the broken block belongs to no block: single pages go, and nothing splits.
  const std::vector<Pfn> back(second.begin(), second.begin() + 50);
  give(back);
  k_.memory().pressure();
  EXPECT_EQ(k_.system().linear_map.statistics().split_pmd, 1u);
  EXPECT_EQ(statistics().cached, kKept);
}

TEST_F(PbaTest, ShrinkerLeavesABlockOfWhichLittleIsFree) {
  take(statistics().cached - 60);  // fewer than 64 are free
  k_.memory().pressure();
  EXPECT_EQ(statistics().cached, 60u);
  EXPECT_EQ(statistics().own_value("shrunk_pages"), 0u);
}

}  // namespace
}  // namespace kpksim::kernel
