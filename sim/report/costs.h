#pragma once
// Where the cycles of a run or phase went: by kind of cost and by what the kernel was doing. What
// explain prints and what a report draws are made of the same sums.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim::report {

// The kinds of cost, in the order of tables, by their names on AArch64 or on x86-64. What no kind
// names is "other".
std::vector<std::string_view> cost_kinds(bool x86);

using Sums = std::map<std::string, std::int64_t>;

// What one run or phase spent, and how often the events happened. Of a difference all may be
// negative.
struct Spent {
  bool x86 = false;
  std::int64_t total = 0;
  Sums by_kind, by_cause, events;
};

// `part`: a phase of a result document, or its total; `x86`: of a run on x86-64.
Spent spent(const nlohmann::ordered_json& part, bool x86);
Spent operator-(const Spent& a, const Spent& b);

// Descending by size of the contribution; equal ones by name.
std::vector<std::pair<std::string, std::int64_t>> ranked(const Sums& sums);

// What one kind has of all cycles (of a difference).
struct Share {
  std::string kind;
  std::int64_t cycles = 0;
  double part = 0;           // of the total
  std::int64_t counted = 0;  // events that stand for the kind; 0: none do
};
// The kinds that make up all but a twentieth of it, each at least a hundredth, then what works
// against it.
struct Shares {
  std::vector<Share> mainly, against;
};
Shares shares_of(const Spent& all);

}  // namespace kpksim::report
