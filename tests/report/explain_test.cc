// kpksim explain: the difference of two runs, by kind of cost and by reason.

#include "sim/report/explain.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/base/error.h"

namespace kpksim::report {
namespace {

using nlohmann::ordered_json;

ordered_json part(std::uint64_t isb, std::uint64_t walk, std::uint64_t dsb_ishst) {
  return {{"events",
           {{"isb", {{"total", isb / 10}}},
            {"walk", {{"total", walk / 5}}},
            {"dsb_ishst", {{"total", dsb_ishst}}}}},
          {"cycles",
           {{"total", isb + walk + dsb_ishst},
            {"by_event", {{"isb", isb}, {"walk", walk}, {"dsb_ishst", dsb_ishst}}},
            {"by_cause", {{"fork", isb + dsb_ishst}, {"exit", walk}}}}}};
}

ordered_json run(const char* protection, bool batching, std::vector<ordered_json> parts) {
  ordered_json fork = parts[0], exit = parts[1];
  fork["name"] = "fork";
  exit["name"] = "exit";
  return {{"workload", {{"name", "w"}, {"source", "w.json"}}},
          {"configuration",
           {{"policy", fmt::format("{}{},buddy,pte", protection, batching ? "+lazy" : "")},
            {"protection", {{"name", protection}}},
            {"window", batching ? "lazy" : "entry"},
            {"allocator", {{"name", "buddy"}}},
            {"linear_map", "pte"}}},
          {"phases", {fork, exit}},
          {"total", parts[2]}};
}

ordered_json explain_document() {
  return {{"runs",
           {run("none", false, {part(100, 50, 0), part(0, 0, 0), part(100, 50, 0)}),
            run("kpkeys-poe", false, {part(1000, 50, 100), part(0, 25, 0), part(1000, 75, 100)}),
            run("kpkeys-poe", true, {part(100, 10, 0), part(0, 0, 0), part(100, 10, 0)})}}};
}

// One space for each run of white space: how wide columns are and where lines end is not meant
// here.
std::string explained(const ExplainRequest& request) {
  std::stringstream words(explain(explain_document(), request, {}));
  std::string out;
  for (std::string word; words >> word;) out += word + " ";
  return out;
}

TEST(Explain, ShowsTheDifferenceByKindAndByReason) {
  const std::string text = explained({.phase = "fork", .from = "", .to = {}});
  for (const char* expected : {"w, phase fork: 150 cycles under none,buddy,pte", " ISB +900 0 ",
                               " ordering of table writes +100 0 ", " TLB misses and walks 0 -40 ",
                               " all +1,000 -40 ", " fork +1,000 0 ", " exit 0 -40 "}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << " in: " << text;
  }
  EXPECT_EQ(text.find("waiting"), std::string::npos) << "DSB ISHST is not a wait for TLBIs";
}

// Of x86-64 by the names that tables of its events have.
TEST(Explain, CallsTheKeyRegistersInstructionsByTheArchitecturesNames) {
  ordered_json of = explain_document();
  for (ordered_json& run : of["runs"]) {
    for (ordered_json* part : {&run["phases"][0], &run["phases"][1], &run["total"]}) {
      const bool keys = run["configuration"]["protection"]["name"] != "none";
      (*part)["cycles"]["by_event"]["msr_por_el1"] = keys ? 500 : 0;
      (*part)["events"]["msr_por_el1"]["total"] = keys ? 7 : 0;
    }
  }
  constexpr const char* kArm = "MSR and MRS of the key register";
  constexpr const char* kX86 = "WRMSR and RDMSR of the key register";
  const auto has = [&](const char* text) {
    const std::string all = explain(of, {}, {});
    EXPECT_EQ(all.find(text) != std::string::npos,
              all.find(std::string(text) + " (7 more)") != std::string::npos)
        << "table and paragraph say the same";
    return all.find(text) != std::string::npos;
  };
  EXPECT_TRUE(has(kArm));
  EXPECT_FALSE(has(kX86));
  for (ordered_json& run : of["runs"]) run["configuration"]["architecture"] = "x86-64";
  EXPECT_TRUE(has(kX86));
  EXPECT_FALSE(has(kArm));
}

TEST(Explain, SaysInAParagraphWhatTheDifferenceIsMadeOf) {
  const std::string text = explained({.phase = "", .from = "", .to = {"kpkeys-poe,buddy,pte"}});
  EXPECT_NE(text.find("kpkeys-poe,buddy,pte: 1,025 cycles more than none,buddy,pte (+683.33 %). Of "
                      "the difference: 88 % ISB (90 more), 10 % ordering of table writes (100 "
                      "more). 98 % of it is spent on fork."),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("+lazy"), std::string::npos) << "only what was asked for";
}

TEST(Explain, ComparesWithThePolicyThatIsNamed) {
  const std::string text =
      explained({.phase = "", .from = "kpkeys-poe,buddy,pte", .to = {"none,buddy,pte"}});
  EXPECT_NE(text.find("none,buddy,pte: 1,025 cycles fewer than kpkeys-poe,buddy,pte"),
            std::string::npos)
      << text;
}

std::string message_of(const ExplainRequest& request, ordered_json of = explain_document()) {
  try {
    explain(of, request, {});
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

// The document of kpksim run.
ordered_json single() {
  ordered_json of = explain_document();
  of["runs"] = ordered_json::array({of["runs"][0]});
  return of;
}

TEST(Explain, NamesTheNearestPhaseOrPolicy) {
  EXPECT_NE(message_of({.phase = "frok", .from = "", .to = {}}).find("'fork'"), std::string::npos);
  EXPECT_NE(message_of({.phase = "", .from = "kpkeys-poe+lazy,budy,pte", .to = {}})
                .find("'kpkeys-poe+lazy,buddy,pte'"),
            std::string::npos);
  const ExplainRequest itself = {.phase = "", .from = "none,buddy,pte", .to = {}};
  EXPECT_NE(message_of(itself, single()).find("one run"), std::string::npos);
}

TEST(Explain, OfOneRunAloneSaysWhereItsCyclesWent) {
  const std::string text = explain(single(), {}, {});
  EXPECT_NE(
      text.find("none,buddy,pte: 150 cycles. Of them: 67 % ISB (10), 33 % TLB misses and walks "
                "(10)."),
      std::string::npos)
      << text;
  EXPECT_EQ(text.find("More cycles"), std::string::npos) << text;
}

TEST(Explain, KeepsWorkloadsOfOneNameFromTwoFilesApart) {
  const ordered_json one = explain_document();
  ordered_json two = one;
  for (ordered_json run : one["runs"]) {
    run["workload"]["source"] = "other.json";
    two["runs"].push_back(run);
  }
  const std::string once = explain(explain_document(), {}, {}), twice = explain(two, {}, {});
  EXPECT_EQ(twice, once + "\n" + once);
}

}  // namespace
}  // namespace kpksim::report
