#include "tests/check/mutation_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

#include "sim/base/error.h"
#include "sim/kernel/fault_site.h"

namespace kpksim::check {
namespace {

using kernel::FaultSiteInfo;

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

// A fault of what interrupts execute is refused.
std::optional<Outcome> live_with(const Surroundings& life, const kernel::Injection& fault) {
  try {
    return live(life, {fault});
  } catch (const InputError&) {
    return {};
  }
}

}  // namespace

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
      {.policy = "kpkeys-poe:cred=on,per-page,pte"},
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

Outcome whole_life(const Surroundings& life) {
  std::vector<kernel::Injection> all;
  for (const FaultSiteInfo& site : kernel::fault_sites()) {
    all.push_back({kernel::FaultAction::kSkip, site.site, ~0ull});
  }
  return live(life, all);
}

std::vector<Row> make_table(kernel::FaultAction action, const Harmless& harmless) {
  static const std::vector<Outcome> whole = [] {
    std::vector<Outcome> all;
    for (const Surroundings& s : lives()) all.push_back(whole_life(s));
    return all;
  }();
  std::vector<Row> rows;
  for (std::size_t i = 0; i < kernel::fault_sites().size(); ++i) {
    const FaultSiteInfo& site = kernel::fault_sites()[i];
    if (!site.moves && action != kernel::FaultAction::kSkip) continue;
    const auto why = harmless.find(site.name);
    // Of what is harmless a few lives are enough to contradict.
    std::size_t tries = why == harmless.end() ? lives().size() : 3;
    Row row{site.name, "NEVER REACHED", {}, false};
    for (std::size_t s = 0; s < lives().size() && !row.caught && tries != 0; ++s) {
      if (whole[s].injected[i].occurrences == 0) continue;
      const std::optional<Outcome> o = live_with(lives()[s], {action, site.site, 0});
      if (!o) continue;
      --tries;
      row.found = "NOT FOUND";
      const std::string found = difference(*o, whole[s]);
      if (!found.empty()) row = {site.name, found, name_of(lives()[s]), true};
    }
    if (row.found == "NOT FOUND" && why != harmless.end()) {
      row.found = "harmless";
      row.where = why->second;
    }
    rows.push_back(row);
  }
  return rows;
}

void expect_table(const std::vector<Row>& rows, const Harmless& harmless) {
  std::string table = "| site | found by | under |\n|---|---|---|\n";
  for (const Row& row : rows) {
    table += fmt::format("| {} | {} | {} |\n", row.site, row.found, row.where);
    EXPECT_TRUE(row.caught || row.found == "harmless") << row.site << ": " << row.found;
    EXPECT_FALSE(row.caught && harmless.contains(row.site)) << row.site << " is not harmless";
  }
  std::ifstream file(kpksim::test::source_path("docs/mutations.md"));
  std::stringstream text;
  text << file.rdbuf();
  const bool same = text.str().find(table) != std::string::npos;
  EXPECT_TRUE(same) << "docs/mutations.md has another table; it is now\n" << table;
}

}  // namespace kpksim::check
