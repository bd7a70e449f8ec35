#pragma once
// Documents as rows of named values, which figures are drawn from: one for each run and phase,
// point of a sweep, or budget and strategy.

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
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

  // A key or an attribute.
  std::optional<std::string> text(const std::string& name) const;
};

// The name of the key that says which phase a row is of, or kTotal.
inline constexpr const char* kPhase = "phase";
inline constexpr const char* kTotal = "total";

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

}  // namespace kpksim::figure
