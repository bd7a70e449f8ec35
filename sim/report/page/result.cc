// Chapters of run and compare: what policies cost and what they leave writable.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/report/costs.h"
#include "sim/report/page/page.h"
#include "sim/report/page/uncertain.h"
#include "sim/report/quantities.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {
namespace {

constexpr const char* kOverFirst = "over the first policy's, in percent";
constexpr const char* kMoreThanFirst = "less the first policy's";

// One run of a document, or one of its phases, and where it stands there.
struct Part {
  const Json* json;
  std::string at, name;

  std::uint64_t cycles() const { return (*json)["cycles"]["total"].get<std::uint64_t>(); }
  std::string cycles_at() const { return at + "/cycles/total"; }
};

struct Run {
  const Json* json;
  std::string at, policy;

  Part total() const { return {&(*json)["total"], at + "/total", policy}; }
  Part phase(std::size_t p) const {
    return {&(*json)["phases"][p], fmt::format("{}/phases/{}", at, p), policy};
  }
  bool protects() const { return (*json)["configuration"]["protection"]["name"] != "none"; }
};

// Sums of pieces have the object that holds them as their place.
std::string pieces_at(const Part& part, bool by_kind) {
  return part.at + (by_kind ? "/cycles/by_event" : "/cycles/by_cause");
}

std::string count_text(std::int64_t n) { return grouped(static_cast<std::uint64_t>(std::abs(n))); }

class Workload {
 public:
  Workload(std::vector<Run> runs, Uncertain uncertain)
      : runs_(std::move(runs)), uncertain_(std::move(uncertain)) {}

  Chapter chapter() {
    const Json& run = *runs_[0].json;
    chapter_.title = run["workload"]["name"].get<std::string>();
    facts();
    if (runs_.size() > 1) {
      compared();
    } else {
      alone();
    }
    audit();
    remarks();
    return std::move(chapter_);
  }

 private:
  std::size_t phases() const { return (*runs_[0].json)["phases"].size(); }
  std::string phase_name(std::size_t p) const {
    return (*runs_[0].json)["phases"][p]["name"].get<std::string>();
  }
  std::vector<std::string> policies() const {
    std::vector<std::string> names;
    for (const Run& run : runs_) names.push_back(run.policy);
    return names;
  }
  bool x86() const { return (*runs_[0].json)["configuration"].contains("architecture"); }

  void facts() {
    const Json& run = *runs_[0].json;
    const Json& c = run["configuration"];
    chapter_.facts = {{"workload", run["workload"]["source"].get<std::string>()},
                      {"core", c["core"].get<std::string>()},
                      {"kernel", c["kernel"].get<std::string>()},
                      {"cores", fmt::format("{}", c["cores"].get<unsigned>())},
                      {"memory", memory_size(c["memory_bytes"].get<std::uint64_t>())}};
    if (c.value("hz", 0u) != 0)
      chapter_.facts.emplace_back("timer", fmt::format("{} Hz", c["hz"].get<unsigned>()));
    for (const auto& fault : c["inject"])
      chapter_.facts.emplace_back("fault injected", fault.get<std::string>());
    if (runs_.size() == 1) chapter_.facts.emplace_back("policy", runs_[0].policy);
    chapter_.facts.emplace_back("made by", "kpksim " + run["version"].get<std::string>());
  }

  void compared() {
    for (std::size_t i = 1; i < runs_.size(); ++i) cost_finding(runs_[i]);
    cheapest();
    exposure_findings();
    for (Json& finding : uncertain_.findings()) chapter_.findings.push_back(std::move(finding));
    overhead_chart();
    std::vector<Part> totals;
    for (const Run& run : runs_) totals.push_back(run.total());
    pieces_chart(totals, true);
    pieces_chart(totals, false);
    exposure_chart(totals);
    if (phases() > 1) exposure_over_phases();
    policies_table();
    if (phases() > 1) phases_table();
    counts_table("Every count", totals);
  }

  void alone() {
    const Part total = runs_[0].total();
    const Spent all = spent(*total.json);
    Sentence s;
    s.name(total.name).say(": ").number(total.cycles(), {total.cycles_at()}).say(" cycles.");
    if (all.total != 0) {
      s.say(" Of them: ");
      shares(s, shares_of(all).mainly, {pieces_at(total, true)}, false);
      s.say(".");
    }
    chapter_.findings.push_back(s.json("main"));
    std::vector<Part> parts;
    for (std::size_t p = 0; p < phases(); ++p) {
      parts.push_back(runs_[0].phase(p));
      parts.back().name = phase_name(p);
    }
    dearest_phase(parts, total);
    exposure_findings();
    pieces_chart(parts, true);
    pieces_chart(parts, false);
    exposure_chart(parts);
    parts.push_back(total);
    parts.back().name = "total";
    counts_table("Every count", parts);
  }

  // "69 % ISB (1,598,378 more), ...".
  static void shares(Sentence& s, const std::vector<Share>& list, const Places& at, bool more) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Share& share = list[i];
      s.say(i == 0 ? "" : ", ");
      s.number(fmt::format("{:.0f} %", 100 * share.part), at, "its events, over all of it");
      s.say(" " + share.kind);
      if (share.counted == 0) continue;
      s.say(fmt::format(" ({}{})", count_text(share.counted),
                        !more               ? ""
                        : share.counted > 0 ? " more"
                                            : " fewer"));
    }
  }

  void cost_finding(const Run& run) {
    const Part base = runs_[0].total(), part = run.total();
    const Spent difference = spent(*part.json) - spent(*base.json);
    const Places cycles = {part.cycles_at(), base.cycles_at()};
    Sentence s;
    s.name(run.policy);
    if (difference.total == 0) {
      chapter_.findings.push_back(s.say(" takes ")
                                      .number("as many cycles", cycles)
                                      .say(" as ")
                                      .name(runs_[0].policy)
                                      .say(".")
                                      .json());
      return;
    }
    const bool more = difference.total > 0;
    s.say(" takes ").number(count_text(difference.total), cycles, "the difference");
    s.say(more ? " cycles more than " : " cycles fewer than ").name(runs_[0].policy);
    if (base.cycles() != 0) {
      s.say(": ").number(percent_text(percent_over(part.cycles(), base.cycles())), cycles,
                         kOverFirst);
    }
    uncertain_.interval(s, run.policy);
    s.say(". Of the difference ");
    const Places places = {pieces_at(part, true), pieces_at(base, true)};
    const Shares by_kind = shares_of(difference);
    s.say(by_kind.mainly.empty() ? "nothing stands out" : "is ");
    shares(s, by_kind.mainly, places, true);
    if (!by_kind.against.empty()) {
      s.say("; against it works ");
      shares(s, by_kind.against, places, true);
    }
    const auto causes = ranked(difference.by_cause);
    if (!causes.empty()) {
      const double part_of_it =
          static_cast<double>(causes[0].second) / static_cast<double>(difference.total);
      s.say(". ").number(fmt::format("{:.0f} %", 100 * part_of_it),
                         {pieces_at(part, false), pieces_at(base, false)}, "of the difference");
      s.say(" of it arises in " + causes[0].first);
    }
    chapter_.findings.push_back(s.say(".").json());
  }

  // First of all findings: which protection costs least, and which most.
  void cheapest() {
    const Part base = runs_[0].total();
    if (base.cycles() == 0) return;
    const Run *least = nullptr, *most = nullptr;
    for (const Run& run : runs_) {
      if (!run.protects() || &run == &runs_[0]) continue;
      if (least == nullptr || run.total().cycles() < least->total().cycles()) least = &run;
      if (most == nullptr || run.total().cycles() > most->total().cycles()) most = &run;
    }
    if (least == nullptr || least == most) return;
    const auto overhead = [&](Sentence& s, const Run& run) {
      const Part part = run.total();
      s.number(percent_text(percent_over(part.cycles(), base.cycles())),
               {part.cycles_at(), base.cycles_at()}, kOverFirst);
      s.say(" (").name(run.policy).say(")");
    };
    Sentence s;
    s.say("Over ").name(runs_[0].policy).say(", protection costs between ");
    overhead(s, *least);
    s.say(" and ");
    overhead(s, *most);
    s.say(" of the cycles.");
    chapter_.findings.insert(chapter_.findings.begin(), s.json("main"));
  }

  // Bytes of all owners.
  static Reading writable(const Part& part, const char* when) {
    Reading all;
    for (const char* owner : {"own", "kernel", "other"}) {
      const Reading r = exposed(*part.json, when, owner);
      all.value += r.value;
      all.at.push_back(part.at + r.at[0]);
      all.how = r.how;
    }
    all.at.push_back(part.cycles_at());
    return all;
  }

  void exposure_findings() {
    const Part first = runs_[0].total();
    const auto say = [](Sentence& s, const Reading& r) { s.number(r.value, r.at, r.how); };
    Sentence s;
    s.say("A stray store could have written, on average over the run, ");
    say(s, writable(first, "at_rest"));
    s.say(" bytes of page tables at rest and ");
    say(s, writable(first, "in_windows"));
    s.say(" in windows under ").name(runs_[0].policy);
    for (const char* when : {"at_rest", "in_windows"}) {
      const Run* most = nullptr;
      for (const Run& run : runs_) {
        if (&run == &runs_[0] || !run.protects()) continue;
        if (most == nullptr ||
            writable(run.total(), when).value > writable(most->total(), when).value)
          most = &run;
      }
      if (most == nullptr) continue;
      const bool rest = when[0] == 'a';
      const Reading r = writable(most->total(), when);
      s.say(rest ? ". Under policies that protect it is at most " : ", and in windows at most ");
      say(s, r);
      s.say(rest ? " bytes at rest" : " bytes");
      if (r.value != 0) s.say(" (").name(most->policy).say(")");
    }
    chapter_.findings.push_back(s.say(".").json());
  }

  void dearest_phase(const std::vector<Part>& parts, const Part& total) {
    if (parts.size() < 2 || total.cycles() == 0) return;
    const auto most =
        std::max_element(parts.begin(), parts.end(),
                         [](const Part& a, const Part& b) { return a.cycles() < b.cycles(); });
    Sentence s;
    s.say("The phase that takes most is " + most->name + ": ");
    s.number(most->cycles(), {most->cycles_at()}).say(" cycles, ");
    s.number(fmt::format("{:.0f} %", 100 * static_cast<double>(most->cycles()) /
                                         static_cast<double>(total.cycles())),
             {most->cycles_at(), total.cycles_at()}, "of the total");
    chapter_.findings.push_back(s.say(" of all.").json());
  }

  void overhead_chart() {
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
  void pieces_chart(const std::vector<Part>& parts, bool by_kind) {
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
      Spent all = spent(*parts[i].json);
      if (difference) all = all - spent(*parts[0].json);
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
        Places at = {pieces_at(parts[first + i], by_kind)};
        if (difference) at.push_back(pieces_at(parts[0], by_kind));
        s.at.push_back(std::move(at));
      }
      if (any) chart.series.push_back(std::move(s));
    };
    if (by_kind) {
      for (const std::string_view kind : cost_kinds()) add(std::string(kind));
    } else {
      for (const std::string_view cause : kernel::kCauseNames) add(std::string(cause));
    }
    if (!chart.series.empty()) chapter_.blocks.push_back(chart.json());
  }

  void exposure_chart(const std::vector<Part>& parts) {
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

  void exposure_over_phases() {
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

  void policies_table() {
    Table table;
    table.title = "Policies side by side";
    table.first = "policy";
    table.columns = {"cycles",
                     "overhead",
                     "TLBIs",
                     "key register writes",
                     "ISBs",
                     "splits",
                     "writable at rest",
                     "writable in windows",
                     "longest window"};
    table.note =
        "Writable: bytes of page tables that a stray store could have written, on average. "
        "Longest window: in cycles.";
    const Part base = runs_[0].total();
    for (const Run& run : runs_) {
      const Part part = run.total();
      Row row{run.policy};
      const auto add = [&](const Reading& r) {
        row.cells.push_back(figure(r.value, below(part.at, r.at), r.how));
      };
      const auto sum = [&](const std::vector<Reading>& readings) {
        Reading all;
        for (const Reading& r : readings) {
          all.value += r.value;
          all.at.insert(all.at.end(), r.at.begin(), r.at.end());
          all.how = r.how;
        }
        add(all);
      };
      add({part.cycles(), {"/cycles/total"}});
      row.cells.push_back(base.cycles() == 0
                              ? Json("-")
                              : percent(percent_over(part.cycles(), base.cycles()),
                                        {part.cycles_at(), base.cycles_at()}, kOverFirst));
      add(tlb_invalidations(*part.json));
      sum({event_count(*part.json, "msr_por_el1"), event_count(*part.json, "mov_to_cr0")});
      add(event_count(*part.json, "isb"));
      std::vector<Reading> splits;
      for (const auto& [name, n] : (*part.json)["linear_map"].items()) {
        if (name.starts_with("split_"))
          splits.push_back({n.get<std::uint64_t>(), {"/linear_map/" + name}});
      }
      sum(splits);
      for (const char* when : {"at_rest", "in_windows"}) {
        const Reading r = writable(part, when);
        row.cells.push_back(figure(r.value, r.at, r.how));
      }
      add({(*part.json)["exposure"]["largest_window_cycles"].get<std::uint64_t>(),
           {"/exposure/largest_window_cycles"}});
      table.rows.push_back(std::move(row));
    }
    chapter_.blocks.push_back(table.json());
  }

  void phases_table() {
    Table table;
    table.title = "Phases";
    table.first = "phase";
    table.note = "Cycles under the first policy, and what the others take over it.";
    table.columns = policies();
    for (std::size_t p = 0; p < phases(); ++p) {
      const Part base = runs_[0].phase(p);
      Row row{phase_name(p)};
      row.cells.push_back(figure(base.cycles(), {base.cycles_at()}));
      for (std::size_t i = 1; i < runs_.size(); ++i) {
        const Part part = runs_[i].phase(p);
        row.cells.push_back(base.cycles() == 0
                                ? Json("-")
                                : percent(percent_over(part.cycles(), base.cycles()),
                                          {part.cycles_at(), base.cycles_at()}, kOverFirst));
      }
      table.rows.push_back(std::move(row));
    }
    chapter_.blocks.push_back(table.json());
  }

  void counts_table(const std::string& title, const std::vector<Part>& parts) {
    Table table;
    table.title = title;
    table.first = "quantity";
    table.folded = true;
    std::vector<const Json*> jsons;
    for (const Part& part : parts) {
      table.columns.push_back(part.name);
      jsons.push_back(part.json);
    }
    for (const Quantity& q : quantities(jsons, x86())) {
      Row row{q.name, q.section};
      bool any = q.always;
      for (const Part& part : parts) {
        const Reading r = q.read(*part.json);
        any |= r.value != 0;
        row.cells.push_back(figure(r.value, below(part.at, r.at), r.how));
      }
      if (any) table.rows.push_back(std::move(row));
    }
    Row cycles{"cycles", "Cycles"};
    for (const Part& part : parts) {
      cycles.cells.push_back(figure(part.cycles(), {part.cycles_at()}));
    }
    table.rows.push_back(std::move(cycles));
    chapter_.blocks.push_back(table.json());
  }

  // What went wrong stands before everything else.
  void audit() {
    std::uint64_t checked = 0, stale_in_all = 0;
    Places at;
    for (const Run& run : runs_) {
      const Json& audit = (*run.json)["total"]["audit"];
      const auto stale =
          audit["stale_leaves"].get<std::uint64_t>() + audit["stale_tables"].get<std::uint64_t>();
      checked += audit["checked"].get<std::uint64_t>();
      at.push_back(run.at + "/total/audit/checked");
      stale_in_all += stale;
      if (stale != 0) {
        const std::string place = run.at + "/total/audit/";
        Sentence s;
        s.number(stale, {place + "stale_leaves", place + "stale_tables"});
        s.say(fmt::format(" stale translations under {}: a TLB invalidation is missing.",
                          run.policy));
        chapter_.findings.insert(chapter_.findings.begin(), s.json("warning"));
      }
      if (run.json->contains("violations") && (*run.json)["violations"]["count"] != 0) {
        Sentence s;
        s.say(fmt::format("Soft mode of {} let ", run.policy));
        s.number((*run.json)["violations"]["count"].get<std::uint64_t>(),
                 {run.at + "/violations/count"});
        chapter_.findings.insert(
            chapter_.findings.begin(),
            s.say(" stores pass that the protection refuses.").json("warning"));
      }
    }
    if (stale_in_all != 0 || checked == 0) return;
    Sentence s;
    s.say("No translation was stale: ").number(checked, at).say(" TLB entries were checked.");
    chapter_.findings.push_back(s.json());
  }

  void remarks() {
    const Json& workload = (*runs_[0].json)["workload"];
    Remarks notes{"What these numbers are", {}, false};
    notes.texts.emplace_back(
        "Cycles are those of the kernel and of the accesses shown. A program's own instructions "
        "between them are not included.");
    for (const Json& text : workload.value("notes", Json::array()))
      notes.texts.push_back(text.get<std::string>());
    for (const auto& [kind, n] : workload["not_understood"].items()) {
      notes.texts.push_back(fmt::format("Not understood: {} lines of kind '{}'.",
                                        grouped(n.get<std::uint64_t>()), kind));
    }
    if (const auto n = workload["calls_without_mapping"].get<std::uint64_t>(); n != 0) {
      notes.texts.push_back(fmt::format(
          "Left out: {} operations on ranges that the recording never mapped.", grouped(n)));
    }
    if (const auto n = workload.value("pages_without_memory", std::uint64_t{0}); n != 0) {
      notes.texts.push_back(fmt::format(
          "Left out: {} pages that the rule for touches would have touched, for which the machine "
          "has no memory.",
          grouped(n)));
    }
    chapter_.blocks.push_back(notes.json());
    Remarks assumed{"What was assumed, as the recording cannot say it", {}, true};
    for (const Json& text : workload["assumptions"])
      assumed.texts.push_back(text.get<std::string>());
    if (!assumed.texts.empty()) chapter_.blocks.push_back(assumed.json());
  }

  const std::vector<Run> runs_;
  const Uncertain uncertain_;
  Chapter chapter_;
};

// Runs of one workload are side by side, phase by phase. Those of a document that was put together
// by hand need not be.
void check_phases(const std::vector<Run>& runs) {
  const Json& first = (*runs[0].json)["phases"];
  for (const Run& run : runs) {
    const Json& phases = (*run.json)["phases"];
    const bool same =
        std::equal(phases.begin(), phases.end(), first.begin(), first.end(),
                   [](const Json& a, const Json& b) { return a["name"] == b["name"]; });
    if (same) continue;
    throw InputError(fmt::format(
        "{}/phases: expected the phases of {}, which is of the same workload", run.at, runs[0].at));
  }
}

}  // namespace

std::vector<Chapter> result_chapters(const Json& document) {
  // By name and source: two files may call their workloads the same.
  std::vector<std::pair<std::string, std::string>> order;
  std::map<std::pair<std::string, std::string>, std::vector<Run>> runs;
  const Json& all = document["runs"];
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Json& workload = all[i]["workload"];
    const std::pair key(workload["name"].get<std::string>(), workload["source"].get<std::string>());
    if (!runs.contains(key)) order.push_back(key);
    runs[key].push_back({&all[i], fmt::format("/runs/{}", i), policy_name(all[i])});
  }
  std::vector<Chapter> chapters;
  for (std::size_t i = 0; i < order.size(); ++i) {
    check_phases(runs[order[i]]);
    chapters.push_back(Workload(runs[order[i]], Uncertain(document, i)).chapter());
  }
  return chapters;
}

}  // namespace kpksim::report::page
