// The chapter of a sweep: its points, which settings matter, and an explorer of all totals.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sim/base/json_file.h"
#include "sim/base/printable.h"
#include "sim/report/page/page.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {
namespace {

constexpr const char* kCycles = "/totals/cycles/total";

const Json* find(const Json& row, const std::string& at) {
  const Json::json_pointer pointer(at);
  return row.contains(pointer) ? &row.at(pointer) : nullptr;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

bool failed(const Json& row) { return row.contains("error"); }

// Names and pointers of all numbers below `part`.
void numbers(const Json& part, const std::string& name, const std::string& at,
             std::map<std::string, std::string>& out) {
  for (const auto& [key, value] : part.items()) {
    const std::string full = name.empty() ? key : name + "." + key;
    const std::string place = at + "/" + pointer_part(key);
    if (value.is_object()) numbers(value, full, place, out);
    if (value.is_number()) out[full] = place;
  }
}

// Totals that are not the same in all points.
std::map<std::string, std::string> varied(const Json& rows) {
  std::map<std::string, std::string> all, out;
  for (const Json& row : rows) {
    if (!failed(row)) numbers(row["totals"], "", "/totals", all);
  }
  for (const auto& [name, at] : all) {
    std::set<double> values;
    for (const Json& row : rows) {
      if (failed(row)) continue;
      const Json* value = find(row, at);
      values.insert(value == nullptr ? 0 : value->get<double>());
    }
    if (values.size() > 1) out[name] = at;
  }
  return out;
}

std::string settings_text(const Json& row) {
  std::string text;
  for (const auto& [key, value] : row["settings"].items())
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", key, text_of(value));
  return text;
}

std::string cycles_at(std::size_t row) { return fmt::format("/rows/{}{}", row, kCycles); }

void least_and_most(const Json& rows, std::vector<Json>& findings) {
  std::size_t least = rows.size(), most = rows.size();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (failed(rows[r])) continue;
    const auto cycles = [&](std::size_t i) { return find(rows[i], kCycles)->get<std::uint64_t>(); };
    if (least == rows.size() || cycles(r) < cycles(least)) least = r;
    if (most == rows.size() || cycles(r) > cycles(most)) most = r;
  }
  if (least == rows.size()) return;
  const auto cycles = [&](std::size_t r) { return find(rows[r], kCycles)->get<std::uint64_t>(); };
  Sentence s;
  s.say("The fewest cycles are ").number(cycles(least), {cycles_at(least)});
  s.say(fmt::format(" ({}), the most ", settings_text(rows[least])));
  s.number(cycles(most), {cycles_at(most)});
  s.say(fmt::format(" ({})", settings_text(rows[most])));
  if (cycles(least) != 0) {
    s.say(": ").number(percent_text(percent_over(cycles(most), cycles(least))),
                       {cycles_at(most), cycles_at(least)}, "the most over the fewest, in percent");
  }
  findings.push_back(s.say(".").json("main"));
}

// How far the mean cycles move from a setting's best value to its worst, over all that else
// differs.
void effects(const Json& rows, std::vector<Json>& findings) {
  struct Effect {
    std::string key, best, worst;
    double percent = 0;
  };
  struct Mean {
    double sum = 0, n = 0;
    double value() const { return sum / n; }
  };
  std::vector<Effect> all;
  for (const auto& [key, ignored] : rows[0]["settings"].items()) {
    std::map<std::string, Mean> means;
    for (const Json& row : rows) {
      if (failed(row) || !row["settings"].contains(key)) continue;
      Mean& mean = means[text_of(row["settings"][key])];
      mean.sum += find(row, kCycles)->get<double>();
      mean.n += 1;
    }
    // Of a sampled setting each value is there once: a mean of one point says nothing of it alone.
    constexpr std::size_t kMostValues = 16;
    if (means.size() < 2 || means.size() > kMostValues) continue;
    const auto less = [](const auto& a, const auto& b) {
      return a.second.value() < b.second.value();
    };
    const auto [low, high] = std::minmax_element(means.begin(), means.end(), less);
    if (low->second.value() <= 0) continue;
    all.push_back(
        {key, low->first, high->first, (high->second.value() / low->second.value() - 1) * 100});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Effect& a, const Effect& b) { return a.percent > b.percent; });
  for (const Effect& e : all) {
    Sentence s;
    s.name(e.key).say(" moves the cycles by ");
    s.number(fmt::format("{:.2f} %", e.percent), {"/rows"},
             "mean cycles of all points with the one value, over those with the other");
    findings.push_back(s.say(fmt::format(" on average, from {} to {}.", e.best, e.worst)).json());
  }
}

Json points_table(const Json& rows) {
  constexpr std::array<std::array<const char*, 2>, 5> kShownPoints = {
      {{"cycles", "/totals/cycles/total"},
       {"key register writes", "/totals/events/msr_por_el1/total"},
       {"ISBs", "/totals/events/isb/total"},
       {"table walks", "/totals/events/walk/total"},
       {"pages held", "/totals/allocator/cached"}}};
  Table table;
  table.title = "Points";
  table.first = "point";
  table.note = "The totals that most sweeps are about. The explorer above has all.";
  for (const auto& [key, value] : rows[0]["settings"].items()) table.columns.push_back(key);
  const std::size_t settings = table.columns.size();
  for (const auto& [name, at] : kShownPoints) table.columns.emplace_back(name);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Json& row = rows[r];
    const std::string at = fmt::format("/rows/{}", r);
    Row out{fmt::format("{}", row["point"].get<std::uint64_t>())};
    for (std::size_t i = 0; i < settings; ++i) {
      const auto found = row["settings"].find(table.columns[i]);
      if (found == row["settings"].end()) {
        out.cells.emplace_back("-");
      } else {
        out.cells.push_back(figure(*found, {at + "/settings/" + pointer_part(table.columns[i])}, "",
                                   text_of(*found)));
      }
    }
    for (const auto& [name, place] : kShownPoints) {
      if (failed(row)) {
        out.cells.push_back(figure(nullptr, {at + "/error"}, "", "failed"));
        continue;
      }
      const Json* value = find(row, place);
      out.cells.push_back(value == nullptr ? figure(0, {at + "/totals"})
                                           : figure(*value, {at + place}));
    }
    if (failed(row)) out.note = row["error"].get<std::string>();
    table.rows.push_back(std::move(out));
  }
  return table.json();
}

// What can be drawn over what: the page's scripts read the values from the document itself.
Json explorer(const Json& rows) {
  Json columns = Json::array();
  const auto add = [&](const std::string& name, const std::string& at, bool setting) {
    columns.push_back({{"name", printable(name)}, {"at", at}, {"setting", setting}});
  };
  for (const auto& [key, value] : rows[0]["settings"].items())
    add(key, "/settings/" + pointer_part(key), true);
  const auto totals = varied(rows);
  if (totals.contains("cycles.total")) add("cycles.total", kCycles, false);
  for (const auto& [name, at] : totals) {
    if (at != kCycles) add(name, at, false);
  }
  return {{"block", "explorer"},
          {"title", "Explorer"},
          {"note",
           "Any setting or total over any other. Lines join the means of points that differ in "
           "other settings. The front joins the points of which none has less of both."},
          {"rows", "/rows"},
          {"columns", std::move(columns)}};
}

}  // namespace

Chapter sweep_chapter(const Json& document) {
  const Json& rows = document["rows"];
  Chapter chapter;
  chapter.title = "Sweep: " + document["name"].get<std::string>();
  chapter.facts = {{"points", fmt::format("{} of {}", grouped(rows.size()),
                                          grouped(document["points"].get<std::uint64_t>()))},
                   {"made by", "kpksim " + document["version"].get<std::string>()}};
  const auto failures = std::count_if(rows.begin(), rows.end(), failed);
  if (failures != 0) {
    chapter.findings.push_back(Sentence()
                                   .number(static_cast<std::uint64_t>(failures), {"/rows"},
                                           "number of points with an error")
                                   .say(" points failed; the table says why.")
                                   .json("warning"));
  }
  if (rows.size() < document["points"].get<std::uint64_t>()) {
    chapter.findings.push_back(Sentence()
                                   .say("The sweep is not done: ")
                                   .number(rows.size(), {"/rows"}, "number of points")
                                   .say(" points of ")
                                   .number(document["points"].get<std::uint64_t>(), {"/points"})
                                   .say(" are there.")
                                   .json("warning"));
  }
  least_and_most(rows, chapter.findings);
  effects(rows, chapter.findings);
  chapter.blocks.push_back(explorer(rows));
  chapter.blocks.push_back(points_table(rows));
  return chapter;
}

}  // namespace kpksim::report::page
