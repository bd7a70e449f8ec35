// What each rule of pba's shrinker gives back, and what it never does, under each order of
// hand-out.

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kShrinkRuleBlock = 512;
const std::vector<std::string> kHandOuts = {"lifo", "fullest", "lowest"};
const std::vector<std::string> kRules = {"v6", "runs", "pieces", "idle"};

class ShrinkRuleWorld {
 public:
  // `given`: pba's parameters, as a policy has them.
  explicit ShrinkRuleWorld(const std::string& given)
      : k_(core_profile(), kernel_profile(), with(given)) {}

  PageTableAllocator& pba() { return *k_.system().allocator; }
  std::uint64_t own(std::string_view name) { return pba().statistics().own_value(name); }
  std::uint64_t cached() { return pba().statistics().cached; }
  cpu::Core& core() { return k_.system().machine.core(0); }
  LinearMapStatistics map() { return k_.system().linear_map.statistics(); }
  std::uint64_t pressure() { return k_.memory().pressure(); }
  Kernel& kernel() { return k_; }

  std::vector<Pfn> take(std::uint64_t n) {
    std::vector<Pfn> pages(n);
    for (Pfn& pfn : pages) pfn = pba().allocate(core(), TableKind::kUserLeaf);
    return pages;
  }
  void give(const std::vector<Pfn>& pages) {
    for (const Pfn pfn : pages) pba().free(core(), pfn);
  }
  PkeyIndex key_of(Pfn pfn) {
    return k_.system().linear_map.key_of(k_.system().machine.memory(), pfn);
  }
  std::uint64_t keyed() {
    const Buddy& buddy = k_.system().buddy;
    std::uint64_t n = 0;
    for (std::uint64_t i = 0; i < buddy.size(); ++i) {
      n += key_of(buddy.first() + i) == kPkeyPgtables ? 1 : 0;
    }
    return n;
  }
  std::uint64_t unused() { return k_.system().buddy.free_pages() + cached(); }
  // Tables that splits since boot have taken, for good.
  std::uint64_t split_tables() { return map().split_pud + map().split_pmd - boot_splits_; }

 private:
  static Config with(const std::string& given) {
    Config c;
    c.policy = parse_policy("kpkeys-poe,pba:" + given + ",block");
    c.memory_bytes = 256ull << 20;
    return c;
  }
  Kernel k_;
  const std::uint64_t boot_splits_ = map().split_pud + map().split_pmd;
};

// Pages of half of the runs are in use in the end, one of each 8.
std::vector<Pfn> holes(ShrinkRuleWorld& w, std::uint64_t pages) {
  std::vector<Pfn> used, all = w.take(pages), back;
  for (const Pfn pfn : all) {
    const bool keep = pfn.value / 64 % 2 == 0 && pfn.value % 8 == 0;
    (keep ? used : back).push_back(pfn);
  }
  w.give(back);
  return used;
}

TEST(ShrinkRule, V6UnkeysPageByPage_AndSplitsContiguousRuns) {
  ShrinkRuleWorld w("shrink=v6");
  holes(w, 2000);
  w.pressure();
  EXPECT_GT(w.own("shrunk_pages"), 500u);
  EXPECT_GT(w.map().split_contpte, 20u);
}

TEST(ShrinkRule, RunsGiveBackWhatWasKeyedTogether_AndNothingElse) {
  ShrinkRuleWorld w("shrink=runs:orders=4:handout=fullest");
  const std::vector<Pfn> used = w.take(1000);
  std::vector<Pfn> most(used.begin(), used.begin() + 900);
  w.give(most);
  const std::uint64_t cached = w.cached();
  const LinearMapStatistics before = w.map();
  const std::uint64_t freed = w.pressure();
  EXPECT_GT(freed, 800u);
  EXPECT_EQ(freed, 16 * w.own("shrunk_runs"));
  EXPECT_EQ(cached - freed, w.cached());
  EXPECT_EQ(w.map().set_memory_pkey, before.set_memory_pkey + w.own("shrunk_runs"));
  EXPECT_EQ(w.map().split_contpte, before.split_contpte);
  EXPECT_EQ(w.map().split_pmd, before.split_pmd);
  EXPECT_GE(w.cached(), 16u);
}

TEST(ShrinkRule, RunsHoldABlockOfWhichAPageIsInUse) {
  ShrinkRuleWorld w("shrink=runs");
  w.take(1);
  const std::uint64_t cached = w.cached();
  ASSERT_GT(cached, 500u);
  EXPECT_EQ(w.pressure(), 0u);
  EXPECT_EQ(w.cached(), cached);
}

TEST(ShrinkRule, PiecesSplitABlockOnce_AndNoContiguousRun) {
  ShrinkRuleWorld w("shrink=pieces");
  holes(w, 2000);
  const std::uint64_t cached = w.cached();
  const std::uint64_t freed = w.pressure();
  EXPECT_GT(freed, cached / 3);
  EXPECT_EQ(w.own("shrunk_pages"), 0u);
  EXPECT_EQ(freed, kShrinkRuleBlock * w.own("shrunk_blocks") + 16 * w.own("shrunk_runs"));
  EXPECT_GT(w.own("broken"), 0u);
  EXPECT_EQ(w.map().split_pmd, w.own("broken"));
  EXPECT_EQ(w.map().split_contpte, 0u);
}

TEST(ShrinkRule, PiecesLeaveABlockOfWhichTooFewAreFreeTogether) {
  ShrinkRuleWorld w("shrink=pieces:break=300");
  holes(w, 2000);  // 256 at most are free in pieces of a block
  w.pressure();
  EXPECT_EQ(w.own("broken"), 0u);
}

// Hysteresis: what the load takes again and again between two calls stays.
TEST(ShrinkRule, IdleKeepsWhatWasNeededSinceTheLastCall_AndGivesItBackTheNextTime) {
  ShrinkRuleWorld w("shrink=idle:handout=fullest");
  for (unsigned i = 0; i < 3; ++i) {
    w.give(w.take(2000));
    EXPECT_EQ(w.pressure(), 0u);
  }
  w.give(w.take(10));
  EXPECT_EQ(w.pressure(), 3 * kShrinkRuleBlock);
  EXPECT_EQ(w.pressure(), 0u) << "nothing has shown since what is not needed";
}

TEST(ShrinkRule, OthersGiveItBackAtOnce) {
  for (const char* rule : {"v6", "runs", "pieces"}) {
    ShrinkRuleWorld w(fmt::format("shrink={}:handout=fullest", rule));
    w.give(w.take(2000));
    EXPECT_EQ(w.pressure(), 3 * kShrinkRuleBlock) << rule;
  }
}

TEST(ShrinkRule, FullestMakesRunsWhole_WhereLifoSpreadsThem) {
  std::map<std::string, std::uint64_t> blocks;
  for (const std::string& handout : kHandOuts) {
    ShrinkRuleWorld w("shrink=runs:handout=" + handout);
    std::vector<Pfn> live = w.take(3000);
    std::mt19937 random(1);
    // A load that shrinks slowly: three come back at random for each two that are taken.
    while (live.size() > 400) {
      std::swap(live[random() % live.size()], live.back());
      w.give({live.back()});
      live.pop_back();
      if (random() % 3 != 0) live.push_back(w.take(1)[0]);
    }
    w.pressure();
    blocks[handout] = w.own("shrunk_blocks");
  }
  EXPECT_EQ(blocks["lifo"], 0u);
  EXPECT_GT(blocks["fullest"], blocks["lifo"]);
  EXPECT_GT(blocks["lowest"], blocks["lifo"]);
}

TEST(ShrinkRule, HeldPagesAreAddedUpOverTime_AndTheirMostIsKept) {
  ShrinkRuleWorld w("held=on");
  const auto time = [&] { return w.core().clock().value; };
  const std::uint64_t sum = w.own("held_time"), start = time(), held = w.cached();
  w.core().execute(1'000'000);
  EXPECT_EQ(w.own("held_time") - sum, held * (time() - start));
  // Up to a change it is what was held before, from then on what is held since.
  const std::uint64_t before = w.own("held_time"), t0 = time();
  w.core().execute(1'000'000);
  const std::uint64_t t1 = time();
  std::vector<Pfn> pages = w.take(held - 4);
  const std::uint64_t t2 = time();
  w.core().execute(1'000'000);
  const std::uint64_t added = w.own("held_time") - before, after = 4 * (time() - t2);
  EXPECT_GE(added, held * (t1 - t0) + after);
  EXPECT_LE(added, held * (t2 - t0) + after);
  pages.push_back(w.take(1)[0]);  // a refill
  const std::uint64_t most = held + kShrinkRuleBlock;
  w.give(pages);
  EXPECT_EQ(w.cached(), most);
  EXPECT_EQ(w.own("held_most"), most);
  w.pressure();
  EXPECT_LT(w.cached(), most);
  EXPECT_EQ(w.own("held_most"), most);
}

// Any life: every page is somewhere, each key is where it belongs, and a rule that gives back runs
// alone splits nothing by it (kPieces: one block for each that it breaks).
RC_GTEST_PROP(ShrinkRule, ARandomLifeLosesNoPage_AndLeavesEachKeyWhereItWas, ()) {
  const std::string handout = *rc::gen::elementOf(kHandOuts);
  const std::string rule = *rc::gen::elementOf(kRules);
  const std::string orders = *rc::gen::element<std::string>("9/4/2", "9", "4/2", "4", "2");
  ShrinkRuleWorld w(fmt::format("handout={}:shrink={}:orders={}:held=on", handout, rule, orders));
  RC_TAG(handout + " " + rule);
  const std::uint64_t unused = w.unused(), keyed = w.keyed() - w.cached();
  std::vector<Pfn> live;
  std::uint64_t broken = 0;
  const auto steps = *rc::gen::container<std::vector<std::pair<unsigned, unsigned>>>(
      30, rc::gen::pair(rc::gen::inRange(0u, 5u), rc::gen::inRange(1u, 800u)));
  for (const auto& [what, n] : steps) {
    for (unsigned i = 0; i < n; ++i) {
      if (what <= 1) live.push_back(w.take(1)[0]);
      if ((what == 2 || what == 3) && !live.empty()) {
        std::swap(live[i * (what == 2 ? 7 : 1) % live.size()], live.back());
        w.give({live.back()});
        live.pop_back();
      }
    }
    if (what == 4) {
      const LinearMapStatistics before = w.map();
      w.pressure();
      if (rule != "v6") {
        RC_ASSERT(w.map().split_contpte == before.split_contpte);
        const std::uint64_t splits = w.map().split_pmd - before.split_pmd;
        RC_ASSERT(splits <= w.own("broken") - broken);
        RC_ASSERT(rule == "pieces" || splits == 0);
        RC_ASSERT(w.own("shrunk_pages") == 0);
        broken = w.own("broken");
      }
    }
    for (const Pfn pfn : live) RC_ASSERT(w.key_of(pfn) == kPkeyPgtables);
    RC_ASSERT(w.unused() + live.size() + w.split_tables() == unused);
  }
  w.give(live);
  w.pressure();
  RC_ASSERT(w.unused() + w.split_tables() == unused);
  RC_ASSERT(w.keyed() == keyed + w.split_tables() + w.cached());
}

}  // namespace
}  // namespace kpksim::kernel
