// What runs say, in words: the first that a reader sees.

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "sim/report/costs.h"
#include "sim/report/page/run_chapter.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {
namespace {

std::string count_text(std::int64_t n) { return grouped(static_cast<std::uint64_t>(std::abs(n))); }

// "69 % ISB (1,598,378 more), ...".
void shares(Sentence& s, const std::vector<Share>& list, const Places& at, bool more) {
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

}  // namespace

void RunChapter::cost_of_one() {
  const Part total = runs_[0].total();
  const Spent all = spent(*total.json, x86());
  Sentence s;
  s.name(total.name).say(": ").number(total.cycles(), {total.cycles_at()}).say(" cycles.");
  if (all.total != 0) {
    s.say(" Of them: ");
    shares(s, shares_of(all).mainly, {total.pieces_at(true)}, false);
    s.say(".");
  }
  chapter_.findings.push_back(s.json("main"));
}

void RunChapter::cost_finding(const Run& run) {
  const Part base = runs_[0].total(), part = run.total();
  const Spent difference = spent(*part.json, x86()) - spent(*base.json, x86());
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
  const Places places = {part.pieces_at(true), base.pieces_at(true)};
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
                       {part.pieces_at(false), base.pieces_at(false)}, "of the difference");
    s.say(" of it arises in " + causes[0].first);
  }
  chapter_.findings.push_back(s.say(".").json());
}

// First of all findings: which protection costs least, and which most.
void RunChapter::cheapest() {
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

void RunChapter::exposure_findings() {
  const Part first = runs_[0].total();
  const auto say = [](Sentence& s, const Reading& r) { s.number(r.value, r.at, r.how); };
  Sentence s;
  s.say("A stray store could have written, on average over the run, ");
  say(s, first.writable("at_rest"));
  s.say(" bytes of page tables at rest and ");
  say(s, first.writable("in_windows"));
  s.say(" in windows under ").name(runs_[0].policy);
  for (const char* when : {"at_rest", "in_windows"}) {
    const Run* most = nullptr;
    for (const Run& run : runs_) {
      if (&run == &runs_[0] || !run.protects()) continue;
      if (most == nullptr || run.total().writable(when).value > most->total().writable(when).value)
        most = &run;
    }
    if (most == nullptr) continue;
    const bool rest = when[0] == 'a';
    const Reading r = most->total().writable(when);
    s.say(rest ? ". Under policies that protect it is at most " : ", and in windows at most ");
    say(s, r);
    s.say(rest ? " bytes at rest" : " bytes");
    if (r.value != 0) s.say(" (").name(most->policy).say(")");
  }
  chapter_.findings.push_back(s.say(".").json());
}

void RunChapter::dearest_phase(const std::vector<Part>& parts, const Part& total) {
  if (parts.size() < 2 || total.cycles() == 0) return;
  const auto most = std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return a.cycles() < b.cycles();
  });
  Sentence s;
  s.say("The phase that takes most is " + most->name + ": ");
  s.number(most->cycles(), {most->cycles_at()}).say(" cycles, ");
  s.number(fmt::format("{:.0f} %", 100 * static_cast<double>(most->cycles()) /
                                       static_cast<double>(total.cycles())),
           {most->cycles_at(), total.cycles_at()}, "of the total");
  chapter_.findings.push_back(s.say(" of all.").json());
}

// What went wrong stands before everything else.
void RunChapter::sanitizer_findings() {
  for (const Run& run : runs_) {
    const auto check = run.json->find("check");
    if (check == run.json->end()) continue;
    const Json& findings = (*check)["findings"];
    for (std::size_t i = findings.size(); i-- > 0;) {
      const Json& finding = findings[i];
      Sentence s;
      s.say("The sanitizer found under ").name(run.policy);
      s.say(fmt::format(", {}: {} (", finding["rule"].get<std::string>(),
                        finding["text"].get<std::string>()));
      s.number(finding["count"].get<std::uint64_t>(),
               {fmt::format("{}/check/findings/{}/count", run.at, i)});
      const auto phase = finding["phase"].get<std::string>();
      s.say(phase.empty() ? " times)." : " times, first in phase " + phase + ").");
      chapter_.findings.insert(chapter_.findings.begin(), s.json("warning"));
    }
  }
}

void RunChapter::audit() {
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
      s.say(
          fmt::format(" stale translations under {}: a TLB invalidation is missing.", run.policy));
      chapter_.findings.insert(chapter_.findings.begin(), s.json("warning"));
    }
    if (run.json->contains("violations") && (*run.json)["violations"]["count"] != 0) {
      Sentence s;
      s.say(fmt::format("Soft mode of {} let ", run.policy));
      s.number((*run.json)["violations"]["count"].get<std::uint64_t>(),
               {run.at + "/violations/count"});
      chapter_.findings.insert(chapter_.findings.begin(),
                               s.say(" stores pass that the protection refuses.").json("warning"));
    }
  }
  if (stale_in_all != 0 || checked == 0) return;
  Sentence s;
  s.say("No translation was stale: ").number(checked, at).say(" TLB entries were checked.");
  chapter_.findings.push_back(s.json());
}

}  // namespace kpksim::report::page
