// The chapter of kpksim validate kernel: how closely the model agrees with a real kernel's counts.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <array>
#include <map>

#include "sim/report/page/page.h"
#include "sim/report/page/verdicts.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {
namespace {

constexpr std::array<const char*, 3> kCountVerdicts = {"exact", "within its rule's room", "off"};

std::map<std::string, Tally> tallies(const Json& counts, const char* key) {
  std::map<std::string, Tally> out;
  for (const Json& count : counts) {
    ++out.try_emplace(count[key].get<std::string>(), Tally{}).first->second[verdict_of(count)];
  }
  return out;
}

Json verdicts_chart(const Json& counts, const char* key) {
  Chart chart;
  chart.form = "stacked";
  chart.title = fmt::format("Agreement by {}", key);
  chart.category_title = key;
  chart.value_title = "counts";
  chart.log_offered = false;
  for (std::size_t v = 0; v < kCountVerdicts.size(); ++v) {
    Series series{kCountVerdicts[v]};
    series.slot = kSlots[v];
    series.how = kNumberOf;
    chart.series.push_back(std::move(series));
  }
  for (const auto& [name, tally] : tallies(counts, key)) {
    chart.categories.push_back(name);
    for (std::size_t v = 0; v < tally.size(); ++v) {
      chart.series[v].values.push_back(static_cast<double>(tally[v]));
      chart.series[v].at.push_back({"/counts"});
    }
  }
  return chart.json();
}

Json off_table(const Json& counts) {
  Table table;
  table.title = "Counts that are off";
  table.first = "phase";
  table.columns = {"counter",    "variant",   "CPU",   "kernel",
                   "least real", "most real", "model", "rule"};
  table.note = "A click on a phase says what is known of the reason.";
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const Json& count = counts[i];
    if (count["verdict"] != "off") continue;
    const std::string at = fmt::format("/counts/{}", i);
    std::size_t least = 0, most = 0;
    for (std::size_t r = 1; r < count["real"].size(); ++r) {
      if (count["real"][r] < count["real"][least]) least = r;
      if (count["real"][r] > count["real"][most]) most = r;
    }
    Row row{count["phase"].get<std::string>()};
    row.note = count.value("reason", std::string("for no known reason"));
    for (const char* name : {"counter", "variant", "cpu", "kernel"})
      row.cells.emplace_back(count[name].get<std::string>());
    for (const std::size_t r : {least, most})
      row.cells.push_back(figure(count["real"][r], {fmt::format("{}/real/{}", at, r)}));
    row.cells.push_back(figure(count["model"], {at + "/model"}));
    row.cells.emplace_back(count["rule"].get<std::string>());
    table.rows.push_back(std::move(row));
  }
  return table.json();
}

}  // namespace

Chapter validation_chapter(const Json& document) {
  const Json& counts = document["counts"];
  Tally all{};
  std::uint64_t unexplained = 0;
  for (const Json& count : counts) {
    ++all[verdict_of(count)];
    unexplained += count["verdict"] == "off" && !count.contains("reason") ? 1 : 0;
  }
  Chapter chapter;
  chapter.title = "The kernel model against a real kernel";
  chapter.facts = {{"counts", grouped(counts.size())},
                   {"made by", "kpksim " + document["version"].get<std::string>()}};
  const Places at = {"/counts"};
  Sentence s;
  s.say("Of ").number(counts.size(), at, "number of counts").say(" counts ");
  s.number(all[0], at, kNumberOf).say(" are exact, ");
  s.number(all[1], at, kNumberOf).say(" within their rule's room and ");
  s.number(all[2], at, kNumberOf).say(" off. ");
  s.number(document["both_zero"].get<std::uint64_t>(), {"/both_zero"});
  chapter.findings.push_back(s.say(" more are 0 on both sides.").json("main"));
  Sentence reasons;
  reasons.number(unexplained, at, "number of counts that are off without a reason");
  reasons.say(" of those that are off have no known reason.");
  chapter.findings.push_back(reasons.json(unexplained == 0 ? "plain" : "warning"));
  chapter.blocks.push_back(verdicts_chart(counts, "counter"));
  chapter.blocks.push_back(verdicts_chart(counts, "variant"));
  if (all[2] != 0) chapter.blocks.push_back(off_table(counts));
  return chapter;
}

}  // namespace kpksim::report::page
