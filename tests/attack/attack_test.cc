// Verdicts of the shipped attacks: each is what the mechanism does, for without it the same strikes
// succeed.

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "sim/attack/battle.h"
#include "sim/base/error.h"
#include "tests/kernel/fixture.h"
#include "tests/place.h"
#include "tests/scratch.h"

namespace kpksim::attack {
namespace {

Verdict fight_of(const std::string& scenario, const std::string& policy) {
  kernel::Config config;
  config.policy = kernel::parse_policy(policy);
  config.memory_bytes = 512ull << 20;
  config.cores = 2;
  return fight(read_scenario(test::source_path("workloads/attacks/" + scenario + ".json")),
               kernel::mte_core_profile(), kernel::kernel_profile(), config);
}

// The fault that stopped it.
mmu::Fault stopping(const Verdict& verdict) {
  EXPECT_EQ(verdict.outcome, Outcome::kStoppedByFault) << text_of(verdict);
  for (const Blow& blow : verdict.blows) {
    if (blow.fault) return blow.fault;
  }
  return {};
}

TEST(Attack, WithoutProtectionAFreedPageComesBackAsATableAndIsForged) {
  for (const char* scenario : {"dirty-pagetable", "cross-cache", "dirty-pagetable-user",
                               "dirty-pagedirectory", "top-level-table"}) {
    const Verdict v = fight_of(scenario, "none,buddy,pte");
    EXPECT_EQ(v.outcome, Outcome::kSucceeded) << scenario;
    EXPECT_NE(v.proof.find("EL0 of 'attacker' writes"), std::string::npos) << v.proof;
  }
}

// What the key stops and what the allocator stops are told apart.
TEST(Attack, TheKeyStopsTheStoreAndThePoolKeepsThePageFromBecomingATable) {
  const Verdict keyed = fight_of("dirty-pagetable", "kpkeys-poe,per-page,pte");
  EXPECT_TRUE(stopping(keyed).overlay);
  EXPECT_TRUE(keyed.blows.back().on_table);
  const Verdict pooled = fight_of("dirty-pagetable", "kpkeys-poe,pba,block");
  EXPECT_EQ(pooled.outcome, Outcome::kStoppedByAllocator);
  EXPECT_FALSE(pooled.blows.back().on_table);
  EXPECT_FALSE(pooled.blows.back().fault);
}

// The attacker's own mapping has no key: only where the page never becomes a table it is harmless.
TEST(Attack, AKeyOnTheLinearMapSaysNothingOfAUserMappingThatDangles) {
  for (const char* scenario : {"dirty-pagetable-user", "dirty-pagedirectory"}) {
    EXPECT_EQ(fight_of(scenario, "kpkeys-poe,per-page,pte").outcome, Outcome::kSucceeded);
    EXPECT_NE(fight_of(scenario, "kpkeys-poe,pba,block").outcome, Outcome::kSucceeded);
  }
}

TEST(Attack, AWindowOfARegisterIsOneCoresAndOneOfAPageIsEverybodys) {
  EXPECT_TRUE(stopping(fight_of("window-other-core", "kpkeys-poe,per-page,pte")).overlay);
  EXPECT_EQ(fight_of("window-other-core", "rodata-toggle,per-page,pte").outcome,
            Outcome::kSucceeded);
}

TEST(Attack, AnExceptionClosesAWindowOfARegisterAndNoneOfAPage) {
  EXPECT_TRUE(stopping(fight_of("window-interrupt", "kpkeys-poe,per-page,pte")).overlay);
  EXPECT_EQ(fight_of("window-interrupt", "rodata-toggle,per-page,pte").outcome,
            Outcome::kSucceeded);
}

TEST(Attack, AKeyGuardsAMappingAndStage2GuardsAllOfThem) {
  EXPECT_EQ(fight_of("kernel-alias", "kpkeys-poe,per-page,pte").outcome, Outcome::kSucceeded);
  EXPECT_TRUE(stopping(fight_of("kernel-alias", "hypervisor,per-page,pte")).stage2);
}

TEST(Attack, AForgedRootInOrdinaryMemoryIsNobodysTable) {
  for (const char* policy : {"none,buddy,pte", "kpkeys-poe,per-page,pte", "kpkeys-poe,pba,block",
                             "hypervisor,per-page,pte"}) {
    EXPECT_EQ(fight_of("forged-root", policy).outcome, Outcome::kSucceeded) << policy;
  }
}

TEST(Attack, ARegisterThatIsSavedInMemoryIsTheSchemesAssumption) {
  EXPECT_EQ(fight_of("saved-register", "kpkeys-poe,per-page,pte").outcome, Outcome::kSucceeded);
  // No register opens stage 2.
  EXPECT_TRUE(stopping(fight_of("saved-register", "hypervisor,per-page,pte")).stage2);
}

TEST(Attack, AMisdirectedCopyToUserFailsWithoutAnyProtection) {
  EXPECT_FALSE(stopping(fight_of("copy-to-user", "none,buddy,pte")).overlay);
}

TEST(Attack, ATagIsGuessedByOneOfThoseInUse) {
  const Verdict v = fight_of("kunit-user-pte", "mte,per-page,pte");
  EXPECT_EQ(v.draws, 100u);
  // One of 14: the interval of the draws holds it.
  const auto [low, high] = wilson(v.draws - v.successes, v.draws);
  EXPECT_LT(low, 13.0 / 14);
  EXPECT_GT(high, 13.0 / 14);
  EXPECT_NE(text_of(v).find("detected, p = 0."), std::string::npos) << text_of(v);
  // Where the right tag is stopped too, by the key, nothing is drawn.
  const Verdict both = fight_of("kunit-user-pte", "kpkeys-poe+mte,per-page,pte");
  EXPECT_TRUE(stopping(both).overlay);
  EXPECT_EQ(both.draws, 1u);
}

// A page that is unmarked and not free yet was a table, and is none: the cause says so, and not
// that the allocator has stopped anything.
TEST(Attack, AStrikeAfterUnmarkingHitsAFreedTable) {
  const Verdict v = fight_of("after-unmarking", "kpkeys-poe,per-page,pte");
  EXPECT_EQ(v.outcome, Outcome::kFreedTable) << text_of(v);
  EXPECT_FALSE(v.blows.back().on_table);
  EXPECT_TRUE(v.blows.back().on_freed_table);
  EXPECT_EQ(text_of(v), "freed table: no walk reads it any more");
  const Verdict table = fight_of("kunit-user-pte", "none,buddy,pte");
  EXPECT_FALSE(table.blows.back().on_freed_table);
}

bool is_tag_check(const Verdict& verdict) {
  return stopping(verdict).kind == mmu::FaultKind::kTagCheck;
}

// The kernel's pointer to an object has no tag where page tables alone have some: what dangles is
// 0xffff..., whose logical tag no page table has. No chance is in it, unless TCMA1 lets it pass.
TEST(Attack, APointerWithoutATagMeetsACheckOfItsOwn) {
  for (const char* scenario : {"dirty-pagetable", "cross-cache"}) {
    const Verdict checked = fight_of(scenario, "mte,per-page,pte");
    EXPECT_TRUE(is_tag_check(checked)) << scenario;
    EXPECT_EQ(checked.draws, 1u) << scenario;
    const auto& tags = checked.blows.back().tags;
    ASSERT_TRUE(tags) << scenario;
    EXPECT_EQ(tags->pointer.value, 15) << scenario;
    EXPECT_LT(tags->memory.value, 14) << scenario;
    EXPECT_TRUE(tags->compared) << scenario;
    const Verdict passes = fight_of(scenario, "mte:match_all=on,per-page,pte");
    EXPECT_EQ(passes.outcome, Outcome::kSucceeded) << scenario;
    EXPECT_EQ(passes.draws, 1u) << scenario;
    EXPECT_FALSE(passes.blows.back().tags->compared) << scenario;
  }
}

// The tag is stored before the key is set: while the key's TLBI is outstanding it is there.
TEST(Attack, ATagHoldsWhileTheKeysTlbiIsOutstanding) {
  const Verdict v = fight_of("marking-outstanding", "kpkeys-poe+mte,per-page,pte");
  EXPECT_TRUE(is_tag_check(v));
  EXPECT_TRUE(v.blows.back().from_tlb);
  EXPECT_EQ(v.draws, 1u);
  EXPECT_EQ(fight_of("marking-outstanding", "kpkeys-poe+mte:match_all=on,per-page,pte").outcome,
            Outcome::kSucceeded);
}

// Whoever makes an address up chooses its tag: where one matches all there is nothing to guess.
TEST(Attack, AnAddressThatIsMadeUpHasTheTagThatPassesIfOneDoes) {
  const Verdict passes = fight_of("kunit-user-pte", "mte:match_all=on,per-page,pte");
  EXPECT_EQ(passes.outcome, Outcome::kSucceeded);
  EXPECT_EQ(passes.draws, 1u);
  // Of one tag in use every guess is right.
  EXPECT_EQ(text_of(fight_of("kunit-user-pte", "mte:tags=1,per-page,pte")), "succeeds");
  const Verdict half = fight_of("kunit-user-pte", "mte:tags=2,per-page,pte");
  const auto [low, high] = wilson(half.draws - half.successes, half.draws);
  EXPECT_LT(low, 0.5);
  EXPECT_GT(high, 0.5);
}

// Objects with tags of their own: a pointer that dangles has one of those that tables are given.
TEST(Attack, APointerToATaggedObjectIsDetectedByChance) {
  kernel::Config config;
  config.policy = kernel::parse_policy("mte:match_all=on,per-page,pte");
  config.memory_bytes = 512ull << 20;
  config.cores = 2;
  const Verdict v =
      fight(read_scenario(test::source_path("workloads/attacks/dirty-pagetable.json")),
            kernel::mte_core_profile(), kernel::kernel_profile(), config, {200, 1, true});
  EXPECT_EQ(v.draws, 200u);
  const auto [low, high] = wilson(v.draws - v.successes, v.draws);
  EXPECT_LT(low, 13.0 / 14);
  EXPECT_GT(high, 13.0 / 14);
}

// The draws are made at the first store at which the right tag succeeds.
TEST(Attack, AStrikeThatTakesTurnsDrawsTagsWhereTheRightOneSucceeds) {
  const Verdict v = fight_of("fork-stores", "mte,per-page,pte");
  EXPECT_EQ(v.points, 16u);
  EXPECT_GT(v.points_succeeded, 0u);
  EXPECT_GT(v.successes, 0u);
  EXPECT_LT(v.successes, v.draws);
}

TEST(Attack, AShareOfDrawsWithoutAnySuccessIsNotCalledCertain) {
  Verdict none;
  none.outcome = Outcome::kStoppedByFault;
  none.draws = 10;
  EXPECT_EQ(text_of(none), "detected, p = 1.00 (0.72 to 1.00)");
}

TEST(Attack, StoresOfTheSeriesOwnTestsFaultByTheKey) {
  for (const char* scenario :
       {"kunit-user-pte", "kunit-user-pmd", "kunit-linear-pte", "kunit-vmalloc-pte"}) {
    for (const char* policy : {"kpkeys-poe,per-page,pte", "kpkeys-poe,pba,block"}) {
      EXPECT_TRUE(stopping(fight_of(scenario, policy)).overlay) << scenario << " " << policy;
    }
    EXPECT_EQ(fight_of(scenario, "none,buddy,pte").outcome, Outcome::kSucceeded) << scenario;
  }
}

TEST(Attack, BesideTheMmuNothingStopsAWrite) {
  for (const char* scenario : {"dma", "bit-flip", "page-cache"}) {
    for (const char* policy : {"kpkeys-poe,pba,block", "hypervisor,per-page,pte"}) {
      EXPECT_EQ(fight_of(scenario, policy).outcome, Outcome::kSucceeded) << scenario << policy;
    }
  }
}

TEST(Attack, AnX86CoresFaultsHaveItsOwnWords) {
  kernel::Config config;
  config.policy = kernel::parse_policy("kpkeys-pks,per-page,pte");
  config.memory_bytes = 512ull << 20;
  config.cores = 2;
  const std::string path = test::source_path("workloads/attacks/kunit-user-pte.json");
  const Verdict v =
      fight(read_scenario(path), kernel::x86_core_profile(), kernel::kernel_profile(), config);
  EXPECT_EQ(text_of(v), "page fault, protection key");
  EXPECT_EQ(text_of(fight_of("kunit-user-pte", "kpkeys-poe,per-page,pte")),
            "overlay fault, level 3");
}

// Between the change of a page's mapping and the end of its flush another core's TLB still has the
// old entry.
TEST(Attack, AMarkWhoseTlbiIsOutstandingStopsNoCoreThatHasUsedThePage) {
  const Verdict v = fight_of("marking-outstanding", "kpkeys-poe,per-page,pte");
  EXPECT_EQ(v.outcome, Outcome::kSucceeded);
  EXPECT_TRUE(v.blows.back().from_tlb);
  EXPECT_EQ(fight_of("marking-outstanding", "kpkeys-poe,pba,block").outcome, Outcome::kNoOccasion);
}

TEST(Attack, CredentialsAreATargetThatTheirOwnKeyAloneStops) {
  for (const char* scenario : {"cred-own", "cred-other", "cred-in-window"}) {
    EXPECT_EQ(fight_of(scenario, "kpkeys-poe,pba,block").outcome, Outcome::kSucceeded) << scenario;
    EXPECT_TRUE(stopping(fight_of(scenario, "kpkeys-poe:cred=on,pba,block")).overlay) << scenario;
  }
}

TEST(Attack, AClassThatSharesTheKeyOfPageTablesLetsItsContextWriteThem) {
  EXPECT_EQ(fight_of("shared-key", "kpkeys-poe,per-page,pte").outcome, Outcome::kSucceeded);
  EXPECT_TRUE(stopping(fight_of("own-key", "kpkeys-poe,per-page,pte")).overlay);
  EXPECT_EQ(fight_of("own-key", "kpkeys-poe+mte,per-page,pte").outcome, Outcome::kNotModelled);
}

TEST(Attack, AContextIsClosedWhileItsTaskSleepsAndASavedRegisterOpensIt) {
  EXPECT_TRUE(stopping(fight_of("asleep-object", "kpkeys-poe,per-page,pte")).overlay);
  EXPECT_EQ(fight_of("asleep-object", "none,buddy,pte").outcome, Outcome::kSucceeded);
  EXPECT_EQ(fight_of("asleep-register", "kpkeys-poe,per-page,pte").outcome, Outcome::kSucceeded);
}

// Freed twice, a page is a table and an object at once: the kernel's stores to the object meet the
// table's key. A pool never hands the page out in between.
TEST(Attack, APageThatIsFreedTwiceIsATableAndAnObjectAtOnce) {
  EXPECT_EQ(fight_of("double-free", "none,buddy,pte").outcome, Outcome::kSucceeded);
  const Verdict keyed = fight_of("double-free", "kpkeys-poe,per-page,pte");
  EXPECT_TRUE(stopping(keyed).overlay);
  EXPECT_TRUE(keyed.blows.back().on_table);
  const Verdict pooled = fight_of("double-free", "kpkeys-poe,pba,block");
  EXPECT_EQ(pooled.outcome, Outcome::kNoOccasion);
}

TEST(Attack, AStrikeTakesItsTurnAtEachStoreOfAFork) {
  const Verdict bare = fight_of("fork-stores", "none,buddy,pte");
  EXPECT_EQ(bare.points, 16u);
  EXPECT_GT(bare.points_succeeded, 0u);
  EXPECT_LT(bare.points_succeeded, bare.points);
  const Verdict keyed = fight_of("fork-stores", "kpkeys-poe+lazy,pba,block");
  EXPECT_EQ(keyed.points_succeeded, 0u);
  EXPECT_TRUE(stopping(keyed).overlay);
}

TEST(Attack, CodeInAWindowThatIsMisledItselfWritesAnyTable) {
  EXPECT_EQ(fight_of("window-code", "kpkeys-poe,per-page,pte").outcome, Outcome::kSucceeded);
  EXPECT_NE(fight_of("window-code", "rodata-toggle,per-page,pte").outcome, Outcome::kSucceeded);
}

std::string changed_path() { return test::scratch_file("changed.json"); }

// A shipped scenario with something changed in it.
Scenario changed(const std::string& name, const std::function<void(nlohmann::json&)>& change) {
  const std::string path = changed_path();
  std::ifstream in(test::source_path("workloads/attacks/" + name + ".json"));
  nlohmann::json whole = nlohmann::json::parse(in);
  if (whole.contains("keys")) whole["keys"]["classes"] = test::source_path("classes/linux.json");
  change(whole);
  std::ofstream(path) << whole.dump(1);
  return read_scenario(path);
}
std::string error_of_changed(const std::string& name,
                             const std::function<void(nlohmann::json&)>& change) {
  try {
    changed(name, change);
  } catch (const InputError& e) {
    return test::without_place(e.what(), changed_path());
  }
  return "";
}
Verdict fight_bare(const Scenario& scenario) {
  kernel::Config config;
  config.policy = kernel::parse_policy("none,buddy,pte");
  config.memory_bytes = 512ull << 20;
  config.cores = 2;
  return fight(scenario, kernel::mte_core_profile(), kernel::kernel_profile(), config);
}

// A phase more, in which the attacker touches what its forged tables do not have, and then exits.
void run_on(nlohmann::json& scenario) {
  scenario["phases"].push_back(
      {{"name", "on"},
       {"ops",
        {{{"op", "touch"}, {"task", "attacker"}, {"region", "far"}, {"access", "write"}},
         {{"op", "exit"}, {"task", "attacker"}}}}});
}

TEST(Attack, ATaskThatRunsOnWithAForgedRootEndsWhereItsTablesEnd) {
  const Verdict v = fight_bare(changed("forged-root", run_on));
  EXPECT_EQ(v.outcome, Outcome::kSucceeded);
  EXPECT_NE(v.ended.find("which its mappings do not allow"), std::string::npos) << v.ended;
  EXPECT_NE(v.ended.find(changed_path()), std::string::npos) << v.ended;
}

TEST(Attack, AGoalOfATaskThatHasExitedIsToldWithItsPlace) {
  const Scenario scenario = changed("dirty-pagetable", [](nlohmann::json& s) {
    s["phases"].push_back({{"name", "end"}, {"ops", {{{"op", "exit"}, {"task", "attacker"}}}}});
  });
  try {
    fight_bare(scenario);
    ADD_FAILURE() << "nothing is said";
  } catch (const InputError& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find(changed_path()), std::string::npos) << what;
    EXPECT_NE(what.find("/goal: 'attacker' has exited by then"), std::string::npos) << what;
  }
}

TEST(AttackFile, ClassesAndContextsThatAreNotThereAreToldWithTheirPlace) {
  const auto strike = [](const char* key, const nlohmann::json& value) {
    return [key, value](nlohmann::json& s) { s["strikes"][0][key] = value; };
  };
  EXPECT_EQ(error_of_changed("asleep-object", strike("page", {{"class", "bpf_program"}})),
            "/strikes/0/page/class: 'bpf_program' is not a protected class with objects; did you "
            "mean 'bpf_programs'?");
  EXPECT_EQ(error_of_changed("cred-own", strike("page", {{"class", "cred"}})),
            "/strikes/0/page/class: the scenario has no protected classes: give it 'keys'");
  EXPECT_EQ(error_of_changed("asleep-object", strike("page", {{"class", "cred"}})),
            "/strikes/0/page/class: which credentials? name them by their task: \"cred_of\"");
  EXPECT_EQ(error_of_changed("asleep-object", strike("context", "cred")),
            "/strikes/0/context: 'cred' is not a context of the classes that sleeps; known: "
            "bpf_load, module_load, policy_load");
  EXPECT_EQ(error_of_changed("asleep-object",
                             [](nlohmann::json& s) { s["keys"]["classes"] = "none.json"; }),
            "/keys/classes: 'none.json' is no file; the path starts from the folder of this one");
}

// A core gets the pages that it has freed itself.
TEST(Attack, APageThatAnotherCoreFreesDoesNotComeBack) {
  const auto elsewhere = [](nlohmann::json& s) {
    for (std::size_t i : {0, 1}) s["strikes"][i]["task"] = "victim";
  };
  const Verdict v = fight_bare(changed("dirty-pagetable", elsewhere));
  EXPECT_EQ(v.outcome, Outcome::kStoppedByAllocator);
  EXPECT_FALSE(v.blows.back().on_table);
}

// A kernel that forgets the flush of munmap(): the attacker's TLB still leads to the page, which
// the victim has been given since.
TEST(Attack, AScenarioSaysWhichFlushItsKernelForgets) {
  const auto stale = [](nlohmann::json& s) {
    const auto op = [](const char* what, const char* task) {
      return nlohmann::json{{"op", what}, {"task", task}, {"region", task}};
    };
    nlohmann::json ops = {{{"op", "spawn"}, {"task", "victim"}}, op("mmap", "victim")};
    ops[1]["size"] = "8K";
    ops.push_back(op("touch", "victim"));
    ops[2].update({{"access", "write"}, {"offset", "4K"}, {"size", "4K"}});
    ops.push_back({{"op", "spawn"}, {"task", "attacker"}});
    ops.push_back(op("mmap", "attacker"));
    ops[4].update({{"size", "64K"}, {"huge", "never"}});
    ops.push_back(op("touch", "attacker"));
    ops[5]["access"] = "write";
    ops.push_back(op("munmap", "attacker"));
    ops[6].update({{"offset", "60K"}, {"size", "4K"}});
    ops.push_back({{"op", "migrate"}, {"task", "victim"}, {"core", 1}});  // where the page is freed
    ops.push_back(op("touch", "victim"));
    ops[8].update({{"access", "write"}, {"size", "4K"}});
    s["phases"] = {{{"name", "all"}, {"ops", ops}}};
    const nlohmann::json secret = {{"frame_of", {{"task", "victim"}, {"region", "victim"}}}};
    s["strikes"] = {{{"after", "all"}, {"do", "read"}, {"page", secret}}};
    s["goal"] = {{"reach", {{"task", "attacker"}, {"region", "attacker"}}}, {"page", secret}};
  };
  EXPECT_NE(fight_bare(changed("dirty-pagetable", stale)).outcome, Outcome::kSucceeded);
  const auto forgets = [&](nlohmann::json& s) {
    stale(s);
    s["inject"] = {"skip:tlbi.unmap"};
  };
  EXPECT_EQ(fight_bare(changed("dirty-pagetable", forgets)).outcome, Outcome::kSucceeded);
  const std::string wrong = error_of_changed(
      "dirty-pagetable", [](nlohmann::json& s) { s["inject"] = {"skip:tlbi.unmpa"}; });
  EXPECT_NE(wrong.find("/inject/0: "), std::string::npos) << wrong;
  EXPECT_NE(wrong.find("tlbi.unmap"), std::string::npos) << wrong;
}

std::string error_of(const std::string& strikes, const std::string& goal) {
  const std::string path = test::scratch_file("attack.json");
  std::ofstream(path) << R"({"name": "n", "description": "d", "source": "s", "phases": [)"
                      << R"({"name": "all", "ops": [{"op": "spawn", "task": "t"}]}],)"
                      << "\n\"strikes\": [" << strikes << "],\n\"goal\": " << goal << "}";
  try {
    read_scenario(path);
  } catch (const InputError& e) {
    return test::without_place(e.what(), path);
  }
  return "";
}

TEST(AttackFile, MistakesAreToldWithWhatIsValid) {
  const std::string goal = R"({"change": true, "page": {"root_of": "t"}})";
  EXPECT_NE(error_of(R"({"after": "all", "do": "wirte", "page": {"root_of": "t"}})", goal)
                .find("did you mean 'write'"),
            std::string::npos);
  EXPECT_EQ(error_of(R"({"after": "al", "do": "dma", "page": {"root_of": "t"}})", goal),
            "/strikes/0/after: 'al' is not a phase of the workload; did you mean 'all'?");
  EXPECT_EQ(error_of(R"({"after": "all", "do": "dma", "page": "object"})", goal),
            "/strikes/0/page: no take before this has a page 'object'");
  EXPECT_EQ(error_of(R"({"after": "all", "do": "dma"})", goal), "/strikes/0: missing key 'page'");
  EXPECT_EQ(error_of(R"({"during": "all", "do": "dma", "page": {"root_of": "t"}})", goal),
            "/strikes/0: 'when' belongs to 'during'");
  const std::string take = R"({"after": "all", "do": "take", "page": "a"},)";
  const std::string free = R"({"after": "all", "do": "free", "page": "a"})";
  EXPECT_EQ(error_of(take + free + R"(, {"after": "all", "do": "free", "page": "b"})", goal),
            "/strikes/2/page: no take before this has a page 'b'; did you mean 'a'?");
  EXPECT_EQ(error_of(R"({"after": "all", "do": "dma", "page": {"linear_table_of": "a"}})", goal),
            "/strikes/0/page/linear_table_of: no take before this has a page 'a'");
  EXPECT_EQ(error_of(R"({"during": "all", "when": "window", "do": "dma", "page": "marked"})", goal),
            "/strikes/0/page: 'marked' is a page while one is marked or unmarked, and flushed");
}

}  // namespace
}  // namespace kpksim::attack
