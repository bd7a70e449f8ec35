// The page allocator against a plain one, which has every free run in a list from the start.

#include "sim/kernel/buddy.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <list>
#include <map>
#include <vector>

#include "sim/base/error.h"

namespace kpksim::kernel {
namespace {

constexpr Pfn kFirst{0x40000};
constexpr std::uint64_t kBlock = 512, kRun = 1ull << kMaxOrder;

class PlainBuddy {
 public:
  explicit PlainBuddy(std::uint64_t count) : types_(count / kBlock + 1, Mobility::kMovable) {
    for (std::uint64_t end = count; end > 0;) {
      unsigned order = kMaxOrder;
      while (end % (1ull << order) != 0 || (1ull << order) > end) --order;
      end -= 1ull << order;
      put(end, order);
    }
  }

  std::optional<std::uint64_t> allocate(unsigned order, Mobility mobility) {
    for (int attempt = 0; attempt < 2; ++attempt) {
      for (unsigned from = order; from <= kMaxOrder; ++from) {
        if (list(mobility, from).empty()) continue;
        const std::uint64_t at = list(mobility, from).front();
        take(at);
        while (from > order) {
          --from;
          put(at + (1ull << from), from);
        }
        return at;
      }
      if (!steal(order, mobility)) break;
    }
    return std::nullopt;
  }

  void free(std::uint64_t at, unsigned order) {
    for (; order < kMaxOrder; ++order) {
      const auto buddy = orders_.find(at ^ (1ull << order));
      if (buddy == orders_.end() || buddy->second != order) break;
      at = std::min(at, buddy->first);
      take(buddy->first);
    }
    put(at, order);
  }

  // Of the lowest aligned run that is free as a whole.
  std::optional<std::uint64_t> allocate_contiguous(unsigned order, std::uint64_t count) {
    const std::uint64_t frames = 1ull << order;
    for (std::uint64_t at = 0; at + frames <= count; at += frames) {
      std::uint64_t end = at;
      while (end < at + frames && orders_.contains(end)) end += 1ull << orders_.at(end);
      if (end < at + frames) continue;
      for (std::uint64_t run = at; run < end;) {
        const std::uint64_t next = run + (1ull << orders_.at(run));
        take(run);
        run = next;
      }
      return at;
    }
    return std::nullopt;
  }

  std::uint64_t free_pages() const {
    std::uint64_t sum = 0;
    for (const auto& [at, order] : orders_) sum += 1ull << order;
    return sum;
  }

 private:
  std::list<std::uint64_t>& list(Mobility mobility, unsigned order) {
    return lists_[{mobility, order}];
  }
  void put(std::uint64_t at, unsigned order) {
    orders_[at] = order;
    list(types_[at / kBlock], order).push_front(at);
  }
  void take(std::uint64_t at) {
    list(types_[at / kBlock], orders_.at(at)).remove(at);
    orders_.erase(at);
  }
  bool steal(unsigned order, Mobility mobility) {
    const Mobility other =
        mobility == Mobility::kMovable ? Mobility::kUnmovable : Mobility::kMovable;
    for (unsigned from = kMaxOrder + 1; from-- > order;) {
      if (list(other, from).empty()) continue;
      const std::uint64_t at = list(other, from).front();
      take(at);
      std::vector<std::pair<std::uint64_t, unsigned>> rest;
      const std::uint64_t start = at / kBlock * kBlock;
      const std::uint64_t end = std::max<std::uint64_t>(start + kBlock, at + (1ull << from));
      for (auto it = orders_.lower_bound(start); it != orders_.end() && it->first < end; ++it) {
        rest.emplace_back(*it);
      }
      for (const auto& [free, unused] : rest) take(free);
      for (std::uint64_t i = start; i < end; i += kBlock) types_[i / kBlock] = mobility;
      for (const auto& [free, free_order] : rest) put(free, free_order);
      put(at, from);
      return true;
    }
    return false;
  }

  std::vector<Mobility> types_;
  std::map<std::uint64_t, unsigned> orders_;  // free runs
  std::map<std::pair<Mobility, unsigned>, std::list<std::uint64_t>> lists_;
};

Mobility some_mobility() {
  return *rc::gen::arbitrary<bool>() ? Mobility::kMovable : Mobility::kUnmovable;
}

TEST(BuddyProperty, GivesTheFramesOfAPlainAllocatorInTheSameOrder) {
  const bool ok = rc::check("buddy and plain buddy", [] {
    const std::uint64_t count = *rc::gen::inRange<std::uint64_t>(1, 6) * 1024 +
                                *rc::gen::element<std::uint64_t>(0, 1, 300, 768);
    const std::uint64_t taken =
        *rc::gen::element<std::uint64_t>(0, 1, 300, 511, 512, 1000, 1024) % (count - 1023);
    Buddy buddy(kFirst, count, taken);
    PlainBuddy plain(count);
    for (std::uint64_t i = 0; i < taken; ++i) {
      RC_ASSERT(plain.allocate(0, Mobility::kUnmovable) == std::optional(i));
    }
    RC_ASSERT(buddy.free_pages() == plain.free_pages());
    std::vector<std::pair<std::uint64_t, unsigned>> held;
    for (std::uint64_t i = 0; i < taken; ++i) held.emplace_back(i, 0);
    const unsigned calls = *rc::gen::inRange(1u, 400u);
    for (unsigned i = 0; i < calls; ++i) {
      if (*rc::gen::inRange(0, 20) == 0) {
        const auto got = buddy.allocate_contiguous(11);
        const auto expected = plain.allocate_contiguous(11, count);
        RC_ASSERT(got.has_value() == expected.has_value());
        if (!got) continue;
        RC_ASSERT(*got - kFirst == *expected);
        held.emplace_back(*expected, kMaxOrder);
        held.emplace_back(*expected + 1024, kMaxOrder);
      } else if (held.empty() || *rc::gen::inRange(0, 5) > 1) {
        const unsigned order = *rc::gen::oneOf(rc::gen::just(0u), rc::gen::inRange(0u, 11u));
        const Mobility mobility = some_mobility();
        const auto got = buddy.allocate(order, mobility);
        const auto expected = plain.allocate(order, mobility);
        RC_ASSERT(got.has_value() == expected.has_value());
        if (!got) continue;
        RC_ASSERT(*got - kFirst == *expected);
        held.emplace_back(*expected, order);
      } else {
        const auto which = *rc::gen::inRange<std::size_t>(0, held.size());
        std::swap(held[which], held.back());
        buddy.free(kFirst + held.back().first, held.back().second);
        plain.free(held.back().first, held.back().second);
        held.pop_back();
      }
    }
    RC_ASSERT(buddy.free_pages() == plain.free_pages());
    for (const auto& [at, order] : held) {
      buddy.free(kFirst + at, order);
      plain.free(at, order);
    }
    while (const auto expected = plain.allocate(0, Mobility::kMovable)) {
      RC_ASSERT(buddy.allocate(0, Mobility::kMovable) == std::optional(kFirst + *expected));
    }
    RC_ASSERT(!buddy.allocate(0, Mobility::kUnmovable).has_value());
  });
  EXPECT_TRUE(ok);
}

TEST(Buddy, AFreePageCannotBeFreedWhetherItWasEverUsedOrNot) {
  Buddy buddy(kFirst, 4 * 1024);
  const Pfn used = *buddy.allocate(0, Mobility::kMovable);
  buddy.free(used, 0);
  EXPECT_THROW(buddy.free(used, 0), ModelError);
  EXPECT_THROW(buddy.free(kFirst + 3 * 1024, 0), ModelError);
}

TEST(Buddy, UntouchedRunsBeforeAContiguousOneKeepTheirPlaceInTheList) {
  Buddy buddy(kFirst, 8 * kBlock * 2);
  for (int i = 0; i < 3; ++i) (void)buddy.allocate(kMaxOrder, Mobility::kMovable);
  buddy.free(kFirst + kRun, kMaxOrder);
  EXPECT_EQ(buddy.allocate_contiguous(kMaxOrder + 1), std::optional(kFirst + 4 * kRun));
  for (const std::uint64_t run : {1, 3, 6, 7}) {
    EXPECT_EQ(buddy.allocate(kMaxOrder, Mobility::kMovable), std::optional(kFirst + run * kRun));
  }
}

TEST(Buddy, TakesTheLowestFramesOfAMachineOf64TB) {
  const std::uint64_t count = 64ull << 40 >> kPageShift;
  Buddy buddy(kFirst, count);
  EXPECT_EQ(buddy.allocate(9, Mobility::kMovable), std::optional(kFirst));
  EXPECT_EQ(buddy.free_pages(), count - 512);
}

TEST(Buddy, AClaimedBlockIsForPageTablesAlone_AndNeverMerges) {
  Buddy buddy(kFirst, 4 * kRun);
  EXPECT_FALSE(buddy.allocate(0, Mobility::kPageTable).has_value());
  const Pfn block = *buddy.claim_block();
  EXPECT_EQ(buddy.free_pages(), 4 * kRun - kBlock);
  const Pfn page = *buddy.allocate(0, Mobility::kPageTable);
  EXPECT_TRUE(buddy.is_claimed(page));
  EXPECT_FALSE(buddy.is_free_block(block));
  EXPECT_FALSE(buddy.allocate_contiguous(12).has_value());
  buddy.free(page, 0);
  EXPECT_TRUE(buddy.is_free_block(block));
  EXPECT_FALSE(buddy.allocate_contiguous(12).has_value());
  EXPECT_FALSE(buddy.allocate(kMaxOrder, Mobility::kPageTable).has_value());
  EXPECT_EQ(buddy.free_pages(), 4 * kRun - kBlock);
  buddy.release_block(block);
  EXPECT_EQ(buddy.free_pages(), 4 * kRun);
  EXPECT_EQ(buddy.allocate_contiguous(12), std::optional(kFirst));
}

TEST(Buddy, AFreeNeighbourOfAClaimedBlockStaysApartFromIt) {
  Buddy buddy(kFirst, kRun);
  const Pfn block = *buddy.claim_block();
  const Pfn other = *buddy.allocate(9, Mobility::kUnmovable);
  buddy.free(other, 9);
  EXPECT_EQ(buddy.free_pages(), kBlock);
  EXPECT_FALSE(buddy.allocate(kMaxOrder, Mobility::kUnmovable).has_value());
  buddy.release_block(block);
  EXPECT_TRUE(buddy.allocate(kMaxOrder, Mobility::kUnmovable).has_value());
}

TEST(Buddy, AClaimedBlockInUseCannotBeReleased) {
  Buddy buddy(kFirst, kRun);
  const Pfn block = *buddy.claim_block();
  (void)buddy.allocate(0, Mobility::kPageTable);
  EXPECT_THROW(buddy.release_block(block), ModelError);
}

TEST(Buddy, AnyRangeCanBeFreed) {
  for (const std::uint64_t first : {0u, 1u, 3u, 511u, 700u}) {
    for (const std::uint64_t count : {0u, 1u, 2u, 5u, 512u, 1300u}) {
      Buddy buddy(kFirst, 4 * kRun, 3000);
      buddy.free_range(kFirst + first, count);
      EXPECT_EQ(buddy.free_pages(), 4 * kRun - 3000 + count);
    }
  }
  Buddy buddy(kFirst, 4 * kRun, 3000);
  buddy.free_range(kFirst, 3000);
  EXPECT_EQ(buddy.allocate_contiguous(12), std::optional(kFirst));
}

}  // namespace
}  // namespace kpksim::kernel
