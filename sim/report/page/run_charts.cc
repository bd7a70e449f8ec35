// What costs and exposure look like.

#include <fmt/core.h>

#include <array>

#include "sim/kernel/cause.h"
#include "sim/report/costs.h"
#include "sim/report/page/run_chapter.h"

namespace kpksim::report::page {
namespace {

constexpr const char* kMoreThanFirst = "less the first policy's";

}  // namespace

void RunChapter::overhead_chart() {
  Chart chart;
  chart.title = "Overhead over " + runs_[0].policy;
  chart.category_title = "policy";
  chart.value_title = "cycles, % over the first policy";
  chart.log_offered = false;
  for (std::size_t i = 1; i < runs_.size(); ++i) chart.categories.push_back(runs_[i].policy);
  const auto series = [&](const std::string& name, const auto& part_of) {
    Series s{name};
    s.how = kOverFirst;
    const Part base = part_of(runs_[0]);
    if (base.cycles() == 0) return;
    for (std::size_t i = 1; i < runs_.size(); ++i) {
      const Part part = part_of(runs_[i]);
      s.values.push_back(percent_over(part.cycles(), base.cycles()));
      s.at.push_back({part.cycles_at(), base.cycles_at()});
    }
    uncertain_.bars(s);
    s.hidden = name != "total";
    chart.series.push_back(std::move(s));
  };
  series("total", [](const Run& run) { return run.total(); });
  for (std::size_t p = 0; p < phases() && phases() > 1; ++p) {
    series(phase_name(p), [p](const Run& run) { return run.phase(p); });
  }
  chart.note = uncertain_.note() +
               (phases() > 1 ? "Phases are in the legend: a click shows or hides one." : "");
  if (!chart.series.empty()) chapter_.blocks.push_back(chart.json());
}

// Of several runs the difference from the first; of the phases of one, what they spent.
void RunChapter::pieces_chart(const std::vector<Part>& parts, bool by_kind) {
  const bool difference = runs_.size() > 1;
  const std::size_t first = difference ? 1 : 0;
  Chart chart;
  chart.form = "stacked";
  chart.title = fmt::format(
      "{}, by {}", difference ? "Where the difference comes from" : "Where the cycles went",
      by_kind ? "kind of cost" : "what the kernel was doing");
  chart.category_title = difference ? "policy" : "phase";
  chart.value_title = difference ? "cycles more than " + runs_[0].policy : "cycles";
  chart.log_offered = false;  // stacks have no logarithm
  std::vector<Sums> sums;
  for (std::size_t i = first; i < parts.size(); ++i) {
    chart.categories.push_back(parts[i].name);
    Spent all = spent(*parts[i].json, x86());
    if (difference) all = all - spent(*parts[0].json, x86());
    sums.push_back(by_kind ? all.by_kind : all.by_cause);
  }
  const auto add = [&](const std::string& name) {
    Series s{name};
    s.how = difference ? kMoreThanFirst : "";
    bool any = false;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const auto found = sums[i].find(name);
      const std::int64_t n = found == sums[i].end() ? 0 : found->second;
      any |= n != 0;
      s.values.push_back(static_cast<double>(n));
      Places at = {parts[first + i].pieces_at(by_kind)};
      if (difference) at.push_back(parts[0].pieces_at(by_kind));
      s.at.push_back(std::move(at));
    }
    if (any) chart.series.push_back(std::move(s));
  };
  if (by_kind) {
    for (const std::string_view kind : cost_kinds(x86())) add(std::string(kind));
  } else {
    for (const std::string_view cause : kernel::kCauseNames) add(std::string(cause));
  }
  if (!chart.series.empty()) chapter_.blocks.push_back(chart.json());
}

void RunChapter::exposure_chart(const std::vector<Part>& parts) {
  Chart chart;
  chart.title = "Page tables that a stray store could have written";
  chart.form = "dots";
  chart.category_title = runs_.size() > 1 ? "policy" : "phase";
  chart.value_title = "bytes, on average";
  chart.log = true;
  chart.note =
      "On average over the time of all cores. At rest: while no window is open there. "
      "0 has no place on a logarithmic axis.";
  for (const Part& part : parts) chart.categories.push_back(part.name);
  constexpr std::array<std::array<const char*, 2>, 3> kOwners = {
      {{"own", "the process's own"}, {"kernel", "the kernel's"}, {"other", "others'"}}};
  for (const std::string when : {"at_rest", "in_windows"}) {
    for (const auto& [owner, text] : kOwners) {
      Series s{fmt::format("{}: {}", when == "at_rest" ? "at rest" : "in windows", text)};
      for (const Part& part : parts) {
        const Reading r = exposed(*part.json, when, owner);
        s.values.push_back(static_cast<double>(r.value));
        s.at.push_back(below(part.at, r.at));
        s.how = r.how;
      }
      chart.series.push_back(std::move(s));
    }
  }
  chapter_.blocks.push_back(chart.json());
}

void RunChapter::exposure_over_phases() {
  Chart chart;
  chart.form = "lines";
  chart.title = "Exposure, phase by phase";
  chart.category_title = "phase";
  chart.value_title = "bytes, on average";
  chart.log = true;
  chart.note =
      "Bytes of page tables that a stray store could have written, at rest and in windows "
      "together.";
  for (std::size_t p = 0; p < phases(); ++p) chart.categories.push_back(phase_name(p));
  for (const Run& run : runs_) {
    Series s{run.policy};
    s.how = "at rest and in windows, byte-kilocycles over the cycles of all cores";
    for (std::size_t p = 0; p < phases(); ++p) {
      const Part part = run.phase(p);
      double bytes = 0;
      for (const char* when : {"at_rest", "in_windows"}) {
        for (const char* owner : {"own", "kernel", "other"})
          bytes += static_cast<double>(exposed(*part.json, when, owner).value);
      }
      s.values.push_back(bytes);
      s.at.push_back({part.at + "/exposure", part.cycles_at()});
    }
    chart.series.push_back(std::move(s));
  }
  chapter_.blocks.push_back(chart.json());
}

}  // namespace kpksim::report::page
