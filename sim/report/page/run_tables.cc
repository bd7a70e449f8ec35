// Numbers side by side: by policy, by phase, and all of them.

#include "sim/report/page/run_chapter.h"

namespace kpksim::report::page {
namespace {

Json overhead(const Part& part, const Part& base) {
  if (base.cycles() == 0) return "-";
  return percent(percent_over(part.cycles(), base.cycles()), {part.cycles_at(), base.cycles_at()},
                 kOverFirst);
}

}  // namespace

void RunChapter::policies_table() {
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
    row.cells.push_back(overhead(part, base));
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
      const Reading r = part.writable(when);
      row.cells.push_back(figure(r.value, r.at, r.how));
    }
    add({(*part.json)["exposure"]["largest_window_cycles"].get<std::uint64_t>(),
         {"/exposure/largest_window_cycles"}});
    table.rows.push_back(std::move(row));
  }
  chapter_.blocks.push_back(table.json());
}

void RunChapter::phases_table() {
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
      row.cells.push_back(overhead(part, base));
    }
    table.rows.push_back(std::move(row));
  }
  chapter_.blocks.push_back(table.json());
}

void RunChapter::counts_table(const std::string& title, const std::vector<Part>& parts) {
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

}  // namespace kpksim::report::page
