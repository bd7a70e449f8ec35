#include "sim/report/explain.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/report/text_table.h"

namespace kpksim::report {
namespace {

using nlohmann::ordered_json;

// The kinds of cost, and the events of the document that each is made of: those that a paragraph
// counts, and further ones. A name that ends with _ is the beginning of several. What no kind names
// is "other".
using Names = std::vector<std::string_view>;
struct Kind {
  const char* name;
  Names counted, further;
};
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"ISB", {"isb"}, {"in_flight"}},
      {"MSR and MRS of the key register", {"msr_por_el1", "mrs_por_el1"}, {}},
      {"MOV to and from CR0", {"mov_to_cr0", "mov_from_cr0"}, {}},
      {"TLB invalidation and waiting for it",
       {"tlbi_"},
       {"dsb_ish", "dsb_nsh", "dsb_osh", "dvm_", "ipi", "ipi_more"}},
      {"ordering of table writes", {"dsb_ishst", "store_drain"}, {}},
      {"loads and stores of tables", {"load", "store"}, {"atomic"}},
      {"cache misses", {"cache_"}, {}},
      {"TLB misses and walks", {"walk"}, {"walk_read", "l2_tlb_hit", "hardware_update"}},
      {"zeroing and copying pages", {"page_"}, {}},
      {"instructions of kernel paths", {"instruction", "loop_instruction"}, {"code_line"}},
      {"the program's own instructions", {"user_instruction"}, {"user_access"}},
      {"exceptions", {"exception_", "hvc"}, {"eret"}},
      {"other", {}, {}}};
  return all;
}

bool among(const Names& names, std::string_view event) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return name.ends_with('_') ? event.starts_with(name) : event == name;
  });
}

const Kind& kind_of(std::string_view event) {
  for (const Kind& kind : kinds()) {
    if (among(kind.counted, event) || among(kind.further, event)) return kind;
  }
  return kinds().back();
}

using Sums = std::map<std::string, std::int64_t>;

// What one run or phase spent, by kind of cost, and how often the events happened.
struct Spent {
  std::int64_t total = 0;
  Sums by_kind, by_cause, events;
};

Spent spent(const ordered_json& part) {
  Spent out;
  out.total = part["cycles"]["total"].get<std::int64_t>();
  for (const auto& [event, n] : part["cycles"]["by_event"].items()) {
    out.by_kind[kind_of(event).name] += n.get<std::int64_t>();
  }
  for (const auto& [cause, n] : part["cycles"]["by_cause"].items()) {
    out.by_cause[cause] += n.get<std::int64_t>();
  }
  for (const auto& [event, e] : part["events"].items()) {
    out.events[event] = e["total"].get<std::int64_t>();
  }
  return out;
}

Sums operator-(const Sums& a, const Sums& b) {
  Sums out = a;
  for (const auto& [name, n] : b) out[name] -= n;
  return out;
}
Spent operator-(const Spent& a, const Spent& b) {
  return {a.total - b.total, a.by_kind - b.by_kind, a.by_cause - b.by_cause, a.events - b.events};
}

std::string signed_number(std::int64_t n) {
  if (n == 0) return "0";
  return (n > 0 ? "+" : "-") + grouped(static_cast<std::uint64_t>(n > 0 ? n : -n));
}

// Descending by size of the contribution; equal ones by name.
std::vector<std::pair<std::string, std::int64_t>> ranked(const Sums& sums) {
  std::vector<std::pair<std::string, std::int64_t>> out(sums.begin(), sums.end());
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::abs(a.second) > std::abs(b.second);
  });
  return out;
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
std::string share(const std::string& kind, std::int64_t cycles, const Spent& difference,
                  bool alone = false) {
  std::int64_t counted = 0;
  for (const auto& [event, n] : difference.events) {
    const Kind& of = kind_of(event);
    if (of.name == kind && among(of.counted, event)) counted += n;
  }
  const double percent = 100 * static_cast<double>(cycles) / static_cast<double>(difference.total);
  const std::string count =
      counted == 0 ? ""
                   : fmt::format(" ({}{})", grouped(static_cast<std::uint64_t>(std::abs(counted))),
                                 alone         ? ""
                                 : counted > 0 ? " more"
                                               : " fewer");
  return fmt::format("{:.0f} % {}{}", percent, kind, count);
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
  // The kinds that make up all but a twentieth of it, then what works against it.
  std::string mainly, against;
  double explained = 0;
  for (const auto& [kind, cycles] : ranked(difference.by_kind)) {
    const double part = static_cast<double>(cycles) / static_cast<double>(difference.total);
    if (part <= -0.01) against += (against.empty() ? "" : ", ") + share(kind, cycles, difference);
    if (part < 0.01 || explained > 0.95) continue;
    explained += part;
    mainly += (mainly.empty() ? "" : ", ") + share(kind, cycles, difference);
  }
  text += ". Of the difference: " + mainly;
  if (!against.empty()) text += "; against it: " + against;
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
  std::string mainly;
  double explained = 0;
  for (const auto& [kind, cycles] : ranked(all.by_kind)) {
    const double part = static_cast<double>(cycles) / static_cast<double>(all.total);
    if (part < 0.01 || explained > 0.95) continue;
    explained += part;
    mainly += (mainly.empty() ? "" : ", ") + share(kind, cycles, all, true);
  }
  return text + ". Of them: " + mainly + ".";
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
  const Spent base = spent(part_of(from, request.phase));
  const auto number = alone ? plain_number : signed_number;
  std::vector<Spent> differences;
  std::vector<std::vector<std::string>> labels;
  std::string paragraphs;
  Row total{"all", {}};
  for (const ordered_json* run : selected.shown) {
    const Spent all = spent(part_of(*run, request.phase));
    differences.push_back(alone ? all : all - base);
    labels.push_back(policy_label(*run));
    total.cells.push_back(number(differences.back().total));
    const std::string policy = policy_name(*run);
    paragraphs += wrapped(alone ? paragraph_alone(policy, all)
                                : paragraph(policy, base_policy, base, differences.back()),
                          style);
  }
  Table table(labels);
  std::vector<std::string_view> kind_names;
  for (const Kind& kind : kinds()) kind_names.push_back(kind.name);
  const std::string cycles = alone ? "Cycles" : "More cycles";
  table.section(cycles + ", by kind of cost");
  rows(table, kind_names, differences, number,
       [](const Spent& s) -> const Sums& { return s.by_kind; });
  table.row(total);
  table.section(cycles + ", by what the kernel was doing");
  rows(table, kernel::kCauseNames, differences, number,
       [](const Spent& s) -> const Sums& { return s.by_cause; });
  table.row(total);
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
