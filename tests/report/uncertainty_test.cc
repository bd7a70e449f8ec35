// compare --uncertainty: costs made anew for drawn prices.

#include "sim/report/uncertainty.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/paths.h"

namespace kpksim::report {
namespace {

using nlohmann::ordered_json;

ordered_json uncertainty_run(const char* allocator, std::uint64_t isb, std::uint64_t walk) {
  ordered_json part = {{"name", "p"},
                       {"events", {{"isb", {{"total", isb}}}, {"walk", {{"total", walk}}}}}};
  return {{"workload", {{"name", "w"}}},
          {"configuration",
           {{"policy", fmt::format("none,{},pte", allocator)},
            {"protection", {{"name", "none"}}},
            {"window", "none"},
            {"allocator", {{"name", allocator}}},
            {"linear_map", "pte"}}},
          {"phases", {part}},
          {"total", part}};
}

// ISBs for `isb` cycles, walks for `walk`.
cpu::CoreProfile core(std::uint64_t isb, std::uint64_t walk) {
  cpu::CoreProfile profile;
  profile.set_price("isb", isb * 1000);
  profile.set_price("walk", walk * 1000);
  return profile;
}

TEST(Uncertainty, CostsAreCountsTimesTheDrawnPrices) {
  const ordered_json out = uncertainty({uncertainty_run("a", 10, 0), uncertainty_run("b", 0, 10)},
                                       core(2, 1), {core(1, 2), core(2, 1), core(4, 1)});
  const ordered_json& total = out["phases"][0];
  EXPECT_EQ(total["name"], "total") << "one phase is not shown twice";
  EXPECT_EQ(total["policies"][0]["cycles"], ordered_json({10, 20, 40}));
  EXPECT_EQ(total["policies"][1]["cycles"], ordered_json({10, 10, 20}));
  EXPECT_EQ(total["policies"][1]["overhead_percent"], ordered_json({-75.0, -50.0, 100.0}));
  EXPECT_EQ(total["pairs"][0],
            ordered_json({{"policy", "none,a,pte"}, {"beats", "none,b,pte"}, {"draws", 1}}));
  EXPECT_EQ(total["pairs"][1]["draws"], 2);
}

TEST(Uncertainty, SaysWhatHoldsInEveryDrawAndWhatDoesNot) {
  const std::vector<cpu::CoreProfile> draws = {core(1, 2), core(2, 1), core(4, 1)};
  const std::string text = uncertainty_table(
      uncertainty(
          {uncertainty_run("a", 10, 0), uncertainty_run("b", 0, 10), uncertainty_run("c", 20, 20)},
          draws[1], draws),
      {});
  const auto sure = text.find("Holds in every draw:"), unsure = text.find("Depends on numbers");
  EXPECT_LT(sure, text.find("none,a,pte beats none,c,pte in 3 of 3 draws")) << text;
  EXPECT_LT(unsure, text.find("none,b,pte beats none,a,pte in 2 of 3 draws")) << text;
}

TEST(Uncertainty, SaysWhereTheOwnNumbersLieOutsideTheIntervalAndWhy) {
  cpu::CoreProfile own = core(1, 3);
  own.entries.push_back({"cycles", "isb", "1", "", "estimated", {{1, 4}}});
  own.entries.push_back({"cycles", "walk", "3", "", "estimated", {{1, 9}}});
  const std::vector<ordered_json> runs = {uncertainty_run("a", 10, 0),
                                          uncertainty_run("b", 10, 10)};
  const ordered_json out = uncertainty(runs, own, {core(2, 2), core(3, 3), core(4, 3)});
  const ordered_json& policy = out["phases"][0]["policies"][1];
  EXPECT_EQ(policy["own_cycles"], 40);
  EXPECT_EQ(policy["own_overhead_percent"], 300.0);
  EXPECT_EQ(out["at_an_end"], ordered_json::array({"isb"})) << "walk stands within its range";
  const std::string text = uncertainty_table(out, {});
  EXPECT_NE(text.find("as all draws of isb lie on one side of its own value:\n"
                      "  total, none,a,pte: 10 cycles\n"
                      "  total, none,b,pte: 300.0 %\n"),
            std::string::npos)
      << text;
  const std::string inside = uncertainty_table(uncertainty(runs, own, {own}), {});
  EXPECT_EQ(inside.find("Outside"), std::string::npos) << inside;
}

// Half of the draws lie below the number, half above, however far from the middle it stands.
TEST(CoreProfileDraws, HaveTheOwnNumberAsTheirMedian) {
  const std::string path = kpksim::test::source_path("profiles/cores/neoverse-v1.json");
  const cpu::CoreProfile written = cpu::read_core_profile(path);
  constexpr auto kIndex = static_cast<std::size_t>(cpu::Event::kDsbIsh);
  unsigned below = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    below += cpu::draw_core_profile(path, seed).millicycles[kIndex] < written.millicycles[kIndex];
  }
  EXPECT_NEAR(below, 200, 40) << "four standard deviations";
}

TEST(CoreProfileDraws, StayInTheirRangesAndRepeat) {
  const std::string path = kpksim::test::source_path("profiles/cores/neoverse-v1.json");
  const cpu::CoreProfile written = cpu::read_core_profile(path);
  const auto price = [](const cpu::CoreProfile& p, cpu::Event e) {
    return static_cast<double>(p.millicycles[static_cast<std::size_t>(e)]) / 1000;
  };
  bool differs = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const cpu::CoreProfile drawn = cpu::draw_core_profile(path, seed);
    EXPECT_EQ(drawn.millicycles, cpu::draw_core_profile(path, seed).millicycles);
    EXPECT_EQ(drawn.window, written.window) << "what shapes the core stays";
    EXPECT_EQ(drawn.l2.lines(), written.l2.lines());
    for (const ProfileEntry& entry : written.entries) {
      if (entry.group != "cycles" || entry.name != "isb") continue;
      ASSERT_TRUE(entry.range);
      EXPECT_GE(price(drawn, cpu::Event::kIsb), entry.range->first);
      EXPECT_LE(price(drawn, cpu::Event::kIsb), entry.range->second);
    }
    differs |= drawn.millicycles != written.millicycles;
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace kpksim::report
