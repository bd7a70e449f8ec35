#include "sim/keys/budgets.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/object/keyed_classes.h"
#include "sim/report/result.h"

namespace kpksim::keys {
namespace {

using nlohmann::ordered_json;

// Do both run alike? A budget says how many registers a switch may write, and of virtual keys how
// many there are.
bool alike(const pkrs::Assignment& a, const pkrs::Assignment& b) {
  const bool same_keys = !a.virtualised || (a.budget == b.budget);
  return a.key == b.key && a.reaches == b.reaches && a.virtualised == b.virtualised && same_keys &&
         pkrs::registers_for(a.budget) == pkrs::registers_for(b.budget);
}

std::uint64_t event(const ordered_json& run, const char* name) {
  const ordered_json& events = run["total"]["events"];
  return events.contains(name) ? events[name]["total"].get<std::uint64_t>() : 0;
}

std::uint64_t splits(const ordered_json& run) {
  const ordered_json& map = run["total"]["linear_map"];
  std::uint64_t sum = 0;
  for (const char* kind : {"split_pud", "split_contpmd", "split_pmd", "split_contpte"}) {
    sum += map[kind].get<std::uint64_t>();
  }
  return sum;
}

// Of TLBIs by any name.
std::uint64_t tlbis(const ordered_json& run) {
  std::uint64_t sum = 0;
  for (const auto& [name, n] : run["total"]["events"].items()) {
    if (name.starts_with("tlbi_")) sum += n["total"].get<std::uint64_t>();
  }
  return sum;
}

double overhead(double cycles, double than) { return than == 0 ? 0 : 100 * (cycles / than - 1); }

// How many classes contexts reach without using them, whether they ran or not.
std::uint64_t reaches_more(const pkrs::Demand& demand, const pkrs::Assignment& a) {
  std::uint64_t sum = 0;
  for (std::size_t c = 0; c < demand.contexts.size(); ++c) {
    for (std::size_t i = 0; i < demand.classes.size(); ++i) {
      sum += a.reaches[c][i] && !demand.contexts[c].uses[i] ? 1 : 0;
    }
  }
  return sum;
}

// Names of classes by key, of keys with more than one.
ordered_json shared(const kernel::Classes& classes, const pkrs::Assignment& a) {
  std::map<unsigned, std::vector<std::string>> by_key;
  for (std::size_t i = 0; i < a.key.size(); ++i) {
    by_key[a.key[i].value].push_back(classes.classes[i].name);
  }
  ordered_json out = ordered_json::array();
  if (a.virtualised) return out;
  for (const auto& [key, names] : by_key) {
    if (names.size() > 1) out.push_back(names);
  }
  return out;
}

}  // namespace

Budgets::Budgets(kernel::Classes classes, kernel::Config base, std::vector<unsigned> budgets,
                 std::vector<pkrs::Strategy> strategies)
    : classes_(std::move(classes)),
      base_(std::move(base)),
      budgets_(std::move(budgets)),
      strategies_(std::move(strategies)) {
  for (const unsigned budget : budgets_) {
    if (budget >= pkrs::kLeastBudget && budget <= pkrs::kMostBudget) continue;
    throw InputError(fmt::format("a budget of {} keys: expected {} to {}", budget,
                                 pkrs::kLeastBudget, pkrs::kMostBudget));
  }
}

kernel::Config Budgets::with(bool unprotected, const pkrs::Assignment& assignment) const {
  kernel::Config out = base_;
  out.classes = std::make_shared<const kernel::ClassPlan>(
      kernel::ClassPlan{classes_, unprotected, assignment});
  return out;
}

std::vector<kernel::Config> Budgets::measuring() const {
  const std::vector<std::uint64_t> alike(classes_.contexts.size(), 1);
  const pkrs::Demand demand = kernel::demand_of(classes_, alike, 0);
  const pkrs::Assignment own = assign(demand, pkrs::Strategy::kDedicated, pkrs::kMostBudget);
  return {with(true, own), with(false, own)};
}

std::vector<kernel::Config> Budgets::trials(const std::vector<ordered_json>& measured) {
  unprotected_ = measured[0];
  const ordered_json& seen = measured[1]["classes"];
  std::vector<std::uint64_t> weights;
  for (const ordered_json& context : seen["contexts"]) {
    // A context that did not run here may run elsewhere, so it never weighs nothing.
    weights.push_back(context["cycles"].get<std::uint64_t>() + 1);
  }
  demand_ = kernel::demand_of(classes_, weights, 0);
  // At the end of that run, of what comes and goes.
  for (std::size_t i = 0; i < demand_.classes.size(); ++i) {
    demand_.classes[i].bytes = seen["classes"][i]["bytes"].get<std::uint64_t>();
  }
  std::vector<kernel::Config> configs;
  std::vector<pkrs::Assignment> distinct;
  for (const unsigned budget : budgets_) {
    for (const pkrs::Strategy strategy : strategies_) {
      Trial trial{pkrs::assign(demand_, strategy, budget)};
      if (trial.assignment.refusal.empty()) {
        const auto found = std::find_if(
            distinct.begin(), distinct.end(),
            [&](const pkrs::Assignment& other) { return alike(trial.assignment, other); });
        trial.run = static_cast<std::size_t>(found - distinct.begin());
        if (found == distinct.end()) {
          distinct.push_back(trial.assignment);
          configs.push_back(with(false, trial.assignment));
        }
      }
      trials_.push_back(std::move(trial));
    }
  }
  return configs;
}

ordered_json Budgets::document(const std::vector<ordered_json>& runs) const {
  ordered_json out = {{"schema", 1}, {"version", report::version()}};
  out["workload"] = unprotected_["workload"];
  out["configuration"] = unprotected_["configuration"];
  out["classes_file"] = classes_.source;
  const double than = unprotected_["total"]["cycles"]["total"].get<double>();
  out["unprotected_cycles"] = unprotected_["total"]["cycles"]["total"];
  out["classes"] = ordered_json::array();
  for (const pkrs::ClassDemand& c : demand_.classes) {
    out["classes"].push_back({{"name", c.name}, {"bytes", c.bytes}, {"secret", c.secret}});
  }
  out["rows"] = ordered_json::array();
  for (const Trial& trial : trials_) {
    const pkrs::Assignment& a = trial.assignment;
    ordered_json row = {{"budget", a.budget}, {"strategy", pkrs::name_of(a.strategy)}};
    if (!a.refusal.empty()) {
      row["refused"] = a.refusal;
      out["rows"].push_back(row);
      continue;
    }
    const ordered_json& run = runs[trial.run];
    const ordered_json& used = run["classes"];
    const double cycles = run["total"]["cycles"]["total"].get<double>();
    row["cycles"] = run["total"]["cycles"]["total"];
    row["overhead_percent"] = overhead(cycles, than);
    for (const char* name : {"entries", "switches", "evictions", "keyed_pages"}) {
      row[name] = used["statistics"][name];
    }
    row["register_writes"] = event(run, "msr_por_el1");
    row["isb"] = event(run, "isb");
    row["tlbi"] = tlbis(run);
    row["splits"] = splits(run);
    std::uint64_t byte_cycles = 0, in_contexts = 0;
    for (const ordered_json& context : used["contexts"]) {
      byte_cycles += context["unneeded_byte_cycles"].get<std::uint64_t>();
      in_contexts += context["cycles"].get<std::uint64_t>();
    }
    row["unneeded_byte_cycles"] = byte_cycles;
    row["unneeded_bytes"] = in_contexts == 0 ? 0 : byte_cycles / in_contexts;
    row["reaches_more"] = reaches_more(demand_, a);
    row["contexts"] = used["contexts"];
    row["keys"] = ordered_json::object();
    for (std::size_t i = 0; i < a.key.size(); ++i) {
      row["keys"][classes_.classes[i].name] = a.key[i].value;
    }
    row["shared"] = shared(classes_, a);
    out["rows"].push_back(row);
  }
  out["finding"] = finding(out);
  return out;
}

std::string finding(const ordered_json& document) {
  // The least budget with a row that neither gives anything away, in any context that there may be,
  // nor takes keys from a class.
  std::optional<unsigned> enough, least, most;
  std::string how;
  double price = 0;
  const ordered_json* cheapest = nullptr;  // of the largest budget below
  for (const ordered_json& row : document["rows"]) {
    const auto budget = row["budget"].get<unsigned>();
    most = std::max(most.value_or(0), budget);
    least = std::min(least.value_or(budget), budget);
    if (row.contains("refused") || row["reaches_more"] != 0 || row["evictions"] != 0) continue;
    const auto overhead = row["overhead_percent"].get<double>();
    const bool better = !enough || budget < *enough || (budget == *enough && overhead < price);
    if (!better) continue;
    enough = budget;
    price = overhead;
    how = row["strategy"].get<std::string>();
  }
  if (!most) return "No budget was asked about.";
  for (const ordered_json& row : document["rows"]) {
    if (row.contains("refused") || (enough && row["budget"] >= *enough)) continue;
    if (row["strategy"] != "optimal" && row["strategy"] != "shared-balanced") continue;
    if (cheapest == nullptr || row["budget"] > (*cheapest)["budget"]) cheapest = &row;
  }
  const std::string with = fmt::format(
      "with '{}' no context reaches what it does not use, and no class waits for a key.", how);
  std::string text =
      !enough ? fmt::format(
                    "{} keys are not enough for the strategies asked for: each assignment "
                    "gives rights away or takes keys from classes.",
                    *most)
      : *enough == *least
          ? fmt::format("{} keys, the least asked for, are enough: {}", *enough, with)
          : fmt::format("From {} keys on nothing is gained: {}", *enough, with);
  if (cheapest != nullptr) {
    std::vector<std::string> groups;
    for (const ordered_json& group : (*cheapest)["shared"]) {
      groups.push_back(fmt::format("{}", fmt::join(group.get<std::vector<std::string>>(), " + ")));
    }
    text += fmt::format(
        " With {} keys '{}' lets {} share, and a context reaches {} bytes that it "
        "does not use, on average over its time.",
        (*cheapest)["budget"].get<unsigned>(), (*cheapest)["strategy"].get<std::string>(),
        fmt::join(groups, ", and "), (*cheapest)["unneeded_bytes"].get<std::uint64_t>());
  }
  return text;
}

}  // namespace kpksim::keys
