// Each core's own lists of free pages, in front of the page allocator.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <set>
#include <vector>

#include "sim/base/error.h"
#include "sim/kernel/buddy.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr Pfn kListed{0x40000};
constexpr std::uint64_t kListedRun = 1ull << kMaxOrder;
constexpr PcpLimits kLimits{63, 512, 512};

TEST(PcpLimits, AreThoseOfAZoneThatCoresShare) {
  const auto expect = [](std::uint64_t megabytes, unsigned cores, unsigned batch, std::uint64_t min,
                         std::uint64_t max) {
    const PcpLimits limits = pcp_limits((megabytes << 20) / kPageSize, cores, 24576);
    EXPECT_EQ(limits.batch, batch) << megabytes << " MB";
    EXPECT_EQ(limits.high_min, min) << megabytes << " MB";
    EXPECT_EQ(limits.high_max, max) << megabytes << " MB";
  };
  expect(4096, 1, 63, 7040, 24576);
  expect(4096, 64, 63, 252, 2048);
  expect(65536, 64, 63, 350, 24576);
  expect(256, 1, 15, 4095, 8192);
  expect(64, 2, 3, 511, 1024);
  expect(4, 64, 1, 4, 4);
}

TEST(PerCpuPages, EachRefillDoublesTheNextUntilAPageIsFreed) {
  constexpr PcpLimits limits{63, 24576, 24576};
  PerCpuPages own(0);
  for (const std::uint64_t runs : {63, 126, 252, 504, 1008, 2016, 2016}) {
    EXPECT_EQ(own.refill(limits, 0), runs);
  }
  EXPECT_EQ(own.overflow(limits, 0), 0u);
  EXPECT_EQ(own.refill(limits, 0), 252u);
  EXPECT_EQ(own.refill(limits, 1), 31u);
  EXPECT_EQ(own.refill(limits, 3), 7u);
  EXPECT_EQ(own.refill(limits, 9), 2u);
  own.count = 24576 - 163;
  EXPECT_EQ(own.refill(limits, 0), 100u) << "as many as there is room for, less a batch";
  own.count = 24576;
  EXPECT_EQ(own.refill(limits, 0), 63u);
}

// How many pages it takes to make lists too long: they hold what refills have brought since.
TEST(PerCpuPages, HoldAsMuchAsTheyWereGiven) {
  constexpr PcpLimits limits{63, 300, 1000};
  const auto held = [&](unsigned refills) {
    PerCpuPages own(0);
    for (; refills != 0; --refills) own.refill(limits, 0);
    do {
      ++own.count;
    } while (own.overflow(limits, 0) == 0);
    return own.count;
  };
  EXPECT_EQ(held(0), 300u);
  EXPECT_EQ(held(1), 363u);
  EXPECT_EQ(held(2), 489u);
  EXPECT_EQ(held(9), 1000u);
}

TEST(PerCpuPages, HoldLessAfterManyLargerRunsWereFreed) {
  constexpr PcpLimits limits{63, 300, 3000};
  PerCpuPages own(0);
  for (int refills = 0; refills < 9; ++refills) own.refill(limits, 0);
  std::uint64_t back = 0;
  for (; back == 0; own.count += 8) back = own.overflow(limits, 3);
  own.count = 0;
  do {
    ++own.count;
  } while (own.overflow(limits, 0) == 0);
  EXPECT_EQ(own.count, 3000u - 2016u);
}

class Lists : public testing::Test {
 protected:
  Lists() : machine_(core_profile(), 3), buddy_(kListed, 4 * kListedRun) {
    buddy_.set_lists(3, kLimits);
  }
  cpu::Core& core(std::size_t n) { return machine_.core(n); }
  Pfn take(std::size_t on, unsigned order = 0, Mobility mobility = Mobility::kMovable) {
    return *buddy_.allocate(core(on), order, mobility);
  }

  cpu::Machine machine_;
  Buddy buddy_;
};

TEST_F(Lists, APageComesBackToTheCoreThatFreedItFirst) {
  const Pfn a = take(0), b = take(0);
  EXPECT_EQ(buddy_.free(core(1), a, 0), 0u);
  EXPECT_NE(take(0), a);
  EXPECT_NE(take(2), a);
  EXPECT_EQ(buddy_.free(core(1), b, 0), 0u);
  EXPECT_EQ(take(1), b);
  EXPECT_EQ(take(1), a);
}

TEST_F(Lists, ABatchIsInTheOrderOfTheZone) {
  const Pfn first = take(0);
  for (std::uint64_t i = 1; i < kLimits.batch; ++i) EXPECT_EQ(take(0), first + i);
  EXPECT_EQ(take(1), first + kLimits.batch) << "another core has another batch";
  EXPECT_EQ(take(0), first + 2 * kLimits.batch);
}

// Pages of a block that has changed its type since they were handed out are on the list of the new.
TEST_F(Lists, EachTypeAndOrderHasItsOwn) {
  const Pfn movable = take(0), fixed = take(0, 0, Mobility::kUnmovable);
  buddy_.free(core(0), movable, 0);
  buddy_.free(core(0), fixed, 0);
  const Pfn pair = take(0, 1);
  buddy_.free(core(0), pair, 1);
  EXPECT_EQ(take(0), movable);
  EXPECT_EQ(take(0, 0, Mobility::kUnmovable), fixed);
  EXPECT_EQ(take(0, 1), pair);
  const Pfn larger = take(0, 4);  // no list has it
  buddy_.free(core(0), larger, 4);
  EXPECT_EQ(take(1, 4), larger);
}

TEST_F(Lists, WhatIsOnAListIsFree) {
  const std::uint64_t before = buddy_.free_pages();
  const Pfn page = take(0);
  EXPECT_EQ(buddy_.free_pages(), before - 1) << "the batch is free";
  EXPECT_FALSE(buddy_.is_free(page));
  EXPECT_TRUE(buddy_.is_free(page + 1)) << "of the batch";
  buddy_.free(core(1), page, 0);
  EXPECT_TRUE(buddy_.is_free(page));
  EXPECT_EQ(buddy_.free_pages(), before);
  EXPECT_THROW(buddy_.free(core(1), page, 0), ModelError);
  EXPECT_THROW(buddy_.free(core(2), page, 0), ModelError);
  EXPECT_THROW(buddy_.free(page, 0), ModelError);
}

TEST_F(Lists, ThatAreTooLongGiveTheirOldestPagesBack) {
  std::vector<Pfn> pages;
  for (std::uint64_t i = 0; i < 2 * kLimits.high_max; ++i) pages.push_back(take(0));
  std::uint64_t given = 0, freed = 0;
  while (given == 0) given = buddy_.free(core(1), pages[freed++], 0);
  EXPECT_EQ(freed, kLimits.high_max);
  EXPECT_EQ(given, kLimits.high_max - kLimits.batch)
      << "all but a batch: so many were freed in a row";
  for (std::uint64_t i = 0; i < kLimits.batch; ++i) EXPECT_EQ(take(1), pages[freed - 1 - i]);
}

// Cross-cache attacks use this: slabs have to leave the list of their order.
TEST_F(Lists, ManyLargerRunsInARowTakeAllListsWithThem) {
  const Pfn page = take(1, 0, Mobility::kUnmovable);
  std::vector<Pfn> runs;
  for (int i = 0; i < 9; ++i) runs.push_back(take(1, 3));
  buddy_.free(core(0), page, 0);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(buddy_.free(core(0), runs[i], 3), 0u) << i;
  EXPECT_EQ(buddy_.free(core(0), runs[8], 3), 10u);
}

TEST_F(Lists, ALargerRunAmongSinglePagesTakesNothingWithIt) {
  std::vector<Pfn> pages;
  for (std::uint64_t i = 0; i < 2 * kLimits.batch; ++i) pages.push_back(take(1));
  const Pfn first = take(1, 3), second = take(1, 3);
  for (const Pfn page : pages) EXPECT_EQ(buddy_.free(core(0), page, 0), 0u);
  EXPECT_EQ(buddy_.free(core(0), first, 3), 0u);
  EXPECT_EQ(buddy_.free(core(0), second, 3), 2 + pages.size()) << "the second in a row";
}

TEST_F(Lists, OtherCoresHoldTheLastPages) {
  while (buddy_.allocate(core(0), 0, Mobility::kMovable)) {
  }
  EXPECT_EQ(buddy_.free_pages(), 0u);
  for (std::uint64_t i = 0; i < 8; ++i) buddy_.free(core(1), kListed + i, 0);
  EXPECT_FALSE(buddy_.allocate(core(2), 3, Mobility::kMovable)) << "a smaller folio will do";
  EXPECT_TRUE(buddy_.allocate(core(2), 3, Mobility::kUnmovable)) << "drain_all_pages()";
  EXPECT_FALSE(buddy_.allocate(core(2), 0, Mobility::kMovable));
}

TEST_F(Lists, AreEmptiedForAContiguousRunAndForAClaimedBlock) {
  for (std::size_t on : {0, 1, 2}) buddy_.free(core(on), take(on), 0);
  EXPECT_EQ(buddy_.allocate_contiguous(kMaxOrder + 2), kListed) << "all of the zone";
  for (std::uint64_t i = 0; i < 512; ++i) buddy_.free(core(i % 3), kListed + i, 0);
  const Pfn block = *buddy_.claim_block();
  EXPECT_EQ(block, kListed);
  const Pfn table = *buddy_.allocate(0, Mobility::kPageTable);
  buddy_.free(core(0), table, 0);
  EXPECT_TRUE(buddy_.is_free_block(block)) << "a page of a claimed block is on no core's list";
}

TEST(ListsProperty, NoPageIsGivenTwiceAndAllComeBack) {
  const bool ok = rc::check("cores with lists", [] {
    cpu::Machine machine(core_profile(), 3);
    const std::uint64_t count = 6 * kListedRun;
    Buddy buddy(kListed, count);
    const auto least = *rc::gen::inRange<std::uint64_t>(256, 2000);
    buddy.set_lists(3, {*rc::gen::inRange(1u, 64u), least, least + *rc::gen::inRange(0u, 2000u)});
    std::vector<std::pair<Pfn, unsigned>> held;
    std::set<Pfn> used;
    const unsigned calls = *rc::gen::inRange(1u, 600u);
    for (unsigned i = 0; i < calls; ++i) {
      cpu::Core& core = machine.core(*rc::gen::inRange<std::size_t>(0, 3));
      if (held.empty() || *rc::gen::inRange(0, 5) > 1) {
        const unsigned order =
            *rc::gen::weightedElement<unsigned>({{6, 0}, {2, 1}, {2, 3}, {1, 4}, {1, 9}});
        const bool movable = *rc::gen::arbitrary<bool>();
        const auto got =
            buddy.allocate(core, order, movable ? Mobility::kMovable : Mobility::kUnmovable);
        if (!got) continue;
        RC_ASSERT(got->value % (1ull << order) == 0);
        for (std::uint64_t p = 0; p < 1ull << order; ++p) {
          RC_ASSERT(used.insert(*got + p).second);
          RC_ASSERT(!buddy.is_free(*got + p));
        }
        held.emplace_back(*got, order);
      } else {
        std::swap(held[*rc::gen::inRange<std::size_t>(0, held.size())], held.back());
        const auto [pfn, order] = held.back();
        held.pop_back();
        buddy.free(core, pfn, order);
        for (std::uint64_t p = 0; p < 1ull << order; ++p) {
          used.erase(pfn + p);
          RC_ASSERT(buddy.is_free(pfn + p));
        }
      }
      RC_ASSERT(buddy.free_pages() == count - used.size());
    }
    for (const auto& [pfn, order] : held) buddy.free(machine.core(0), pfn, order);
    RC_ASSERT(buddy.allocate_contiguous(kMaxOrder + 2) == kListed);
    RC_ASSERT(buddy.allocate_contiguous(kMaxOrder + 1) == kListed + 4 * kListedRun);
    RC_ASSERT(buddy.free_pages() == 0u);
  });
  EXPECT_TRUE(ok);
}

// Refills take what they take of a larger run at once.
TEST(ListsProperty, ABatchIsWhatTheZoneGivesOneByOne) {
  const bool ok = rc::check("batch and single runs", [] {
    cpu::Machine machine(core_profile(), 1);
    Buddy batches(kListed, 4 * kListedRun), singles(kListed, 4 * kListedRun);
    const unsigned holes = *rc::gen::inRange(0u, 300u);
    std::vector<Pfn> held;
    for (unsigned i = 0; i < 2 * holes; ++i) {
      held.push_back(*batches.allocate(0, Mobility::kUnmovable));
      RC_ASSERT(singles.allocate(0, Mobility::kUnmovable) == held.back());
    }
    for (unsigned i = 0; i < holes; ++i) {
      std::swap(held[*rc::gen::inRange<std::size_t>(0, held.size())], held.back());
      batches.free(held.back(), 0);
      singles.free(held.back(), 0);
      held.pop_back();
    }
    const unsigned order = *rc::gen::inRange(0u, 4u);
    const unsigned batch = *rc::gen::inRange(2u, 200u);
    batches.set_lists(1, {batch, 4000, 4000});
    const std::uint64_t runs = std::max(batch >> order, 2u);
    for (std::uint64_t i = 0; i < runs; ++i) {
      RC_ASSERT(batches.allocate(machine.core(0), order, Mobility::kUnmovable) ==
                singles.allocate(order, Mobility::kUnmovable));
    }
    while (const auto next = singles.allocate(0, Mobility::kUnmovable)) {
      RC_ASSERT(batches.allocate(0, Mobility::kUnmovable) == next);
    }
    RC_ASSERT(batches.free_pages() == 0u);
  });
  EXPECT_TRUE(ok);
}

// By way of RCU, too: the core that has torn down an address space frees its tables itself.
TEST(Tables, ComeBackToTheCoreThatFreedThem) {
  Kernel k(core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte, 2));
  System& s = k.system();
  cpu::Core& here = s.machine.core(0);
  cpu::Core& there = s.machine.core(1);
  const Pfn table = s.allocate_table(here, s.linear_map.root(), TableKind::kUser);
  s.rcu.call(there, {table});
  s.free_tables(here, s.rcu.take_all(here));
  EXPECT_EQ(s.rcu.pending(), 1u);
  k.clock().idle();
  EXPECT_EQ(s.rcu.pending(), 0u);
  EXPECT_NE(s.allocate_table(here, s.linear_map.root(), TableKind::kUser), table);
  EXPECT_EQ(s.allocate_table(there, s.linear_map.root(), TableKind::kUser), table);
}

}  // namespace
}  // namespace kpksim::kernel
