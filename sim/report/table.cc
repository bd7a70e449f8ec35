#include <fmt/format.h>

#include <algorithm>

#include "sim/report/result.h"

namespace kpksim::report {

using nlohmann::ordered_json;

namespace {

std::string grouped(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::uint64_t event(const ordered_json& part, std::string_view name) {
  const auto it = part["events"].find(std::string(name));
  return it == part["events"].end() ? 0 : (*it)["total"].get<std::uint64_t>();
}

std::string policy_name(const ordered_json& run) {
  const ordered_json& c = run["configuration"];
  std::string name = c["protection"];
  if (name != "none") {
    name = c["allocator"].get<std::string>() + (c["batching"].get<bool>() ? " +batch" : "");
  }
  return name + "/" + c["linear_map"].get<std::string>();
}

struct Row {
  std::string name;
  std::vector<std::string> cells;
};

std::vector<Row> rows_of(const ordered_json& runs) {
  std::vector<Row> rows;
  const auto add = [&](const std::string& name, auto&& value, bool hide_zero) {
    Row row{name, {}};
    bool any = false;
    for (const ordered_json& run : runs) {
      const std::uint64_t n = value(run["total"]);
      any |= n != 0;
      row.cells.push_back(grouped(n));
    }
    if (any || !hide_zero) rows.push_back(std::move(row));
  };
  for (std::size_t e = 0; e < cpu::kEvents; ++e) {
    const std::string name(cpu::kEventInfo[e].name);
    if (name == "load" || name == "walk_read" || name == "instruction") continue;
    add(
        name, [&](const ordered_json& t) { return event(t, name); }, name != "msr_por_el1");
  }
  add(
      "page-table writes",
      [](const ordered_json& t) { return t["page_table_writes"].get<std::uint64_t>(); }, false);
  for (const auto& [key, label] : {std::pair{"live", "page-table pages, live"},
                                   {"peak", "page-table pages, peak"},
                                   {"cached", "pages held by the allocator"},
                                   {"set_memory_pkey", "set_memory_pkey calls"},
                                   {"split_pud", "splits of 1 GB blocks"},
                                   {"split_contpmd", "splits of 32 MB runs"},
                                   {"split_pmd", "splits of 2 MB blocks"},
                                   {"split_contpte", "splits of 64 KB runs"}}) {
    add(
        label,
        [k = key](const ordered_json& t) { return t["page_tables"][k].get<std::uint64_t>(); },
        true);
  }
  // TLBIs by reason
  for (const std::string_view cause : kernel::kCauseNames) {
    add(
        fmt::format("TLBI for {}", cause),
        [&](const ordered_json& t) {
          std::uint64_t sum = 0;
          for (const auto& [name, e] : t["events"].items()) {
            if (name.starts_with("tlbi_"))
              sum += e["by_cause"].value(std::string(cause), std::uint64_t{0});
          }
          return sum;
        },
        true);
  }
  add(
      "cycles", [](const ordered_json& t) { return t["cycles"]["total"].get<std::uint64_t>(); },
      false);
  Row overhead{"overhead in %", {}};
  const double base = runs[0]["total"]["cycles"]["total"].get<double>();
  for (const ordered_json& run : runs) {
    const double cycles = run["total"]["cycles"]["total"].get<double>();
    overhead.cells.push_back(base == 0 ? "-" : fmt::format("{:+.2f}", (cycles / base - 1) * 100));
  }
  rows.push_back(std::move(overhead));
  return rows;
}

}  // namespace

std::string table(const ordered_json& compare) {
  const ordered_json& runs = compare["runs"];
  const std::vector<Row> rows = rows_of(runs);
  std::vector<std::size_t> widths;
  std::size_t first = 0;
  for (const Row& row : rows) first = std::max(first, row.name.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    widths.push_back(policy_name(runs[i]).size());
    for (const Row& row : rows) widths[i] = std::max(widths[i], row.cells[i].size());
  }
  std::string out =
      fmt::format("{} ({}, {} core(s))\n", runs[0]["workload"]["name"].get<std::string>(),
                  runs[0]["configuration"]["core"].get<std::string>(),
                  runs[0]["configuration"]["cores"].get<unsigned>());
  out += fmt::format("{:<{}}", "", first);
  for (std::size_t i = 0; i < runs.size(); ++i)
    out += fmt::format("  {:>{}}", policy_name(runs[i]), widths[i]);
  out += '\n';
  for (const Row& row : rows) {
    out += fmt::format("{:<{}}", row.name, first);
    for (std::size_t i = 0; i < runs.size(); ++i)
      out += fmt::format("  {:>{}}", row.cells[i], widths[i]);
    out += '\n';
  }
  for (const ordered_json& assumption : runs[0]["workload"]["assumptions"]) {
    out += fmt::format("assumed: {}\n", assumption.get<std::string>());
  }
  for (const auto& [kind, n] : runs[0]["workload"]["not_understood"].items()) {
    out += fmt::format("not understood: {} x {}\n", n.get<std::uint64_t>(), kind);
  }
  return out;
}

std::string csv(const ordered_json& compare) {
  std::string out = "workload,policy,phase,quantity,cause,value\n";
  for (const ordered_json& run : compare["runs"]) {
    for (const ordered_json& phase : run["phases"]) {
      const std::string head = fmt::format("{},{},{}", run["workload"]["name"].get<std::string>(),
                                           policy_name(run), phase["name"].get<std::string>());
      for (const auto& [name, e] : phase["events"].items()) {
        for (const auto& [cause, n] : e["by_cause"].items()) {
          out += fmt::format("{},{},{},{}\n", head, name, cause, n.get<std::uint64_t>());
        }
      }
      out += fmt::format("{},cycles,,{}\n", head, phase["cycles"]["total"].get<std::uint64_t>());
    }
  }
  return out;
}

}  // namespace kpksim::report
