// Every site of fault injection is skipped, one after the other: the sanitizer finds what follows,
// or the simulated kernel dies of it, or docs/mutations.md says why nothing can follow. The table
// there is what this test finds.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "sim/kernel/fault_site.h"
#include "tests/check/mutations.h"

namespace kpksim::check {
namespace {

using kernel::FaultSiteInfo;

// Between them they reach every site.
const std::vector<Surroundings>& lives() {
  static const std::vector<Surroundings> all = {
      {.policy = "kpkeys-poe+lazy,per-page,pte"},
      {.policy = "kpkeys-poe,per-page,pte", .timer = 700},
      {.policy = "kpkeys-poe+lazy,per-page,pte", .timer = 700},
      {.policy = "kpkeys-poe+lock,per-page,pte", .timer = 700},
      {.policy = "kpkeys-poe+lazy,pba,block"},
      {.policy = "kpkeys-poe,per-page,block"},
      {.policy = "kpkeys-poe,pba,block"},
      {.policy = "kpkeys-poe+lazy,cached,pte"},
      {.policy = "kpkeys-poe+lazy,per-page,pte", .kernel = "linux-6.17"},
      {.policy = "none,buddy,pte", .kernel = "linux-6.12"},
      {.policy = "rodata-toggle,per-page,pte"},
      {.policy = "unmap-leaf,per-page,pte"},
      {.policy = "none,buddy,pte", .core = "cortex-a76"},
      {.policy = "none,buddy,pte,local-if-alone"},
      {.policy = "hypervisor,per-page,pte"},
      {.policy = "kpkeys-pks,per-page,pte", .core = "sapphire-rapids"},
      {.policy = "none,buddy,pte", .few_asids = true},
      {.policy = "none,buddy,pte", .core = "sapphire-rapids", .few_asids = true},
  };
  return all;
}

std::string name_of(const Surroundings& s) {
  std::string name = s.policy;
  if (s.core != std::string("neoverse-v1")) name += fmt::format(" on {}", s.core);
  if (s.kernel != std::string("linux-6.12-kpkeys")) name += fmt::format(", {}", s.kernel);
  if (s.timer != 0) name += ", timer";
  if (s.few_asids) name += ", 8-bit ASIDs";
  return name;
}

// Nothing follows, and why.
const std::map<std::string, std::string>& harmless() {
  static const std::map<std::string, std::string> all = {
      {"dsb-before.set-memory-pkey",
       "each leaf that is written has a DSB ISHST of its own behind it (`__set_pte_complete()`), "
       "or "
       "the lazy section has one at its end; nothing is written between that and the flush"},
      {"dsb-after.vmalloc-purge",
       "the purge is a kernel thread's work, and the `__switch_to()` away from it has a DSB ISH, "
       "before anybody is given the addresses"},
      {"save.switch",
       "no window is open at a switch (rule open-window), so what is saved is the value at rest, "
       "which every thread has"},
      {"save.fork", "the same, of the child"},
      {"isb.set-table",
       "a table is hooked in before it has entries; what is mapped through it has an ISB of its "
       "own, "
       "or is used after an ERET"},
      {"isb.kernel-range",
       "the DSB before it has completed the TLBIs for all later accesses; the ISB is for "
       "instructions that were fetched already, and no code is mapped by what is flushed here"},
      {"isb.asid-rollover", "the same: user code is fetched after the ERET"},
      {"isb.stage2", "the same: the return from EL2 synchronises"},
      {"dsb.alone",
       "the `__switch_to()` that follows has a DSB ISH before the thread runs; an exec's new "
       "address "
       "space has run on no other core"},
      {"dsb.switch",
       "each flush waits for its own TLBIs (rule missing-dsb), so that nothing is outstanding "
       "here"},
      {"isb.switch", "it is for keys of pointer authentication, which no page table depends on"},
      {"isb.kernel-thread", "the same"},
      {"isb.entry-keys", "the same"},
      {"isb.switch-mm",
       "no user memory is accessed between the switch and the next ISB or ERET (rule missing-isb "
       "looks at each walk)"},
      {"isb.clock", "it keeps the counter's read in its place, and no page table depends on that"},
      {"dsb.entry", "it ends a sequence against speculation, at which nothing was written"},
      {"isb.entry", "the same"},
      {"isb.fork", "no register and no mapping of the kernel's is written before it"},
      {"isb.exit", "the same"},
  };
  return all;
}

struct Row {
  std::string site, found, where;
  bool caught = false;
};

bool same(const Finding& a, const Finding& b) {
  const auto kind = [](const Finding& f) { return f.text.substr(0, f.text.find(':')); };
  return a.rule == b.rule && a.cause == b.cause && kind(a) == kind(b);
}

// How `o` differs from a life in which nothing was broken; empty: not at all.
std::string difference(const Outcome& o, const Outcome& whole) {
  for (const Finding& f : o.findings) {
    const auto known = [&](const Finding& g) { return same(f, g); };
    if (std::none_of(whole.findings.begin(), whole.findings.end(), known)) {
      return std::string(info(f.rule).name);
    }
  }
  if (o.died.empty()) return {};
  for (const char* refused : {"store", "load", "clear_page"}) {
    if (o.died.starts_with(refused)) return "fault";
  }
  return o.died;
}

// The same without a fault, which says how often each site is reached.
Outcome whole_life(const Surroundings& life) {
  std::vector<kernel::Injection> all;
  for (const FaultSiteInfo& site : kernel::fault_sites()) {
    all.push_back({kernel::FaultAction::kSkip, site.site, ~0ull});
  }
  return live(life, all);
}

std::vector<Row> make_table() {
  std::vector<Outcome> whole;
  for (const Surroundings& s : lives()) whole.push_back(whole_life(s));
  std::vector<Row> rows;
  for (std::size_t i = 0; i < kernel::fault_sites().size(); ++i) {
    const FaultSiteInfo& site = kernel::fault_sites()[i];
    const auto why = harmless().find(site.name);
    // Of what is harmless a few lives are enough to contradict.
    std::size_t tries = why == harmless().end() ? lives().size() : 3;
    Row row{site.name, "NEVER REACHED", {}, false};
    for (std::size_t s = 0; s < lives().size() && !row.caught && tries != 0; ++s) {
      if (whole[s].injected[i].occurrences == 0) continue;
      --tries;
      row.found = "NOT FOUND";
      const Outcome o = live(lives()[s], {{kernel::FaultAction::kSkip, site.site, 0}});
      const std::string found = difference(o, whole[s]);
      if (!found.empty()) row = {site.name, found, name_of(lives()[s]), true};
    }
    if (row.found == "NOT FOUND" && why != harmless().end()) {
      row.found = "harmless";
      row.where = why->second;
    }
    rows.push_back(row);
  }
  return rows;
}

// What a design leaves open is found too: rodata-toggle marks no tables of the linear map,
// unmap-leaf last tables alone, and per-page no tables of splits.
TEST(Mutations, NothingIsFoundInAWholeLife_ButForWhatTheDesignLeavesOpen) {
  for (const Surroundings& life : lives()) {
    const Outcome o = whole_life(life);
    EXPECT_EQ(o.died, "") << name_of(life);
    const std::string policy = life.policy;
    const bool leaves_open = policy.starts_with("rodata-toggle") ||
                             policy.starts_with("unmap-leaf") || policy.ends_with("per-page,block");
    for (const Finding& f : o.findings) {
      const bool known = leaves_open && f.rule == Rule::kWritableTable;
      EXPECT_TRUE(known) << name_of(life) << ": " << f.text << "\n"
                         << fmt::format("{}", fmt::join(f.history, "\n"));
    }
  }
}

TEST(Mutations, EverySiteThatIsSkippedIsFoundOrProvedHarmless) {
  const std::vector<Row> rows = make_table();
  EXPECT_GE(rows.size(), 80u);
  std::string table = "| site | found by | under |\n|---|---|---|\n";
  for (const Row& row : rows) {
    table += fmt::format("| {} | {} | {} |\n", row.site, row.found, row.where);
    EXPECT_TRUE(row.caught || row.found == "harmless") << row.site << ": " << row.found;
    EXPECT_FALSE(row.caught && harmless().contains(row.site)) << row.site << " is not harmless";
  }
  std::ifstream file(kpksim::test::source_path("docs/mutations.md"));
  std::stringstream text;
  text << file.rdbuf();
  const bool same = text.str().find(table) != std::string::npos;
  EXPECT_TRUE(same) << "docs/mutations.md has another table; it is now\n" << table;
}

}  // namespace
}  // namespace kpksim::check
