// Assignment of keys to classes, on random demands: always legal, never better than the
// optimum, which is an established solver's.

#include "sim/pkrs/assignment.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/pkrs/register.h"
#include "tests/pkrs/gecode_optimum.h"

namespace kpksim::pkrs {
namespace {

Demand demand(std::size_t classes) {
  Demand out;
  for (std::size_t i = 0; i < classes; ++i) {
    out.classes.push_back({"class" + std::to_string(i), 64 * (i + 1), false, false});
  }
  return out;
}
void add_context(Demand& demand, std::uint64_t weight, std::initializer_list<std::size_t> uses) {
  ContextDemand c{"context" + std::to_string(demand.contexts.size()),
                  std::vector<bool>(demand.classes.size()), weight};
  for (const std::size_t i : uses) c.uses[i] = true;
  demand.contexts.push_back(c);
}

Demand random_demand(std::size_t most_classes) {
  Demand out = demand(*rc::gen::inRange<std::size_t>(1, most_classes + 1));
  for (ClassDemand& c : out.classes) {
    c.bytes = *rc::gen::inRange<std::uint64_t>(1, 5000);
    c.secret = *rc::gen::inRange(0, 5) == 0;
  }
  out.classes[0].secret = false;
  out.classes[0].pinned = true;
  const auto contexts = *rc::gen::inRange<std::size_t>(1, 6);
  for (std::size_t i = 0; i < contexts; ++i) {
    add_context(out, *rc::gen::inRange<std::uint64_t>(0, 100), {});
    for (std::size_t k = 0; k < out.classes.size(); ++k) {
      out.contexts.back().uses[k] = *rc::gen::inRange(0, 3) == 0;
    }
  }
  return out;
}

TEST(Assignment, DedicatedNamesTheFirstClassThatDoesNotFit) {
  const Assignment nine = assign(demand(9), Strategy::kDedicated, 8);
  EXPECT_EQ(nine.refusal, "9 classes, 7 keys for them: 'class7' is the first without one");
  EXPECT_EQ(assign(demand(7), Strategy::kDedicated, 8).refusal, "");
}

TEST(Assignment, ClassesThatNoContextHoldsApartShareAKey) {
  Demand d = demand(4);
  add_context(d, 10, {0, 1});
  add_context(d, 0, {2});  // never ran, and may
  const Assignment a = assign(d, Strategy::kSharedGraph, 8);
  EXPECT_EQ(a.key[0], a.key[1]);
  EXPECT_NE(a.key[0], a.key[2]);
  EXPECT_NE(a.key[2], a.key[3]);
  EXPECT_EQ(over_privilege(d, a), 0u);
  EXPECT_NE(assign(d, Strategy::kSharedGraph, 3).refusal, "");
}

TEST(Assignment, TheCheapestPairIsMergedFirst) {
  Demand d = demand(3);
  add_context(d, 100, {0});
  add_context(d, 1, {1});
  add_context(d, 1, {2});
  const Assignment a = assign(d, Strategy::kSharedBalanced, 3);
  EXPECT_EQ(a.key[1], a.key[2]);
  EXPECT_NE(a.key[0], a.key[1]);
  EXPECT_EQ(over_privilege(d, a), 128u + 192u);
}

TEST(Assignment, AContextReachesAllLevelsBelowItsOwn) {
  Demand d = demand(3);
  add_context(d, 100, {0});
  add_context(d, 10, {1});
  add_context(d, 1, {2});
  const Assignment a = assign(d, Strategy::kHierarchical, 8);
  EXPECT_EQ(a.reaches[0], (std::vector<bool>{true, false, false}));
  EXPECT_EQ(a.reaches[1], (std::vector<bool>{true, true, false}));
  EXPECT_EQ(a.reaches[2], (std::vector<bool>{true, true, true}));
}

TEST(Assignment, ASecretSharesNoKeyWithWhatEverybodyReads) {
  Demand d = demand(2);
  d.classes[1].secret = true;
  add_context(d, 1, {0, 1});
  for (const Strategy s : {Strategy::kSharedGraph, Strategy::kSharedBalanced,
                           Strategy::kHierarchical, Strategy::kOptimal}) {
    EXPECT_NE(assign(d, s, 2).refusal, "") << name_of(s);
    EXPECT_EQ(assign(d, s, 3).refusal, "") << name_of(s);
  }
}

TEST(Assignment, VirtualKeysNeedAsManyAsTheLargestContextAndThoseOfTheParked) {
  Demand d = demand(5);
  d.classes[0].pinned = true;
  add_context(d, 1, {0, 1, 2});
  EXPECT_NE(assign(d, Strategy::kVirtualised, 4).refusal, "");
  const Assignment a = assign(d, Strategy::kVirtualised, 5);
  EXPECT_EQ(a.refusal, "");
  EXPECT_EQ(a.key[0], PkeyIndex(1));
  EXPECT_EQ(a.key[1], a.parked);
  EXPECT_EQ(a.first_free, PkeyIndex(3));
}

// An interrupt may use it while a context holds another.
TEST(Assignment, AClassThatInterruptsUseHasAVirtualKeyBesideEachContext) {
  Demand d;
  d.classes = {{"page_tables", 1, false, true}, {"a", 1}, {"b", 1}, {"c", 1}};
  d.contexts = {{"of_a", {false, true, false, false}}, {"of_b", {false, false, true, false}}};
  // Key 0, page tables, the parked, and as many as are needed at once.
  EXPECT_EQ(assign(d, Strategy::kVirtualised, 4).refusal, "");
  d.classes[3].anywhere = true;
  EXPECT_NE(assign(d, Strategy::kVirtualised, 4).refusal, "");
  EXPECT_EQ(assign(d, Strategy::kVirtualised, 5).refusal, "");
}

TEST(Assignment, EachIsLegalAndNoneIsBetterThanTheOptimum) {
  rc::check([] {
    const Demand d = random_demand(9);
    const auto budget = *rc::gen::inRange(2u, 12u);
    const Assignment best = assign(d, Strategy::kOptimal, budget);
    for (std::size_t s = 0; s < kStrategies; ++s) {
      const Assignment a = assign(d, static_cast<Strategy>(s), budget);
      if (!a.refusal.empty()) continue;
      RC_ASSERT(illegal(d, a) == "");
      if (a.virtualised) continue;
      RC_ASSERT(best.refusal == "");
      RC_ASSERT(over_privilege(d, a) >= over_privilege(d, best));
    }
  });
}

TEST(Assignment, TheOptimumIsTheSolvers) {
  rc::check([] {
    const Demand d = random_demand(9);
    const auto keys = *rc::gen::inRange(1u, 10u);
    const std::optional<Cost> least = test::least_by_gecode(d, keys);
    const Assignment found = assign(d, Strategy::kOptimal, keys + 1);
    RC_ASSERT(least.has_value() == found.refusal.empty());
    if (least) RC_ASSERT(over_privilege(d, found) == *least);
  });
}

// However alike classes are.
TEST(Assignment, SixteenClassesBesidePageTablesHaveAnOptimumUnderEachBudget) {
  Demand d = demand(kMostClassesOfOptimal);
  for (std::size_t i = 0; i < d.classes.size(); ++i) {
    d.classes[i].bytes = 64;
    add_context(d, 1, {i});
  }
  for (unsigned budget = 2; budget < 20; ++budget) {
    const Assignment best = assign(d, Strategy::kOptimal, budget);
    ASSERT_EQ(best.refusal, "");
    // Groups as even as can be: one of n classes costs n × (n - 1) × 64.
    const std::size_t keys = budget - 1, n = d.classes.size(), small = n / keys, large = n % keys;
    EXPECT_EQ(over_privilege(d, best),
              Cost{64} * (large * (small + 1) * small + (keys - large) * small * (small - 1)))
        << budget;
  }
  EXPECT_NE(assign(demand(kMostClassesOfOptimal + 1), Strategy::kOptimal, 8).refusal, "");
}

// The optimum against every partition there is.
TEST(Assignment, TheOptimumIsTheBestOfAllPartitions) {
  rc::check([] {
    const Demand d = random_demand(5);
    const std::size_t n = d.classes.size();
    const auto keys = *rc::gen::inRange(1u, 5u);
    const Assignment found = assign(d, Strategy::kOptimal, keys + 1);
    std::optional<Cost> least;
    Assignment trial = assign(d, Strategy::kDedicated, kMostBudget);
    trial.budget = keys + 1;
    std::uint64_t ways = 1;
    for (std::size_t i = 0; i < n; ++i) ways *= keys;
    for (std::uint64_t way = 0; way < ways; ++way) {
      std::uint64_t rest = way;
      for (PkeyIndex& key : trial.key) {
        key = PkeyIndex(static_cast<std::uint8_t>(1 + rest % keys));
        rest /= keys;
      }
      for (std::size_t c = 0; c < d.contexts.size(); ++c) {
        for (std::size_t i = 0; i < n; ++i) {
          bool open = false;
          for (std::size_t j = 0; j < n; ++j) {
            open |= d.contexts[c].uses[j] && trial.key[j] == trial.key[i];
          }
          trial.reaches[c][i] = open;
        }
      }
      if (!illegal(d, trial).empty()) continue;
      const Cost cost = over_privilege(d, trial);
      if (!least || cost < *least) least = cost;
    }
    RC_ASSERT(least.has_value() == found.refusal.empty());
    if (least) RC_ASSERT(over_privilege(d, found) == *least);
  });
}

TEST(Assignment, AnUnknownStrategyIsToldTheNearest) {
  try {
    parse_strategy("shared-balance");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "'shared-balance' is not a strategy; did you mean 'shared-balanced'?");
  }
}

}  // namespace
}  // namespace kpksim::pkrs
