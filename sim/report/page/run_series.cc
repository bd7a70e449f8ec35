// What happened over time: of --interval, and the exposure of interleaved cores.

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

#include "sim/report/event_labels.h"
#include "sim/report/page/run_chapter.h"

namespace kpksim::report::page {
namespace {

constexpr const char* kShownRate = "entries written";
constexpr const char* kCyclesOfRun = "cycles since the run began";

// A part of a phase: number `i` of what stands at `at`.
struct Slice {
  const Json& holder;  // the phase's "series"
  std::size_t i;
  std::string at;

  std::uint64_t number(const char* name) const { return holder[name][i].get<std::uint64_t>(); }
  std::string place(const std::string& name) const { return fmt::format("{}/{}/{}", at, name, i); }
};

// Appends a point for each part of each phase. `value`: of one part, with its places.
using PartValue = std::function<std::pair<double, Places>(const Slice&)>;
Series over_parts(const Run& run, const std::string& name, const PartValue& value) {
  Series s{name};
  std::uint64_t begin = 0;
  const Json& phases = (*run.json)["phases"];
  for (std::size_t p = 0; p < phases.size(); ++p) {
    const auto found = phases[p].find("series");
    if (found == phases[p].end()) return {};
    const std::size_t parts = (*found)["end_cycles"].size();
    for (std::size_t i = 0; i < parts; ++i) {
      const Slice part{*found, i, fmt::format("{}/phases/{}/series", run.at, p)};
      auto [y, at] = value(part);
      s.x.push_back(static_cast<double>(begin + part.number("end_cycles")));
      s.values.push_back(y);
      s.at.push_back(std::move(at));
    }
    if (parts != 0) begin += (*found)["end_cycles"][parts - 1].get<std::uint64_t>();
  }
  return s;
}

// Bytes of page tables that a stray store could have written, on average over the part.
std::optional<std::pair<double, Places>> exposed_in(const Slice& part) {
  const auto exposure = part.holder.find("exposure");
  if (exposure == part.holder.end()) return std::nullopt;
  const auto cycles = static_cast<double>(part.number("cycles"));
  double sum = 0;
  Places at;
  for (const char* when : {"at_rest", "in_windows"}) {
    for (const char* owner : {"own", "kernel", "other"}) {
      sum += (*exposure)[when][owner][part.i].get<double>();
      at.push_back(part.place(fmt::format("exposure/{}/{}", when, owner)));
    }
  }
  at.push_back(part.place("cycles"));
  return std::pair(cycles == 0 ? 0 : sum * 1000 / cycles, at);
}

// The same where cores are interleaved, whose document has it by itself.
Series exposed_interleaved(const Run& run) {
  Series s{run.policy};
  std::uint64_t begin = 0;
  const Json& phases = (*run.json)["phases"];
  for (std::size_t p = 0; p < phases.size(); ++p) {
    const auto found = phases[p].find("interleaved");
    if (found == phases[p].end()) return {};
    const Json& exposure = (*found)["exposure"];
    const auto length = exposure["part_cycles"].get<std::uint64_t>();
    for (std::size_t i = 0; i < exposure["parts"].size(); ++i) {
      const Json& six = exposure["parts"][i];
      s.x.push_back(static_cast<double>(begin + (i + 1) * length));
      s.values.push_back(
          std::accumulate(six.begin(), six.end(), 0.0,
                          [](double sum, const Json& n) { return sum + n.get<double>(); }));
      s.at.push_back({fmt::format("{}/phases/{}/interleaved/exposure/parts/{}", run.at, p, i)});
    }
    begin += (*found)["cycles"].get<std::uint64_t>();
  }
  return s;
}

Chart chart_over_time(const std::string& title, const std::string& value_title) {
  Chart chart;
  chart.form = "lines";
  chart.title = title;
  chart.category_title = kCyclesOfRun;
  chart.value_title = value_title;
  return chart;
}

}  // namespace

void RunChapter::over_time() {
  exposure_over_time();
  if (!(*runs_[0].json)["phases"][0].contains("series")) return;
  Chart pages = chart_over_time("Page-table pages over time", "pages");
  pages.note = "At the end of each part of the time.";
  const auto level = [](const char* name) {
    return [name](const Slice& part) {
      return std::pair(static_cast<double>(part.number(name)), Places{part.place(name)});
    };
  };
  for (const Run& run : runs_) {
    pages.series.push_back(over_parts(run, run.policy + ": in use", level("tables")));
    Series held = over_parts(run, run.policy + ": held", level("cached"));
    const bool any = std::any_of(held.values.begin(), held.values.end(),
                                 [](double pages_held) { return pages_held != 0; });
    if (any) pages.series.push_back(std::move(held));
  }
  chapter_.blocks.push_back(pages.json());
  rates_over_time();
}

void RunChapter::exposure_over_time() {
  Chart chart = chart_over_time("Exposure over time", "bytes, on average over a part of the time");
  chart.log = true;
  chart.note =
      "Bytes of page tables that a stray store could have written, at rest and in windows "
      "together. 0 has no place on a logarithmic axis.";
  for (const Run& run : runs_) {
    Series s = exposed_interleaved(run);
    if (s.values.empty()) {
      s = over_parts(run, run.policy, [](const Slice& part) {
        return exposed_in(part).value_or(std::pair<double, Places>());
      });
    }
    s.how = "at rest and in windows, over the cycles of the part";
    if (!s.values.empty()) chart.series.push_back(std::move(s));
  }
  if (!chart.series.empty()) chapter_.blocks.push_back(chart.json());
}

// Every counter that the series have, one shown at first.
void RunChapter::rates_over_time() {
  Chart chart = chart_over_time("What happened over time", "per thousand cycles");
  chart.note = "Other counters are in the legend: a click shows or hides one.";
  for (const Run& run : runs_) {
    const auto rate = [&](const std::string& name, const PartValue& count) {
      Series s = over_parts(run, fmt::format("{}: {}", run.policy, name), [&](const Slice& part) {
        auto [n, at] = count(part);
        const auto cycles = static_cast<double>(part.number("cycles"));
        at.push_back(part.place("cycles"));
        return std::pair(cycles == 0 ? 0 : n * 1000 / cycles, at);
      });
      s.how = "how often in the part, over its cycles, times 1,000";
      s.hidden = name != kShownRate;
      chart.series.push_back(std::move(s));
    };
    rate(kShownRate, [](const Slice& part) {
      return std::pair(static_cast<double>(part.number("page_table_writes")),
                       Places{part.place("page_table_writes")});
    });
    // A counter that never moved is not in the document.
    for (const cpu::Event event : {cpu::Event::kWalk, cpu::Event::kDsbIsh, cpu::Event::kIsb,
                                   cpu::Event::kMsrPor, cpu::Event::kExceptionEl0}) {
      const std::string key(cpu::kEventInfo[static_cast<std::size_t>(event)].name);
      rate(std::string(event_label(event, x86())), [&key](const Slice& part) {
        const Json& events = part.holder["events"];
        const auto found = events.find(key);
        if (found == events.end()) return std::pair(0.0, Places{part.at + "/events"});
        return std::pair((*found)[part.i].get<double>(), Places{part.place("events/" + key)});
      });
    }
  }
  chapter_.blocks.push_back(chart.json());
}

}  // namespace kpksim::report::page
