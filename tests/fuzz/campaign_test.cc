// The fuzzer finds faults that are planted, makes programs that show them small, writes them so
// that kpksim run reproduces them, and gives the same on any number of threads.

#include "sim/fuzz/campaign.h"

#include <fmt/ranges.h>

#include "tests/fuzz/trials.h"

namespace kpksim::fuzz {
namespace {

Campaign campaign_in(const char* policy, std::uint64_t programs,
                     const std::vector<std::string>& faults = {},
                     const char* core = "neoverse-v1") {
  Campaign c;
  for (const std::string& fault : faults) {
    c.machine.injections.push_back(kernel::parse_injection(fault));
  }
  c.places = std::make_shared<Places>(std::vector{place_of(policy, core)}, c.machine);
  EXPECT_NE(c.places->at(0), nullptr);
  c.bounds.interleave = true;
  c.programs = programs;
  c.jobs = 2;
  return c;
}

std::string summary(const Findings& findings, const Campaign& campaign) {
  std::string out = fmt::format("{} {}\n", findings.programs, findings.operations);
  for (const Found& f : findings.found) {
    out += fmt::format("{} {} {}\n{}{}\n{}\n", f.number, f.programs, f.small.trials,
                       workload_text(f, campaign), f.small.failure.text,
                       fmt::join(f.small.failure.history, "\n"));
  }
  return out;
}

// std's distributions would differ between libraries.
TEST(Dice, FallAlikeWithEveryLibrary) {
  std::vector<std::uint64_t> drawn;
  for (const std::uint64_t number : {0ull, 1ull, 1ull << 40}) {
    Dice dice(7, number);
    for (int i = 0; i < 3; ++i) drawn.push_back(dice.below(1000));
  }
  EXPECT_EQ(drawn, (std::vector<std::uint64_t>{851, 507, 501, 375, 489, 364, 35, 478, 808}));
}

// Each is valid for the readers of workloads, and they have all operations between them.
TEST(RandomPrograms, AreWorkloadsOfEveryKindOfOperation) {
  std::map<std::string, unsigned> kinds, entries;
  unsigned refused_touches = 0;
  for (std::uint64_t number = 0; number < 400; ++number) {
    Dice dice(1, number);
    const Program program = random_program(
        dice, {.cores = 4, .interleave = true, .guard_pages = true, .strikes = true});
    EXPECT_TRUE(is_benign(program, true));
    EXPECT_NO_THROW(read(program, true)) << workload_text(program, "random", "");
    for (const Json& op : program.ops) {
      ++kinds[op["op"].get<std::string>()];
      if (op.contains("entry")) ++entries[op["entry"].get<std::string>()];
      refused_touches += op["op"] == "touch" && op.contains("refused");
    }
  }
  EXPECT_EQ(kinds.size(), 35u);
  EXPECT_EQ(entries.size(), 4u);
  EXPECT_GT(refused_touches, 0u);
}

TEST(RandomPrograms, FindNothingWhereNothingIsPlanted) {
  for (const char* policy :
       {"none,buddy,block", "kpkeys-poe+lazy,pba,block", "kpkeys-poe,per-page,block",
        "kpkeys-poe+lock,per-page,pte,local-if-alone", "hypervisor,per-page,pte"}) {
    const Campaign c = campaign_in(policy, 30);
    const Findings found = search(c);
    EXPECT_EQ(found.programs, 30u);
    EXPECT_TRUE(found.found.empty()) << policy << "\n" << summary(found, c);
  }
}

// A hole that another mapping may have filled, and what threads do at once.
TEST(Reference, TakesNothingThatMayComeOutOneWayOrAnother) {
  const auto benign = [](const char* ops, bool interleave) {
    return is_benign(program_of(ops, 2, interleave), true);
  };
  EXPECT_FALSE(benign(R"([
    {"op":"spawn","task":"a"},
    {"op":"mmap","task":"a","region":"r","size":8192},
    {"op":"munmap","task":"a","region":"r","size":4096},
    {"op":"mmap","task":"a","region":"s","size":4096},
    {"op":"munmap","task":"a","region":"r"}])",
                      false));
  constexpr const char* kForkOfThreads = R"([
    {"op":"spawn","task":"a"},
    {"op":"mmap","task":"a","region":"r","size":4096},
    {"op":"clone","task":"a","child":"b"},
    {"op":"fork","task":"b","child":"c"}])";
  EXPECT_TRUE(benign(kForkOfThreads, false));
  EXPECT_FALSE(benign(kForkOfThreads, true));
}

TEST(Fuzzer, GivesTheSameOnAnyNumberOfThreads) {
  const auto whole = [](Campaign c) {
    Findings findings = search(c);
    for (Found& found : findings.found) shrink(c, found, {.trials = 100});
    return summary(findings, c);
  };
  Campaign c = campaign_in("kpkeys-poe+lazy,per-page,pte", 64, {"skip:tlbi.unmap"});
  c.kinds = 3;
  const std::string two = whole(c);
  c.jobs = 1;
  EXPECT_EQ(whole(c), two);
  c.seed = 2;
  EXPECT_NE(whole(c), two);
}

struct Planted {
  const char* fault;
  const char* rule;  // how the failure begins
  const char* policy;
  std::size_t operations;  // of the smallest program, at most
  const char* core = "neoverse-v1";
};

class PlantedFault : public testing::TestWithParam<Planted> {};

// Among so many programs one fails of it, few operations are left, and the text of them fails too.
TEST_P(PlantedFault, IsFoundAndMadeSmall) {
  const Planted& planted = GetParam();
  Campaign c = campaign_in(planted.policy, 128, {planted.fault}, planted.core);
  Findings findings = search(c);
  const auto first =
      std::find_if(findings.found.begin(), findings.found.end(), [&](const Found& one) {
        return one.small.failure.kind.starts_with(std::string(planted.rule) + ":");
      });
  ASSERT_NE(first, findings.found.end()) << summary(findings, c);
  Found& found = *first;
  const std::string kind = found.small.failure.kind;
  EXPECT_EQ(found.small.program.ops, found.drawn.program.ops);
  shrink(c, found);
  EXPECT_EQ(found.small.failure.kind, kind);
  EXPECT_LT(found.small.program.ops.size(), found.drawn.program.ops.size());
  EXPECT_LE(found.small.program.ops.size(), planted.operations) << summary(findings, c);
  EXPECT_TRUE(found.reproduced);
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedFault,
    testing::Values(Planted{"skip:tlbi.unmap", "page-freed", "none,buddy,pte", 5},
                    Planted{"skip:tlbi.mprotect", "stale-entry", "none,buddy,pte", 6},
                    Planted{"skip:tlbi.mremap", "stale-entry", "none,buddy,pte", 7},
                    Planted{"skip:dsb-after.unmap", "missing-dsb", "none,buddy,pte", 8},
                    Planted{"skip:close.lazy", "open-window", "kpkeys-poe+lazy,per-page,pte", 2},
                    Planted{"skip:mark.user-leaf", "writable-table", "kpkeys-poe,per-page,pte", 2},
                    Planted{"skip:mark.user-leaf", "not refused", "kpkeys-poe,per-page,pte", 4},
                    Planted{"skip:tlbi.unmap", "page-freed", "none,buddy,pte", 5,
                            "sapphire-rapids"}),
    [](const auto& param) {
      std::string name =
          fmt::format("{}_{}_{}", param.param.fault, param.param.rule, param.param.core);
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name;
    });

// Of a failure that every program has, so that all candidates are taken until patience is at its
// end.
TEST(Shrinker, EndsAfterSoManyTrialsOrEvents) {
  const Campaign c = campaign_in("none,buddy,pte", 8, {"skip:dsb-after.unmap"});
  const Findings findings = search(c);
  ASSERT_FALSE(findings.found.empty());
  const auto shrunk = [&](const Patience& patience) {
    Found found = findings.found[0];
    shrink(c, found, patience);
    return found;
  };
  std::uint64_t told = 0;
  const Found few = shrunk({.trials = 7, .tried = [&](std::uint64_t n) { told = n; }});
  EXPECT_EQ(few.small.trials, 7u);
  EXPECT_EQ(told, 7u);
  EXPECT_TRUE(few.reproduced);
  const std::uint64_t once = findings.found[0].events;
  const Found brief = shrunk({.events = 3 * once});
  EXPECT_GE(brief.small.events, 3 * once);
  EXPECT_LE(brief.small.events,
            5 * once + 200'000);  // a candidate may have twice as many, and more
  EXPECT_TRUE(brief.reproduced);
}

}  // namespace
}  // namespace kpksim::fuzz
