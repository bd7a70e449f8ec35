#include "sim/report/uncertainty.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sim/report/text_table.h"

namespace kpksim::report {
namespace {

using nlohmann::ordered_json;

// Thousandths of a cycle that the events of a phase cost at the prices of `core`.
double cost(const ordered_json& part, const cpu::CoreProfile& core) {
  std::uint64_t sum = 0;
  for (std::size_t e = 0; e < cpu::kEvents; ++e) {
    const auto it = part["events"].find(std::string(cpu::kEventInfo[e].name));
    if (it == part["events"].end()) continue;
    sum += (*it)["total"].get<std::uint64_t>() * core.millicycles[e];
  }
  return static_cast<double>(sum);
}

// [5th percentile, median, 95th], each the value of a draw.
std::array<double, 3> interval(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t last = values.size() - 1;
  return {values[(last * 5 + 50) / 100], values[(last * 50 + 50) / 100],
          values[(last * 95 + 50) / 100]};
}

ordered_json cycles_json(const std::vector<double>& millicycles) {
  ordered_json out = ordered_json::array();
  for (const double n : interval(millicycles)) out.push_back(static_cast<std::uint64_t>(n / 1000));
  return out;
}

double overhead(double value, double base) { return base == 0 ? 0 : (value / base - 1) * 100; }

// Two decimals.
double percent(double n) { return std::round(n * 100) / 100; }

ordered_json overhead_json(const std::vector<double>& values, const std::vector<double>& base) {
  std::vector<double> overheads;
  for (std::size_t i = 0; i < values.size(); ++i) {
    overheads.push_back(overhead(values[i], base[i]));
  }
  ordered_json out = ordered_json::array();
  for (const double n : interval(overheads)) out.push_back(percent(n));
  return out;
}

// Names of the drawn numbers that stand at an end of their range, with what no draw can undercut or
// exceed: all draws of such a number lie on one side of it.
ordered_json at_an_end(const cpu::CoreProfile& core) {
  ordered_json out = ordered_json::array();
  for (const ProfileEntry& e : core.entries) {
    if (e.group != "cycles" || !e.range || e.range->first == e.range->second) continue;
    const double value = std::strtod(e.value.c_str(), nullptr);
    if (value == e.range->first || value == e.range->second) out.push_back(e.name);
  }
  return out;
}

ordered_json phase_json(const std::string& name, const std::vector<const ordered_json*>& parts,
                        const std::vector<std::string>& policies, const cpu::CoreProfile& core,
                        const std::vector<cpu::CoreProfile>& draws) {
  std::vector<std::vector<double>> costs;  // by policy and draw
  for (const ordered_json* part : parts) {
    costs.emplace_back();
    for (const cpu::CoreProfile& draw : draws) costs.back().push_back(cost(*part, draw));
  }
  ordered_json out = {{"name", name}, {"policies", ordered_json::array()}};
  for (std::size_t p = 0; p < parts.size(); ++p) {
    ordered_json policy = {{"policy", policies[p]}, {"cycles", cycles_json(costs[p])}};
    const double own = cost(*parts[p], core);
    policy["own_cycles"] = static_cast<std::uint64_t>(own / 1000);
    if (p != 0) {
      policy["overhead_percent"] = overhead_json(costs[p], costs[0]);
      policy["own_overhead_percent"] = percent(overhead(own, cost(*parts[0], core)));
    }
    out["policies"].push_back(policy);
  }
  out["pairs"] = ordered_json::array();
  for (std::size_t a = 0; a < parts.size(); ++a) {
    for (std::size_t b = 0; b < parts.size(); ++b) {
      if (a == b) continue;
      std::size_t fewer = 0;
      for (std::size_t i = 0; i < draws.size(); ++i) fewer += costs[a][i] < costs[b][i] ? 1 : 0;
      out["pairs"].push_back({{"policy", policies[a]}, {"beats", policies[b]}, {"draws", fewer}});
    }
  }
  return out;
}

std::string interval_text(const ordered_json& interval) {
  return fmt::format("{:+.2f} [{:+.2f}, {:+.2f}] %", interval[1].get<double>(),
                     interval[0].get<double>(), interval[2].get<double>());
}

// What the table says of the profile's own numbers where their result lies outside the interval.
std::string outside(const ordered_json& phase, const ordered_json& policy, const char* drawn,
                    const char* own, const char* unit) {
  if (!policy.contains(drawn)) return {};
  const ordered_json& interval = policy[drawn];
  if (policy[own] >= interval[0] && policy[own] <= interval[2]) return {};
  return line(fmt::format("  {}, {}: {}{}", phase["name"].get<std::string>(),
                          policy["policy"].get<std::string>(), policy[own].dump(), unit));
}

// The caption's part on results of the profile's own numbers that lie outside their interval.
std::string all_outside(const ordered_json& uncertainty) {
  std::string text;
  for (const ordered_json& phase : uncertainty["phases"]) {
    for (const ordered_json& policy : phase["policies"]) {
      text += policy.contains("overhead_percent")
                  ? outside(phase, policy, "overhead_percent", "own_overhead_percent", " %")
                  : outside(phase, policy, "cycles", "own_cycles", " cycles");
    }
  }
  if (text.empty()) return {};
  std::string names;
  for (const ordered_json& name : uncertainty["at_an_end"]) {
    names += (names.empty() ? "" : ", ") + name.get<std::string>();
  }
  const std::string why =
      names.empty() ? "" : ", as all draws of " + names + " lie on one side of its own value";
  return line("Outside the interval with the profile's own numbers" + why + ":") + text;
}

std::size_t draws_won(const ordered_json& phase, const ordered_json& a, const ordered_json& b) {
  for (const ordered_json& pair : phase["pairs"]) {
    if (pair["policy"] == a["policy"] && pair["beats"] == b["policy"]) return pair["draws"];
  }
  return 0;
}

// One line for each neighbouring pair of the phase's policies in order of their medians.
void conclusions(const ordered_json& phase, std::size_t draws, std::string& sure,
                 std::string& unsure) {
  std::vector<const ordered_json*> ranked;
  for (const ordered_json& policy : phase["policies"]) ranked.push_back(&policy);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto* a, const auto* b) {
    return (*a)["cycles"][1].template get<double>() < (*b)["cycles"][1].template get<double>();
  });
  for (std::size_t i = 1; i < ranked.size(); ++i) {
    const ordered_json &better = *ranked[i - 1], &worse = *ranked[i];
    const std::size_t won = draws_won(phase, better, worse);
    if (won == 0 && draws_won(phase, worse, better) == 0) continue;  // always the same
    (won == draws ? sure : unsure) += line(fmt::format(
        "  {}: {} beats {} in {} of {} draws", phase["name"].get<std::string>(),
        better["policy"].get<std::string>(), worse["policy"].get<std::string>(), won, draws));
  }
}

}  // namespace

ordered_json uncertainty(const std::vector<ordered_json>& runs, const cpu::CoreProfile& core,
                         const std::vector<cpu::CoreProfile>& draws) {
  std::vector<std::string> policies;
  policies.reserve(runs.size());
  for (const ordered_json& run : runs) policies.push_back(policy_name(run));
  ordered_json out = {{"workload", runs[0]["workload"]["name"]},
                      {"draws", draws.size()},
                      {"at_an_end", at_an_end(core)},
                      {"phases", ordered_json::array()}};
  const auto add = [&](const std::string& name, auto&& part_of) {
    std::vector<const ordered_json*> parts;
    parts.reserve(runs.size());
    for (const ordered_json& run : runs) parts.push_back(&part_of(run));
    out["phases"].push_back(phase_json(name, parts, policies, core, draws));
  };
  const std::size_t phases = runs[0]["phases"].size();
  for (std::size_t p = 0; p < phases && phases > 1; ++p) {
    add(runs[0]["phases"][p]["name"],
        [p](const ordered_json& run) -> const ordered_json& { return run["phases"][p]; });
  }
  add("total", [](const ordered_json& run) -> const ordered_json& { return run["total"]; });
  return out;
}

std::string uncertainty_table(const ordered_json& uncertainty, const TableStyle& style) {
  const std::size_t draws = uncertainty["draws"];
  std::vector<std::vector<std::string>> labels;
  for (const ordered_json& policy : uncertainty["phases"][0]["policies"]) {
    const std::string name = policy["policy"];
    const std::size_t first = name.find(','), second = name.find(',', first + 1);
    labels.push_back({name.substr(0, first), name.substr(first + 1, second - first - 1),
                      name.substr(second + 1)});
  }
  Table table(labels);
  table.section(
      fmt::format("Median and 90 % interval over {} draws of the core's estimated numbers", draws));
  std::string sure, unsure;
  for (const ordered_json& phase : uncertainty["phases"]) {
    Row row{phase["name"], {}};
    for (const ordered_json& policy : phase["policies"]) {
      if (policy.contains("overhead_percent")) {
        row.cells.push_back(interval_text(policy["overhead_percent"]));
      } else {
        const ordered_json& cycles = policy["cycles"];
        row.cells.push_back(
            fmt::format("{} [{}, {}]", grouped(cycles[1]), grouped(cycles[0]), grouped(cycles[2])));
      }
    }
    table.row(std::move(row));
    conclusions(phase, draws, sure, unsure);
  }
  std::string text = table.print(style) + all_outside(uncertainty);
  if (!sure.empty()) text += "Holds in every draw:\n" + sure;
  if (!unsure.empty()) text += "Depends on numbers that nobody has measured:\n" + unsure;
  return text;
}

}  // namespace kpksim::report
