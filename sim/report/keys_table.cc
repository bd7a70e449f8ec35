#include "sim/report/keys_table.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "sim/report/text_table.h"

namespace kpksim::report {
namespace {

using nlohmann::ordered_json;

std::string number(const ordered_json& row, const char* name) {
  return grouped(row[name].get<std::uint64_t>());
}

std::string groups(const ordered_json& shared) {
  std::vector<std::string> out;
  for (const ordered_json& group : shared) {
    out.push_back(fmt::format("{}", fmt::join(group.get<std::vector<std::string>>(), " + ")));
  }
  return fmt::format("{}", fmt::join(out, "; "));
}

}  // namespace

std::string keys_table(const ordered_json& document, const TableStyle& style) {
  const ordered_json& configuration = document["configuration"];
  std::string out = wrapped(
      fmt::format("{}: {} classes of {}, {} on {} core{} of {}, {}",
                  document["workload"]["name"].get<std::string>(), document["classes"].size(),
                  document["classes_file"].get<std::string>(), policy_name(document),
                  configuration["cores"].get<unsigned>(), configuration["cores"] == 1 ? "" : "s",
                  configuration["core"].get<std::string>(),
                  memory_size(configuration["memory_bytes"].get<std::uint64_t>())),
      style);
  Table table({{"", "overhead"},
               {"", "switches"},
               {"", "ISB"},
               {"", "evictions"},
               {"", "TLBI"},
               {"", "splits"},
               {"unneeded", "bytes"}});
  std::uint64_t budget = 0;
  std::vector<std::string> notes;
  for (const ordered_json& row : document["rows"]) {
    if (row["budget"] != budget) {
      budget = row["budget"].get<std::uint64_t>();
      table.section(fmt::format("{} keys", budget));
    }
    const auto strategy = row["strategy"].get<std::string>();
    if (row.contains("refused")) {
      table.row({strategy, {"refused", "-", "-", "-", "-", "-", "-"}});
      notes.push_back(
          fmt::format("{} keys, {}: {}", budget, strategy, row["refused"].get<std::string>()));
      continue;
    }
    table.row({strategy,
               {fmt::format("{:+.2f} %", row["overhead_percent"].get<double>()),
                number(row, "switches"), number(row, "isb"), number(row, "evictions"),
                number(row, "tlbi"), number(row, "splits"), number(row, "unneeded_bytes")}});
    if (!row["shared"].empty()) {
      notes.push_back(fmt::format("{} keys, {}: {}", budget, strategy, groups(row["shared"])));
    }
  }
  out += "\n" + table.print(style);
  if (!notes.empty()) out += "\nwhat shares a key, and why there is no assignment\n";
  for (const std::string& note : notes) out += wrapped("  " + note, style);
  out += "\n" + wrapped(document["finding"].get<std::string>(), style);
  return out;
}

}  // namespace kpksim::report
