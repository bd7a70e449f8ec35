#include "sim/report/table.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "sim/base/printable.h"
#include "sim/kernel/cause.h"
#include "sim/report/check_text.h"
#include "sim/report/quantities.h"
#include "sim/report/text_table.h"

namespace kpksim::report {

using nlohmann::ordered_json;

namespace {

std::uint64_t cycles_of(const ordered_json& part) {
  return part["cycles"]["total"].get<std::uint64_t>();
}

std::string overhead(std::uint64_t cycles, std::uint64_t base) {
  if (base == 0) return "-";
  return fmt::format("{:+.2f} %",
                     (static_cast<double>(cycles) / static_cast<double>(base) - 1) * 100);
}

using Parts = std::vector<const ordered_json*>;
using Value = std::function<std::uint64_t(const ordered_json&)>;

// A row, unless all of it is zero and it need not be shown then.
void count_row(Table& table, const Parts& parts, std::string name, const Value& value,
               bool always = false) {
  Row row{std::move(name), {}};
  bool any = always;
  for (const ordered_json* part : parts) {
    const std::uint64_t n = value(*part);
    any |= n != 0;
    row.cells.push_back(grouped(n));
  }
  if (any) table.row(std::move(row));
}

// The sections that comparison and single run share. `parts`: one for each column.
void count_rows(Table& table, const Parts& parts, bool x86) {
  std::string section;
  for (const Quantity& q : quantities(parts, x86)) {
    if (q.section != section) table.section(section = q.section);
    count_row(
        table, parts, q.name, [&](const ordered_json& part) { return q.read(part).value; },
        q.always);
  }
}

std::string title(const ordered_json& run) {
  const ordered_json& c = run["configuration"];
  return line(fmt::format("{}: {}, {} core{}, {} of memory",
                          run["workload"]["name"].get<std::string>(), c["core"].get<std::string>(),
                          c["cores"].get<unsigned>(), c["cores"].get<unsigned>() == 1 ? "" : "s",
                          memory_size(c["memory_bytes"].get<std::uint64_t>())));
}

// Programs whose sizes nobody has said.
std::string default_images(const ordered_json& workload, const TableStyle& style) {
  constexpr std::size_t kNamed = 8;
  const ordered_json images = workload.value("default_images", ordered_json::object());
  if (images.empty()) return "";
  std::vector<std::pair<std::uint64_t, std::string>> order;  // the most frequent first
  for (const auto& [program, times] : images.items()) {
    order.emplace_back(times.get<std::uint64_t>(), program);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string list;
  for (std::size_t i = 0; i < std::min(order.size(), kNamed); ++i) {
    list += fmt::format("{}{} ({})", i == 0 ? "" : ", ", order[i].second, grouped(order[i].first));
  }
  if (images.size() > kNamed) list += fmt::format(" and {} more", images.size() - kNamed);
  return wrapped("default size for " + list +
                     ": say the sizes with --sizes or in the recording (traces/programs.sh)",
                 style);
}

// What soft mode let pass.
std::string violations(const ordered_json& run, const TableStyle& style) {
  const auto it = run.find("violations");
  if (it == run.end()) return "";
  const auto n = (*it)["count"].get<std::uint64_t>();
  std::string text = fmt::format("soft mode of {}: {} violation{}", policy_name(run), grouped(n),
                                 n == 1 ? "" : "s");
  if (n != 0) {
    const ordered_json& first = (*it)["first"];
    text += fmt::format(", the first a store to {} by core {} ({}), syndrome {}",
                        first["address"].get<std::string>(), first["core"].get<unsigned>(),
                        first["cause"].get<std::string>(), first["syndrome"].get<std::string>());
  }
  return wrapped(text, style);
}

// What the reader of the figures must know of the input, and what went wrong.
std::string remarks(const std::vector<const ordered_json*>& runs, const TableStyle& style) {
  std::string out = wrapped(
      "cycles: of the kernel and of the accesses shown; a program's own instructions between them "
      "are not included",
      style);
  const ordered_json& workload = (*runs[0])["workload"];
  const ordered_json& assumptions = workload["assumptions"];
  if (!assumptions.empty() && !style.assumptions) {
    out += wrapped(fmt::format("assumed: {}, see --assumptions", assumptions.size()), style);
  }
  for (const ordered_json& text : assumptions) {
    if (style.assumptions) out += wrapped("assumed: " + text.get<std::string>(), style);
  }
  out += default_images(workload, style);
  for (const ordered_json& text : workload.value("notes", ordered_json::array())) {
    out += wrapped("note: " + text.get<std::string>(), style);
  }
  for (const auto& [kind, n] : workload["not_understood"].items()) {
    out += wrapped(
        fmt::format("not understood: {} lines of kind '{}'", grouped(n.get<std::uint64_t>()), kind),
        style);
  }
  if (const auto n = workload["calls_without_mapping"].get<std::uint64_t>(); n != 0) {
    out += wrapped(fmt::format("left out: {} operations on ranges that the recording never mapped",
                               grouped(n)),
                   style);
  }
  if (const auto n = workload.value("pages_without_memory", std::uint64_t{0}); n != 0) {
    out += wrapped(fmt::format("left out: {} pages that the rule would have touched, for which "
                               "there is no memory (give the machine more: --memory)",
                               grouped(n)),
                   style);
  }
  for (const ordered_json* run : runs) {
    if (!(*run)["configuration"].value("protects_nothing", false)) continue;
    out += wrapped(
        fmt::format("note: {} protects nothing: its allocator marks no page", policy_name(*run)),
        style);
  }
  for (const ordered_json* run : runs) out += violations(*run, style);
  for (const ordered_json* run : runs) out += check_text(*run, policy_name(*run), style);
  for (const ordered_json* run : runs) {
    const ordered_json& audit = (*run)["total"]["audit"];
    const auto stale =
        audit["stale_leaves"].get<std::uint64_t>() + audit["stale_tables"].get<std::uint64_t>();
    if (stale == 0) continue;
    const std::string text =
        line(fmt::format("STALE TRANSLATIONS: {} under {} (a TLB invalidation is missing)",
                         grouped(stale), policy_name(*run)));
    out += style.colour ? "\033[1;31m" + text + "\033[0m" : text;
  }
  return out;
}

// What a run was of, behind the figures: each row can be told from those of any other run.
constexpr const char* kCsvConfiguration[] = {"core",         "kernel",     "cores",  "hz",
                                             "memory_bytes", "protection", "window", "allocator",
                                             "linear_map",   "reach",      "inject"};

// "none" or "skip:tlbi.unmap skip:dsb.switch"
std::string list_text(const ordered_json& list) {
  std::string out;
  for (const ordered_json& item : list) {
    out += (out.empty() ? "" : " ") + item.get<std::string>();
  }
  return out.empty() ? "none" : out;
}

std::string csv_configuration(const ordered_json& run) {
  std::string out;
  for (const char* name : kCsvConfiguration) {
    const ordered_json& value = run["configuration"][name];
    out += ',' + csv_field(value.is_string()   ? value.get<std::string>()
                           : value.is_array()  ? list_text(value)
                           : value.is_object() ? part_text(value)
                                               : value.dump());
  }
  return out + ',' + csv_field(run["version"].get<std::string>()) + ',' +
         csv_field(run["workload"]["source"].get<std::string>());
}

}  // namespace

std::string compare_table(const ordered_json& document, const TableStyle& style) {
  std::vector<const ordered_json*> runs, totals;
  std::vector<std::vector<std::string>> labels;
  for (const ordered_json& run : document["runs"]) {
    runs.push_back(&run);
    totals.push_back(&run["total"]);
    labels.push_back(policy_label(run));
  }
  Table table(labels);
  count_rows(table, totals, is_x86(*runs[0]));
  const auto cycles = [&](const std::string& name, const Value& value) {
    const std::uint64_t base = value(*runs[0]);
    Row row{name, {grouped(base)}};
    for (std::size_t i = 1; i < runs.size(); ++i)
      row.cells.push_back(overhead(value(*runs[i]), base));
    table.row(std::move(row));
  };
  table.section("Cycles, and the overhead over the first column");
  const std::size_t phases = (*runs[0])["phases"].size();
  for (std::size_t p = 0; p < phases && phases > 1; ++p) {
    cycles((*runs[0])["phases"][p]["name"].get<std::string>(),
           [p](const ordered_json& run) { return cycles_of(run["phases"][p]); });
  }
  cycles("total", [](const ordered_json& run) { return cycles_of(run["total"]); });
  return title(*runs[0]) + table.print(style) + remarks(runs, style);
}

std::string policies_table(const ordered_json& document, const TableStyle& style) {
  std::vector<const ordered_json*> runs;
  for (const ordered_json& run : document["runs"]) runs.push_back(&run);
  const auto sum = [](const ordered_json& part, const std::vector<std::string>& names) {
    std::uint64_t n = 0;
    for (const std::string& name : names) n += part.value(name, std::uint64_t{0});
    return n;
  };
  // Bytes on average over the time of all cores.
  const auto exposed = [](const ordered_json& total, const char* when) {
    const std::uint64_t cycles = cycles_of(total);
    double bytes = 0;
    for (const auto& [owner, n] : total["exposure"][when].items()) bytes += n.get<double>();
    return cycles == 0 ? 0 : static_cast<std::uint64_t>(bytes * 1000 / static_cast<double>(cycles));
  };
  Table table({{"", "", "overhead"},
               {"", "", "TLBIs"},
               {"", "key", "writes"},
               {"linear", "map", "changes"},
               {"", "", "splits"},
               {"", "pages", "held"},
               {"writable", "at", "rest"},
               {"writable", "in", "windows"},
               {"", "longest", "window"}});
  table.section("Policies");
  const std::uint64_t base = cycles_of((*runs[0])["total"]);
  for (const ordered_json* run : runs) {
    const ordered_json& total = (*run)["total"];
    table.row(
        {policy_name(*run),
         {run == runs[0] ? grouped(base) : overhead(cycles_of(total), base),
          grouped(tlb_invalidations(total).value),
          grouped(event_count(total, "msr_por_el1").value + event_count(total, "mov_to_cr0").value),
          grouped(sum(total["linear_map"], {"set_memory_pkey", "set_memory"})),
          grouped(sum(total["linear_map"],
                      {"split_pud", "split_contpmd", "split_pmd", "split_contpte"})),
          grouped(sum(total["allocator"], {"cached"})), grouped(exposed(total, "at_rest")),
          grouped(exposed(total, "in_windows")),
          grouped(total["exposure"]["largest_window_cycles"].get<std::uint64_t>())}});
  }
  return title(*runs[0]) + table.print(style) +
         wrapped(
             "overhead: in cycles, over the first row's; pages held: marked and in no table's "
             "use, at the end; writable: bytes of page tables that a stray store could have "
             "written, on average over the time of all cores; longest window: in cycles",
             style) +
         remarks(runs, style);
}

std::string run_table(const ordered_json& run, const TableStyle& style) {
  std::vector<const ordered_json*> parts;
  std::vector<std::vector<std::string>> labels;
  for (const ordered_json& phase : run["phases"]) {
    parts.push_back(&phase);
    labels.push_back({phase["name"].get<std::string>()});
  }
  parts.push_back(&run["total"]);
  labels.push_back({"total"});
  Table table(labels);
  count_rows(table, parts, is_x86(run));
  table.section("Cycles, by cause");
  for (const std::string_view cause : kernel::kCauseNames) {
    count_row(table, parts, std::string(cause), [&](const ordered_json& part) {
      return part["cycles"]["by_cause"].value(std::string(cause), std::uint64_t{0});
    });
  }
  count_row(table, parts, "all", cycles_of, true);
  return title(run) + line("policy: " + policy_name(run)) + table.print(style) +
         remarks({&run}, style);
}

std::string csv(const ordered_json& document) {
  std::string out = "workload,policy,phase,quantity,cause,value";
  for (const char* name : kCsvConfiguration) out += fmt::format(",{}", name);
  out += ",version,source\n";
  for (const ordered_json& run : document["runs"]) {
    const std::string policy = policy_name(run), configuration = csv_configuration(run);
    for (const ordered_json& phase : run["phases"]) {
      const std::string head =
          fmt::format("{},{},{}", csv_field(run["workload"]["name"].get<std::string>()),
                      csv_field(policy), csv_field(phase["name"].get<std::string>()));
      const auto figure = [&](std::string_view quantity, std::string_view cause,
                              const ordered_json& n) {
        out += fmt::format("{},{},{},{}{}\n", head, quantity, cause, n.get<std::uint64_t>(),
                           configuration);
      };
      for (const auto& [name, e] : phase["events"].items()) {
        for (const auto& [cause, n] : e["by_cause"].items()) figure(name, cause, n);
      }
      figure("page_table_writes", "", phase["page_table_writes"]);
      for (const char* group : {"allocator", "linear_map", "credentials", "kernel_data"}) {
        if (!phase.contains(group)) continue;
        for (const auto& [name, n] : phase[group].items()) figure(name, "", n);
      }
      for (const auto& [name, e] : phase["exposure"].items()) {
        if (!e.is_object()) {
          figure(name, "", e);
          continue;
        }
        for (const auto& [owner, n] : e.items()) figure("exposure_" + name, owner, n);
      }
      for (const auto& [cause, n] : phase["cycles"]["by_cause"].items()) figure("cycles", cause, n);
      figure("cycles", "", phase["cycles"]["total"]);
    }
  }
  return out;
}

}  // namespace kpksim::report
