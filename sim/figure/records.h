#pragma once
// Documents as rows of named values, which figures are drawn from: one for each run and phase,
// point of a sweep, or budget and strategy.

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kpksim::figure {

struct Interval {
  double low = 0, high = 0;
};

struct Record {
  // Together they tell a row from all others: a workload, a policy, a setting of a sweep.
  std::map<std::string, std::string> keys;
  // What follows from these: the allocator of a policy.
  std::map<std::string, std::string> attributes;
  std::map<std::string, double> totals;
  // Of some totals: where nine of ten draws lie.
  std::map<std::string, Interval> intervals;
  // Totals that are 100 where something holds and else 0: their mean is the share of rows in
  // percent, which has no interval.
  std::set<std::string> shares = {};

  // A key or an attribute.
  std::optional<std::string> text(const std::string& name) const;
};

// The name of the key that says which phase a row is of, or kTotal.
inline constexpr const char* kPhase = "phase";
inline constexpr const char* kTotal = "total";
// Cycles over the first run's, in percent; with ".median", the median of draws.
inline constexpr const char* kOverhead = "overhead";

// Of run and compare: all phases and the total of each run. `overhead` is over the first run of the
// workload, in percent, as is `overhead.median` over the draws, if there are any.
std::vector<Record> result_records(const nlohmann::ordered_json& document);
// Of runs with series (--interval): each part of a phase, with the setting kTime, where it ends:
// cycles since the run began. Its totals are what the part has, by the names of a phase.
inline constexpr const char* kTime = "time";
std::vector<Record> series_records(const nlohmann::ordered_json& document);
// Of a sweep's store (app/documents.h). Points that failed have no row.
std::vector<Record> sweep_records(const nlohmann::ordered_json& document);
// Of kpksim keys. Assignments that were refused have no row.
std::vector<Record> keys_records(const nlohmann::ordered_json& document);
// Of kpksim attack: a row for each scenario and policy. `succeeded` is how many percent of its
// draws did; `outcome.X`, with '-' for spaces, a share.
std::vector<Record> attack_records(const nlohmann::ordered_json& document);
// Of kpksim validate: a row for each count or cell, with `real` (or `published`) and `model`, and
// `verdict.X` as shares.
std::vector<Record> validation_records(const nlohmann::ordered_json& document);  // kernel
std::vector<Record> apps_records(const nlohmann::ordered_json& document);
std::vector<Record> published_records(const nlohmann::ordered_json& document);

}  // namespace kpksim::figure
