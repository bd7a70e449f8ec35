// The chapter of kpksim attack: which attacks succeed under which policy.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "sim/base/error.h"
#include "sim/report/page/page.h"

namespace kpksim::report::page {
namespace {

// What a verdict means to the reader, and how the matrix marks it: by a sign and a word, not by a
// colour alone.
enum class Meaning : std::uint8_t {
  kSucceeds,
  kByChance,
  kStopped,
  kNoTable,
  kNoEffect,
  kNoOccasion
};
constexpr std::array<const char*, 6> kOutcomes = {"succeeds",           "succeeds in some draws",
                                                  "stopped by a fault", "hits no table",
                                                  "has no effect",      "finds no occasion"};
constexpr std::array<const char*, 6> kClasses = {"reached", "chance", "stopped",
                                                 "missed",  "missed", "absent"};

// Of the palette: what gets through in vermilion and orange, what is stopped in green.
constexpr std::array<int, 6> kSlots = {1, 4, 2, 5, 7, 6};

Meaning meaning_of(const Json& verdict) {
  const auto draws = verdict["draws"].get<std::uint64_t>();
  const auto successes = verdict["successes"].get<std::uint64_t>();
  // Tags are drawn: an attack that the tag check mostly refuses still gets through now and then.
  if (draws > 1 && successes != 0 && successes < draws) return Meaning::kByChance;
  const Json& outcome = verdict["outcome"];
  if (outcome == "succeeded") return Meaning::kSucceeds;
  if (outcome == "stopped") return Meaning::kStopped;
  if (outcome == "allocator" || outcome == "freed table") return Meaning::kNoTable;
  if (outcome == "no occasion") return Meaning::kNoOccasion;
  return Meaning::kNoEffect;
}

std::string at_of(std::size_t scenario, std::size_t policy) {
  return fmt::format("/scenarios/{}/verdicts/{}", scenario, policy);
}

// One line for each strike, and the proof of a success.
std::string note_of(const Json& verdict) {
  std::string text;
  for (const Json& strike : verdict["strikes"]) {
    text += (text.empty() ? "" : "; ") + strike["do"].get<std::string>();
    if (!strike["happened"].get<bool>()) {
      text += ": its occasion never came";
    } else if (strike.contains("fault")) {
      text +=
          fmt::format(": refused at {}, syndrome {}", strike["fault"]["address"].get<std::string>(),
                      strike["fault"]["syndrome"].get<std::string>());
    } else {
      text += ": went through";
    }
  }
  if (verdict.contains("proof")) text += ". Proof: " + verdict["proof"].get<std::string>();
  return text;
}

Json matrix(const Json& document, const std::vector<std::string>& policies) {
  Table table;
  table.title = "Attack matrix";
  table.first = "attack";
  table.columns = policies;
  table.note =
      "A row for each attack, a column for each policy. A click on a verdict shows its "
      "strikes, faults and proof.";
  const Json& scenarios = document["scenarios"];
  for (std::size_t s = 0; s < scenarios.size(); ++s) {
    Row row{scenarios[s]["name"].get<std::string>()};
    row.note = fmt::format("{} ({})", scenarios[s]["description"].get<std::string>(),
                           scenarios[s]["source"].get<std::string>());
    const Json& verdicts = scenarios[s]["verdicts"];
    for (std::size_t p = 0; p < verdicts.size(); ++p) {
      const auto meaning = static_cast<std::size_t>(meaning_of(verdicts[p]));
      Json cell = figure(kOutcomes.size() - meaning, {at_of(s, p)}, note_of(verdicts[p]),
                         verdicts[p]["text"].get<std::string>());
      cell["class"] = kClasses[meaning];
      row.cells.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(row));
  }
  return table.json();
}

Json outcomes(const Json& document, const std::vector<std::string>& policies) {
  Chart chart;
  chart.form = "stacked";
  chart.title = "Outcomes under each policy";
  chart.category_title = "policy";
  chart.value_title = "attacks";
  chart.log_offered = false;
  chart.categories = policies;
  const Json& scenarios = document["scenarios"];
  for (std::size_t m = 0; m < kOutcomes.size(); ++m) {
    Series series{kOutcomes[m]};
    series.slot = kSlots[m];
    series.how = "number of these verdicts";
    bool any = false;
    for (std::size_t p = 0; p < policies.size(); ++p) {
      Places at;
      for (std::size_t s = 0; s < scenarios.size(); ++s) {
        if (static_cast<std::size_t>(meaning_of(scenarios[s]["verdicts"][p])) == m)
          at.push_back(at_of(s, p));
      }
      series.values.push_back(static_cast<double>(at.size()));
      any |= !at.empty();
      if (at.empty()) at = {"/scenarios"};
      series.at.push_back(std::move(at));
    }
    if (any) chart.series.push_back(std::move(series));
  }
  return chart.json();
}

// How many attacks of all succeed under the policy.
Json policy_finding(const Json& document, std::size_t p, const std::string& policy) {
  const Json& scenarios = document["scenarios"];
  Places succeed, chance, refused;
  for (std::size_t s = 0; s < scenarios.size(); ++s) {
    const Meaning meaning = meaning_of(scenarios[s]["verdicts"][p]);
    if (meaning == Meaning::kSucceeds) succeed.push_back(at_of(s, p));
    if (meaning == Meaning::kByChance) chance.push_back(at_of(s, p));
    if (meaning == Meaning::kStopped) refused.push_back(at_of(s, p));
  }
  const auto count = [](Sentence& s, const Places& at) {
    s.number(at.size(), at.empty() ? Places{"/scenarios"} : at, "number of these verdicts");
  };
  Sentence s;
  s.name(policy).say(": ");
  count(s, succeed);
  s.say(fmt::format(" of {} attacks succeed", scenarios.size()));
  if (!chance.empty()) {
    s.say(", ");
    count(s, chance);
    s.say(" more in some draws of the tags");
  }
  s.say("; ");
  count(s, refused);
  return s.say(refused.size() == 1 ? " is stopped by a fault." : " are stopped by a fault.").json();
}

// Attacks that no policy, or every policy, stops.
void extremes(const Json& document, std::vector<Json>& findings) {
  std::vector<std::string> everywhere, nowhere;
  const Json& scenarios = document["scenarios"];
  for (const Json& scenario : scenarios) {
    std::size_t successes = 0, none = 0;
    for (const Json& verdict : scenario["verdicts"]) {
      const Meaning meaning = meaning_of(verdict);
      successes += meaning == Meaning::kSucceeds ? 1 : 0;
      none += meaning == Meaning::kSucceeds || meaning == Meaning::kByChance ? 0 : 1;
    }
    if (successes == scenario["verdicts"].size()) everywhere.push_back(scenario["name"]);
    if (none == scenario["verdicts"].size()) nowhere.push_back(scenario["name"]);
  }
  const auto say = [&](const char* what, const std::vector<std::string>& names) {
    if (names.empty()) return;
    findings.push_back(
        Sentence().say(fmt::format("{}: {}.", what, fmt::join(names, ", "))).json("main"));
  };
  say("No policy here stops", everywhere);
  say("Succeed under no policy here", nowhere);
}

// The matrix is one only if all scenarios met the same policies.
void check_policies(const Json& scenarios) {
  const Json& first = scenarios[0]["verdicts"];
  for (std::size_t s = 0; s < scenarios.size(); ++s) {
    const Json& verdicts = scenarios[s]["verdicts"];
    const bool same =
        std::equal(verdicts.begin(), verdicts.end(), first.begin(), first.end(),
                   [](const Json& a, const Json& b) { return a["policy"] == b["policy"]; });
    if (same) continue;
    throw InputError(
        fmt::format("/scenarios/{}/verdicts: expected the policies of /scenarios/0/verdicts", s));
  }
}

}  // namespace

Chapter attack_chapter(const Json& document) {
  check_policies(document["scenarios"]);
  Chapter chapter;
  chapter.title = "Attacks";
  chapter.facts = {{"core", document["core"].get<std::string>()},
                   {"kernel", document["kernel"].get<std::string>()},
                   {"attacks", fmt::format("{}", document["scenarios"].size())},
                   {"made by", "kpksim " + document["version"].get<std::string>()}};
  std::vector<std::string> policies;
  for (const Json& verdict : document["scenarios"][0]["verdicts"])
    policies.push_back(verdict["policy"].get<std::string>());
  extremes(document, chapter.findings);
  for (std::size_t p = 0; p < policies.size(); ++p)
    chapter.findings.push_back(policy_finding(document, p, policies[p]));
  chapter.blocks.push_back(matrix(document, policies));
  chapter.blocks.push_back(outcomes(document, policies));
  return chapter;
}

}  // namespace kpksim::report::page
