#include "sim/report/explain.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/report/costs.h"
#include "sim/report/event_labels.h"
#include "sim/report/text_table.h"

namespace kpksim::report {
namespace {

using nlohmann::ordered_json;

std::string signed_number(std::int64_t n) {
  if (n == 0) return "0";
  return (n > 0 ? "+" : "-") + grouped(static_cast<std::uint64_t>(n > 0 ? n : -n));
}

const ordered_json& part_of(const ordered_json& run, const std::string& phase) {
  if (phase.empty()) return run["total"];
  std::vector<std::string> names;
  for (const ordered_json& part : run["phases"]) {
    if (part["name"] == phase) return part;
    names.push_back(part["name"]);
  }
  throw InputError(fmt::format("workload '{}' has no phase '{}'{}",
                               run["workload"]["name"].get<std::string>(), phase,
                               suggest(phase, names)));
}

const ordered_json& run_of(const std::vector<const ordered_json*>& runs,
                           const std::string& policy) {
  std::vector<std::string> names;
  for (const ordered_json* run : runs) {
    names.push_back(policy_name(*run));
    if (names.back() == policy) return *run;
  }
  throw InputError(
      fmt::format("the document has no run under '{}'{}", policy, suggest(policy, names)));
}

// "47 % ISB (2,106,510 more)", or without "more" of what one run alone spent.
std::string text_of(const Share& share, bool alone) {
  const std::string count =
      share.counted == 0
          ? ""
          : fmt::format(" ({}{})", grouped(static_cast<std::uint64_t>(std::abs(share.counted))),
                        alone               ? ""
                        : share.counted > 0 ? " more"
                                            : " fewer");
  return fmt::format("{:.0f} % {}{}", 100 * share.part, share.kind, count);
}

std::string list_of(const std::vector<Share>& shares, bool alone = false) {
  std::string text;
  for (const Share& share : shares) text += (text.empty() ? "" : ", ") + text_of(share, alone);
  return text;
}

std::string paragraph(const std::string& policy, const std::string& base_policy, const Spent& base,
                      const Spent& difference) {
  if (difference.total == 0) {
    return fmt::format("{}: as many cycles as {}.", policy, base_policy);
  }
  const bool more = difference.total > 0;
  std::string text = fmt::format("{}: {} cycles {} than {}", policy,
                                 grouped(static_cast<std::uint64_t>(std::abs(difference.total))),
                                 more ? "more" : "fewer", base_policy);
  if (base.total != 0) {
    text += fmt::format(" ({:+.2f} %)", 100 * static_cast<double>(difference.total) /
                                            static_cast<double>(base.total));
  }
  const Shares shares = shares_of(difference);
  text += ". Of the difference: " + list_of(shares.mainly);
  if (!shares.against.empty()) text += "; against it: " + list_of(shares.against);
  const auto causes = ranked(difference.by_cause);
  if (!causes.empty()) {
    text += fmt::format(
        ". {:.0f} % of it is spent on {}",
        100 * static_cast<double>(causes[0].second) / static_cast<double>(difference.total),
        causes[0].first);
  }
  return text + ".";
}

// What one run spent, which there is none to compare with.
std::string paragraph_alone(const std::string& policy, const Spent& all) {
  std::string text =
      fmt::format("{}: {} cycles", policy, grouped(static_cast<std::uint64_t>(all.total)));
  if (all.total == 0) return text + ".";
  return text + ". Of them: " + list_of(shares_of(all).mainly, true) + ".";
}

// The rows of `names` that are not 0 everywhere.
template <class Names, class Pick>
void rows(Table& table, const Names& names, const std::vector<Spent>& differences,
          std::string (*number)(std::int64_t), Pick pick) {
  for (const auto& name : names) {
    Row row{std::string(name), {}};
    bool any = false;
    for (const Spent& difference : differences) {
      const Sums& sums = pick(difference);
      const auto it = sums.find(row.name);
      const std::int64_t n = it == sums.end() ? 0 : it->second;
      any |= n != 0;
      row.cells.push_back(number(n));
    }
    if (any) table.row(std::move(row));
  }
}

std::string plain_number(std::int64_t n) { return grouped(static_cast<std::uint64_t>(n)); }

// Which runs are explained, and what they are compared with: nothing, if the document has one.
struct Selection {
  const ordered_json* from = nullptr;
  std::vector<const ordered_json*> shown;
  bool alone() const { return from == nullptr; }
};

Selection select(const std::vector<const ordered_json*>& runs, const ExplainRequest& request) {
  if (runs.size() == 1 && request.from.empty() && request.to.empty()) return {nullptr, runs};
  Selection out{request.from.empty() ? runs[0] : &run_of(runs, request.from), {}};
  for (const std::string& policy : request.to) out.shown.push_back(&run_of(runs, policy));
  if (request.to.empty()) {
    std::copy_if(runs.begin(), runs.end(), std::back_inserter(out.shown),
                 [&](const ordered_json* run) { return run != out.from; });
  }
  if (out.shown.empty()) {
    throw InputError(
        fmt::format("the document has one run of '{}', which is the one of --from; --to needs "
                    "another (kpksim compare -o)",
                    (*runs[0])["workload"]["name"].get<std::string>()));
  }
  return out;
}

std::string explain_workload(const std::vector<const ordered_json*>& runs,
                             const ExplainRequest& request, const TableStyle& style) {
  const Selection selected = select(runs, request);
  const bool alone = selected.alone();
  const ordered_json& from = alone ? *runs[0] : *selected.from;
  const std::string base_policy = policy_name(from);
  const bool x86 = is_x86(from);
  const Spent base = spent(part_of(from, request.phase), x86);
  const auto number = alone ? plain_number : signed_number;
  std::vector<Spent> differences;
  std::vector<std::vector<std::string>> labels;
  std::string paragraphs;
  Row total{"all", {}};
  for (const ordered_json* run : selected.shown) {
    const Spent all = spent(part_of(*run, request.phase), x86);
    differences.push_back(alone ? all : all - base);
    labels.push_back(policy_label(*run));
    total.cells.push_back(number(differences.back().total));
    const std::string policy = policy_name(*run);
    paragraphs += wrapped(alone ? paragraph_alone(policy, all)
                                : paragraph(policy, base_policy, base, differences.back()),
                          style);
  }
  Table table(labels);
  const std::string cycles = alone ? "Cycles" : "More cycles";
  table.section(cycles + ", by kind of cost");
  rows(table, cost_kinds(x86), differences, number,
       [](const Spent& s) -> const Sums& { return s.by_kind; });
  table.row(total);
  table.section(cycles + ", by what the kernel was doing");
  rows(table, kernel::kCauseNames, differences, number,
       [](const Spent& s) -> const Sums& { return s.by_cause; });
  table.row(total);
  // How often, by who misses and where: what a linear map of small pages costs is in the kernel's
  // half, what user memory costs is not, and one price serves both.
  table.section(alone ? "Misses of the TLBs" : "More misses of the TLBs");
  for (const cpu::Event e :
       {cpu::Event::kL2TlbHit, cpu::Event::kL2TlbHitKernel, cpu::Event::kL2TlbHitCopy,
        cpu::Event::kWalk, cpu::Event::kWalkKernel, cpu::Event::kWalkCopy}) {
    const std::string name(cpu::kEventInfo[static_cast<std::size_t>(e)].name);
    Row row{std::string(event_label(e, x86)), {}};
    bool any = false;
    for (const Spent& difference : differences) {
      const auto it = difference.events.find(name);
      const std::int64_t n = it == difference.events.end() ? 0 : it->second;
      any |= n != 0;
      row.cells.push_back(number(n));
    }
    if (any) table.row(std::move(row));
  }
  const std::string where =
      request.phase.empty() ? "all phases" : fmt::format("phase {}", request.phase);
  return line(fmt::format("{}, {}: {} cycles under {}", from["workload"]["name"].get<std::string>(),
                          where, grouped(static_cast<std::uint64_t>(base.total)), base_policy)) +
         table.print(style) + paragraphs;
}

}  // namespace

std::string explain(const ordered_json& document, const ExplainRequest& request,
                    const TableStyle& style) {
  // By name and source: two files may call their workloads the same.
  const auto key = [](const ordered_json& run) {
    const ordered_json& workload = run["workload"];
    return std::pair(workload["name"].get<std::string>(), workload["source"].get<std::string>());
  };
  std::vector<std::pair<std::string, std::string>> workloads;
  for (const ordered_json& run : document["runs"]) {
    if (std::find(workloads.begin(), workloads.end(), key(run)) == workloads.end()) {
      workloads.push_back(key(run));
    }
  }
  std::string text;
  for (const auto& workload : workloads) {
    std::vector<const ordered_json*> runs;
    for (const ordered_json& run : document["runs"]) {
      if (key(run) == workload) runs.push_back(&run);
    }
    if (!text.empty()) text += "\n";
    text += explain_workload(runs, request, style);
  }
  return text;
}

}  // namespace kpksim::report
