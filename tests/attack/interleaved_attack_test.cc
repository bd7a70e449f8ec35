// Strikes on cores that run at once: they fall when the striking core's own clock has got to the
// moment, with that core's registers, windows and TLB.

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "sim/attack/battle.h"
#include "sim/base/error.h"
#include "sim/report/attack_table.h"
#include "tests/kernel/fixture.h"
#include "tests/place.h"
#include "tests/scratch.h"

namespace kpksim::attack {
namespace {

kernel::Config at_once(const std::string& policy) {
  kernel::Config config;
  config.policy = kernel::parse_policy(policy);
  config.memory_bytes = 512ull << 20;
  config.cores = 2;
  config.interleave = true;
  return config;
}

Scenario shipped_scenario(const std::string& name) {
  return read_scenario(test::source_path("workloads/attacks/" + name + ".json"));
}

Verdict fight_at_once(const Scenario& scenario, const std::string& policy) {
  return fight(scenario, kernel::mte_core_profile(), kernel::kernel_profile(), at_once(policy),
               {40, 1});
}
Verdict fight_at_once(const std::string& scenario, const std::string& policy) {
  return fight_at_once(shipped_scenario(scenario), policy);
}

// A shipped scenario with something changed in it.
Scenario changed_scenario(const std::string& name,
                          const std::function<void(nlohmann::json&)>& change) {
  const std::string path = test::scratch_file("changed.json");
  std::ifstream in(test::source_path("workloads/attacks/" + name + ".json"));
  nlohmann::json whole = nlohmann::json::parse(in);
  change(whole);
  std::ofstream(path) << whole.dump(1);
  return read_scenario(path);
}

// At the very moment, if that core has nothing else to do.
TEST(AttackAtOnce, ACoreThatIdlesStrikesAtTheMomentItself) {
  const Verdict v = fight_at_once("window-other-core", "kpkeys-poe,per-page,pte");
  ASSERT_EQ(v.blows.size(), 1u);
  EXPECT_NE(v.blows[0].moment, 0u);
  EXPECT_EQ(v.blows[0].fell, v.blows[0].moment);
  EXPECT_TRUE(v.blows[0].fault.overlay) << text_of(v);
}

// The attacker's faults need a table each, and the strike comes before it is marked: no point where
// the order of cores matters is near, so that the other core may be far behind.
Scenario before_marking(const std::string& name) {
  return changed_scenario(name, [](nlohmann::json& s) {
    s["phases"][1]["ops"][1].update({{"offset", "2M"}, {"size", "62M"}, {"stride", "2M"}});
    s["strikes"][0]["when"] = "marking";
  });
}

// Never before it, and at most the rest of a step later.
void check_moments(Scenario scenario, const std::string& policy, std::uint64_t occasions) {
  constexpr std::uint64_t kLongestStep = 20'000'000;  // with the waits for locks: 20,000 cycles
  scenario.strikes[0].each = 0;
  for (std::uint64_t& nth = scenario.strikes[0].nth = 1; nth <= occasions; ++nth) {
    const Verdict v = fight_at_once(scenario, policy);
    const std::string at = scenario.name + " " + policy + " " + std::to_string(nth);
    ASSERT_EQ(v.blows.size(), 1u) << at;
    const Blow& blow = v.blows[0];
    EXPECT_TRUE(blow.happened) << at;
    EXPECT_EQ(blow.core, 0u) << at;
    EXPECT_GE(blow.fell, blow.moment) << at;
    EXPECT_LT(blow.fell, blow.moment + kLongestStep) << at;
  }
}

TEST(AttackAtOnce, ACoreThatIsBusyStrikesWhenItsClockHasGotThere) {
  for (const char* name : {"window-faulting-core", "window-forking-core"}) {
    for (const char* policy : {"kpkeys-poe,per-page,pte", "rodata-toggle,per-page,pte"}) {
      check_moments(shipped_scenario(name), policy, 32);
      check_moments(before_marking(name), policy, 24);
    }
    check_moments(shipped_scenario(name), "kpkeys-poe+lazy,pba,block", 32);
  }
}

// The register is that of the core that strikes: at rest, though the struck one's is open.
TEST(AttackAtOnce, TheStrikingCoreHasItsOwnRegister) {
  const Verdict rest = fight_at_once("kunit-user-pte", "kpkeys-poe,per-page,pte");
  const Verdict v = fight_at_once("window-faulting-core", "kpkeys-poe,per-page,pte");
  ASSERT_EQ(v.blows.size(), 1u);
  EXPECT_EQ(v.blows[0].por_el1, rest.blows.back().por_el1);
  EXPECT_TRUE(v.blows[0].fault.overlay) << text_of(v);
}

// A core that has a window of its own open writes the tables of others by it: the wider its
// windows, the more of the moments it is in one.
TEST(AttackAtOnce, AWiderWindowOfTheOtherCoreLetsMoreStrikesThrough) {
  const auto points = [](const char* policy) {
    const Verdict v = fight_at_once("window-forking-core", policy);
    EXPECT_EQ(v.points, 32u) << policy;
    return v.points_succeeded;
  };
  const std::uint64_t entry = points("kpkeys-poe,per-page,pte");
  const std::uint64_t lazy = points("kpkeys-poe+lazy,per-page,pte");
  EXPECT_GT(entry, 0u);
  EXPECT_LT(entry, lazy);
  EXPECT_EQ(points("none,buddy,pte"), 32u);
}

TEST(AttackAtOnce, TheSameStrikesGiveTheSameBytes) {
  const Scenario scenario = shipped_scenario("window-forking-core");
  const auto document = [&] {
    const std::vector<kernel::Config> configs = {at_once("kpkeys-poe+lazy,pba,block"),
                                                 at_once("rodata-toggle,per-page,pte")};
    std::vector<std::vector<report::Fought>> verdicts(1);
    for (const kernel::Config& config : configs) {
      verdicts[0].push_back(
          {fight(scenario, kernel::mte_core_profile(), kernel::kernel_profile(), config, {}), {}});
    }
    return report::attack_document({scenario}, configs, verdicts, "c", "k").dump();
  };
  const std::string first = document();
  EXPECT_EQ(first, document());
  EXPECT_NE(first.find("\"moment\""), std::string::npos);
}

// Where the other core has nothing to do beside, all comes as it does where cores take turns; but
// not what needs a certain core, for one that idles takes a task over (marking-outstanding, and
// what waits for a page that is on a core's list: double-free).
TEST(AttackAtOnce, ScenariosOfOneTaskAtATimeHaveTheVerdictsOfTurns) {
  for (const char* name : {"window-other-core", "window-interrupt", "before-marking",
                           "after-unmarking", "fork-stores", "forged-root", "cred-in-window"}) {
    for (const char* policy :
         {"none,buddy,pte", "kpkeys-poe,per-page,pte", "kpkeys-poe+lazy,pba,block",
          "rodata-toggle,per-page,pte", "hypervisor-window,per-page,pte"}) {
      const Scenario scenario = shipped_scenario(name);
      kernel::Config turns = at_once(policy);
      turns.interleave = false;
      EXPECT_EQ(text_of(fight_at_once(scenario, policy)),
                text_of(fight(scenario, kernel::mte_core_profile(), kernel::kernel_profile(), turns,
                              {40, 1})))
          << name << " " << policy;
    }
  }
}

TEST(AttackAtOnce, AStrikeThatCannotBeDoneEndsTheRunWithItsPlace) {
  const Scenario scenario = changed_scenario("window-other-core", [](nlohmann::json& s) {
    s["strikes"][0]["value"] = {
        {"leaf", {{"frame_of", {{"task", "attacker"}, {"region", "spray"}, {"offset", "32M"}}}}}};
  });
  try {
    fight_at_once(scenario, "kpkeys-poe,per-page,pte");
    ADD_FAILURE() << "nothing is said";
  } catch (const InputError& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find(": /strikes/0 (write the PTE table of "), std::string::npos) << what;
    EXPECT_NE(what.find("does not exist at that moment"), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace kpksim::attack
