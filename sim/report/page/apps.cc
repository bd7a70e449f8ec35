// The chapter of kpksim validate apps: replayed recordings against a real kernel's counts.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/report/page/page.h"
#include "sim/report/page/verdicts.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {
namespace {

constexpr std::array<const char*, 3> kAppVerdicts = {"exact", "within tolerance", "off"};

// One count of one replay, and where it is.
struct Place {
  const Json *replay, *count;
  std::string at;
};

std::vector<Place> places_of(const Json& document) {
  std::vector<Place> out;
  const Json& replays = document["replays"];
  for (std::size_t r = 0; r < replays.size(); ++r) {
    for (std::size_t c = 0; c < replays[r]["counts"].size(); ++c) {
      out.push_back(
          {&replays[r], &replays[r]["counts"][c], fmt::format("/replays/{}/counts/{}", r, c)});
    }
  }
  return out;
}

std::string name_of(const Json& count) {
  const auto counter = count["counter"].get<std::string>();
  return count.contains("base") ? counter + " / " + count["base"].get<std::string>() : counter;
}

std::string shown(const Json& count, const char* side) {
  return count.contains("base") ? fmt::format("{:.4f}", count[side].get<double>())
                                : fmt::format("{:.0f}", count[side].get<double>());
}

Json verdicts_chart(const Json& document) {
  Chart chart;
  chart.form = "stacked";
  chart.title = "Agreement by program";
  chart.category_title = "program";
  chart.value_title = "counts";
  chart.log_offered = false;
  for (std::size_t v = 0; v < kDrawnVerdicts.size(); ++v) {
    Series series{kAppVerdicts[v]};
    series.slot = kSlots[v];
    series.how = kNumberOf;
    chart.series.push_back(std::move(series));
  }
  std::vector<Tally> tallies;
  std::vector<Places> at;
  for (std::size_t r = 0; r < document["replays"].size(); ++r) {
    const Json& replay = document["replays"][r];
    const auto program = replay["program"].get<std::string>();
    const auto known = std::find(chart.categories.begin(), chart.categories.end(), program);
    const auto place = static_cast<std::size_t>(known - chart.categories.begin());
    if (known == chart.categories.end()) {
      chart.categories.push_back(program);
      tallies.emplace_back();
      at.emplace_back();
    }
    at[place].push_back(fmt::format("/replays/{}/counts", r));
    for (const Json& count : replay["counts"]) ++tallies[place][verdict_of(count)];
  }
  for (std::size_t v = 0; v < kDrawnVerdicts.size(); ++v) {
    for (std::size_t p = 0; p < tallies.size(); ++p) {
      chart.series[v].values.push_back(static_cast<double>(tallies[p][v]));
      chart.series[v].at.push_back(at[p]);
    }
  }
  return chart.json();
}

Json counts_table(const std::vector<Place>& places) {
  Table table;
  table.title = "Every count";
  table.first = "program";
  table.columns = {"counter", "variant", "CPU", "real", "model", "model over real", "verdict"};
  table.note = "Both sides are less what the program 'nothing' costs.";
  for (const Place& p : places) {
    const Json& count = *p.count;
    Row row{(*p.replay)["program"].get<std::string>()};
    row.cells = {name_of(count), (*p.replay)["variant"], (*p.replay)["cpu"]};
    for (const char* side : {"real", "model"})
      row.cells.push_back(figure(count[side], {p.at + "/" + side}, "", shown(count, side)));
    row.cells.push_back(
        percent(count["error_percent"].get<double>(), {p.at + "/error_percent"}, ""));
    row.cells.emplace_back(kAppVerdicts[verdict_of(count)]);
    table.rows.push_back(std::move(row));
  }
  return table.json();
}

// The count that lies furthest off, in words.
Json furthest(const std::vector<Place>& places) {
  const auto most =
      std::max_element(places.begin(), places.end(), [](const Place& a, const Place& b) {
        return std::abs((*a.count)["error_percent"].get<double>()) <
               std::abs((*b.count)["error_percent"].get<double>());
      });
  Sentence s;
  s.say("Furthest off is ").name(name_of(*most->count)).say(" of ");
  s.name((*most->replay)["program"].get<std::string>()).say(" under ");
  s.name((*most->replay)["variant"].get<std::string>()).say(": the model has ");
  s.number(shown(*most->count, "model"), {most->at + "/model"}).say(" where the kernel had ");
  s.number(shown(*most->count, "real"), {most->at + "/real"}).say(" (");
  s.number(percent_text((*most->count)["error_percent"].get<double>()),
           {most->at + "/error_percent"});
  return s.say(").").json();
}

}  // namespace

Chapter apps_chapter(const Json& document) {
  const std::vector<Place> places = places_of(document);
  Tally all{};
  for (const Place& p : places) ++all[verdict_of(*p.count)];
  Chapter chapter;
  chapter.title = "Replayed programs against a real kernel";
  chapter.facts = {{"counts", grouped(places.size())},
                   {"made by", "kpksim " + document["version"].get<std::string>()}};
  const Places at = {"/replays"};
  Sentence s;
  s.say("Of ").number(places.size(), at, "number of counts").say(" counts of whole programs ");
  s.number(all[0], at, kNumberOf).say(" are exact, ");
  s.number(all[1], at, kNumberOf).say(" within tolerance and ");
  chapter.findings.push_back(
      s.number(all[2], at, kNumberOf).say(" off.").json(all[2] == 0 ? "main" : "warning"));
  if (!places.empty()) chapter.findings.push_back(furthest(places));
  chapter.blocks.push_back(verdicts_chart(document));
  chapter.blocks.push_back(counts_table(places));
  Remarks assumed;
  assumed.title = "What the recordings cannot say, and a rule has filled in";
  for (const Json& text : document["assumptions"]) assumed.texts.push_back(text.get<std::string>());
  if (!assumed.texts.empty()) chapter.blocks.push_back(assumed.json());
  return chapter;
}

}  // namespace kpksim::report::page
