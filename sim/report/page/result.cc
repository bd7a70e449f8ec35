// Chapters of run and compare: what policies cost and what they leave writable.

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "sim/base/error.h"
#include "sim/report/page/run_chapter.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {
Reading Part::writable(const char* when) const {
  Reading all;
  for (const char* owner : {"own", "kernel", "other"}) {
    const Reading r = exposed(*json, when, owner);
    all.value += r.value;
    all.at.push_back(at + r.at[0]);
    all.how = r.how;
  }
  all.at.push_back(cycles_at());
  return all;
}

Part Run::phase(std::size_t p) const {
  return {&(*json)["phases"][p], fmt::format("{}/phases/{}", at, p), policy};
}

RunChapter::RunChapter(std::vector<Run> runs, Uncertain uncertain)
    : runs_(std::move(runs)), uncertain_(std::move(uncertain)) {}

Chapter RunChapter::chapter() {
  const Json& run = *runs_[0].json;
  chapter_.title = run["workload"]["name"].get<std::string>();
  facts();
  if (runs_.size() > 1) {
    compared();
  } else {
    alone();
  }
  audit();
  sanitizer_findings();
  remarks();
  return std::move(chapter_);
}

std::string RunChapter::phase_name(std::size_t p) const {
  return (*runs_[0].json)["phases"][p]["name"].get<std::string>();
}

std::vector<std::string> RunChapter::policies() const {
  std::vector<std::string> names;
  for (const Run& run : runs_) names.push_back(run.policy);
  return names;
}

void RunChapter::facts() {
  const Json& run = *runs_[0].json;
  const Json& c = run["configuration"];
  chapter_.facts = {{"workload", run["workload"]["source"].get<std::string>()},
                    {"core", c["core"].get<std::string>()},
                    {"kernel", c["kernel"].get<std::string>()},
                    {"cores", fmt::format("{}", c["cores"].get<unsigned>())},
                    {"memory", memory_size(c["memory_bytes"].get<std::uint64_t>())}};
  if (c.value("hz", 0u) != 0)
    chapter_.facts.emplace_back("timer", fmt::format("{} Hz", c["hz"].get<unsigned>()));
  for (const auto& fault : c["inject"])
    chapter_.facts.emplace_back("fault injected", fault.get<std::string>());
  if (runs_.size() == 1) chapter_.facts.emplace_back("policy", runs_[0].policy);
  chapter_.facts.emplace_back("made by", "kpksim " + run["version"].get<std::string>());
}

void RunChapter::compared() {
  for (std::size_t i = 1; i < runs_.size(); ++i) cost_finding(runs_[i]);
  cheapest();
  exposure_findings();
  for (Json& finding : uncertain_.findings()) chapter_.findings.push_back(std::move(finding));
  overhead_chart();
  std::vector<Part> totals;
  for (const Run& run : runs_) totals.push_back(run.total());
  pieces_chart(totals, true);
  pieces_chart(totals, false);
  exposure_chart(totals);
  if (phases() > 1) exposure_over_phases();
  over_time();
  policies_table();
  if (phases() > 1) phases_table();
  counts_table("Every count", totals);
}

void RunChapter::alone() {
  const Part total = runs_[0].total();
  cost_of_one();
  std::vector<Part> parts;
  for (std::size_t p = 0; p < phases(); ++p) {
    parts.push_back(runs_[0].phase(p));
    parts.back().name = phase_name(p);
  }
  dearest_phase(parts, total);
  exposure_findings();
  pieces_chart(parts, true);
  pieces_chart(parts, false);
  exposure_chart(parts);
  over_time();
  parts.push_back(total);
  parts.back().name = "total";
  counts_table("Every count", parts);
}

void RunChapter::remarks() {
  const Json& workload = (*runs_[0].json)["workload"];
  Remarks notes{"What these numbers are", {}, false};
  notes.texts.emplace_back(
      "Cycles are those of the kernel and of the accesses shown. A program's own instructions "
      "between them are not included.");
  for (const Json& text : workload.value("notes", Json::array()))
    notes.texts.push_back(text.get<std::string>());
  for (const auto& [kind, n] : workload["not_understood"].items()) {
    notes.texts.push_back(fmt::format("Not understood: {} lines of kind '{}'.",
                                      grouped(n.get<std::uint64_t>()), kind));
  }
  if (const auto n = workload["calls_without_mapping"].get<std::uint64_t>(); n != 0) {
    notes.texts.push_back(fmt::format(
        "Left out: {} operations on ranges that the recording never mapped.", grouped(n)));
  }
  if (const auto n = workload.value("pages_without_memory", std::uint64_t{0}); n != 0) {
    notes.texts.push_back(fmt::format(
        "Left out: {} pages that the rule for touches would have touched, for which the machine "
        "has no memory.",
        grouped(n)));
  }
  chapter_.blocks.push_back(notes.json());
  Remarks assumed{"What was assumed, as the recording cannot say it", {}, true};
  for (const Json& text : workload["assumptions"]) assumed.texts.push_back(text.get<std::string>());
  if (!assumed.texts.empty()) chapter_.blocks.push_back(assumed.json());
}

namespace {

// Runs of one workload are side by side, phase by phase. Those of a document that was put together
// by hand need not be.
void check_phases(const std::vector<Run>& runs) {
  const Json& first = (*runs[0].json)["phases"];
  for (const Run& run : runs) {
    const Json& phases = (*run.json)["phases"];
    const bool same =
        std::equal(phases.begin(), phases.end(), first.begin(), first.end(),
                   [](const Json& a, const Json& b) { return a["name"] == b["name"]; });
    if (same) continue;
    throw InputError(fmt::format(
        "{}/phases: expected the phases of {}, which is of the same workload", run.at, runs[0].at));
  }
}

}  // namespace

std::vector<Chapter> result_chapters(const Json& document) {
  // By name and source: two files may call their workloads the same.
  std::vector<std::pair<std::string, std::string>> order;
  std::map<std::pair<std::string, std::string>, std::vector<Run>> runs;
  const Json& all = document["runs"];
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Json& workload = all[i]["workload"];
    const std::pair key(workload["name"].get<std::string>(), workload["source"].get<std::string>());
    if (!runs.contains(key)) order.push_back(key);
    runs[key].push_back({&all[i], fmt::format("/runs/{}", i), policy_name(all[i])});
  }
  std::vector<Chapter> chapters;
  for (std::size_t i = 0; i < order.size(); ++i) {
    check_phases(runs[order[i]]);
    chapters.push_back(RunChapter(runs[order[i]], Uncertain(document, i)).chapter());
  }
  return chapters;
}

}  // namespace kpksim::report::page
