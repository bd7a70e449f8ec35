// The chapter of kpksim keys: what budgets of keys cost and give away.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/report/page/page.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {
namespace {

std::string strategy_of(const Json& row) { return row["strategy"].get<std::string>(); }

std::vector<std::string> strategies(const Json& document) {
  std::vector<std::string> names;
  for (const Json& row : document["rows"]) {
    if (std::find(names.begin(), names.end(), strategy_of(row)) == names.end())
      names.push_back(strategy_of(row));
  }
  return names;
}

Json over_budgets(const Json& document, const std::string& title, const std::string& value_title,
                  const char* quantity, bool log) {
  Chart chart;
  chart.form = "lines";
  chart.title = title;
  chart.category_title = "keys";
  chart.value_title = value_title;
  chart.log = log;
  chart.log_offered = log;
  chart.note = "A budget without a point has no assignment under that strategy.";
  for (const std::string& strategy : strategies(document)) {
    Series series{strategy};
    for (std::size_t r = 0; r < document["rows"].size(); ++r) {
      const Json& row = document["rows"][r];
      if (strategy_of(row) != strategy || row.contains("refused")) continue;
      series.x.push_back(row["budget"].get<double>());
      series.values.push_back(row[quantity].get<double>());
      series.at.push_back({fmt::format("/rows/{}/{}", r, quantity)});
    }
    if (!series.values.empty()) chart.series.push_back(std::move(series));
  }
  return chart.json();
}

std::string shared_text(const Json& row) {
  std::vector<std::string> groups;
  for (const Json& group : row.value("shared", Json::array()))
    groups.push_back(fmt::format("{}", fmt::join(group.get<std::vector<std::string>>(), " + ")));
  return groups.empty() ? "" : fmt::format("share a key: {}", fmt::join(groups, "; "));
}

Json table_of(const Json& document) {
  Table table;
  table.title = "Budgets and strategies";
  table.first = "strategy";
  table.columns = {"keys",      "overhead", "switches", "ISBs",
                   "evictions", "TLBIs",    "splits",   "unneeded bytes"};
  table.note =
      "Unneeded: bytes of protected classes that a context could write without needing to, "
      "on average. A click on a strategy says what shares a key, or why it was refused.";
  for (std::size_t r = 0; r < document["rows"].size(); ++r) {
    const Json& row = document["rows"][r];
    const std::string at = fmt::format("/rows/{}", r);
    Row out{strategy_of(row)};
    const auto add = [&](const char* name) {
      out.cells.push_back(figure(row[name], {at + "/" + name}));
    };
    add("budget");
    if (row.contains("refused")) {
      out.note = "refused: " + row["refused"].get<std::string>();
      out.cells.push_back(figure(nullptr, {at + "/refused"}, "", "refused"));
      for (std::size_t i = 2; i < table.columns.size(); ++i) out.cells.emplace_back("-");
    } else {
      out.note = shared_text(row);
      out.cells.push_back(
          percent(row["overhead_percent"].get<double>(), {at + "/overhead_percent"}, ""));
      for (const char* name : {"switches", "isb", "evictions", "tlbi", "splits", "unneeded_bytes"})
        add(name);
    }
    table.rows.push_back(std::move(out));
  }
  return table.json();
}

// From which budget on a strategy has an assignment, and what it costs there.
Json strategy_finding(const Json& document, const std::string& strategy) {
  Sentence s;
  for (std::size_t r = 0; r < document["rows"].size(); ++r) {
    const Json& row = document["rows"][r];
    if (strategy_of(row) != strategy || row.contains("refused")) continue;
    const std::string at = fmt::format("/rows/{}", r);
    s.name(strategy).say(" has an assignment from ");
    s.number(row["budget"].get<std::uint64_t>(), {at + "/budget"}).say(" keys on. It costs ");
    s.number(percent_text(row["overhead_percent"].get<double>()), {at + "/overhead_percent"});
    s.say(" there and leaves ");
    s.number(row["unneeded_bytes"].get<std::uint64_t>(), {at + "/unneeded_bytes"});
    return s.say(" bytes writable that the context does not need.").json();
  }
  return s.name(strategy).say(" has no assignment under any of these budgets.").json();
}

constexpr const char* kShown[] = {"overhead_percent", "switches",      "isb", "evictions", "tlbi",
                                  "splits",           "unneeded_bytes"};

// The schema leaves it open what a row has that was not refused.
void check_rows(const Json& rows) {
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].contains("refused")) continue;
    for (const char* name : kShown) {
      if (rows[r].contains(name)) continue;
      throw InputError(fmt::format("/rows/{}: expected '{}', or 'refused'", r, name));
    }
  }
}

}  // namespace

Chapter keys_chapter(const Json& document) {
  check_rows(document["rows"]);
  Chapter chapter;
  chapter.title = fmt::format("Keys: {}", document["workload"]["name"].get<std::string>());
  const Json& c = document["configuration"];
  chapter.facts = {{"workload", document["workload"]["source"].get<std::string>()},
                   {"classes", document["classes_file"].get<std::string>()},
                   {"policy", policy_name(document)},
                   {"core", c["core"].get<std::string>()},
                   {"kernel", c["kernel"].get<std::string>()},
                   {"cores", fmt::format("{}", c["cores"].get<unsigned>())},
                   {"memory", memory_size(c["memory_bytes"].get<std::uint64_t>())},
                   {"made by", "kpksim " + document["version"].get<std::string>()}};
  chapter.findings.push_back(Sentence().say(document["finding"].get<std::string>()).json("main"));
  for (const std::string& strategy : strategies(document))
    chapter.findings.push_back(strategy_finding(document, strategy));
  chapter.blocks.push_back(over_budgets(document, "What fewer keys cost",
                                        "cycles, % over no further keys", "overhead_percent",
                                        false));
  chapter.blocks.push_back(over_budgets(document, "What fewer keys give away",
                                        "unneeded bytes, on average", "unneeded_bytes", true));
  chapter.blocks.push_back(table_of(document));
  return chapter;
}

}  // namespace kpksim::report::page
