#include "sim/validate/kernel_check.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "sim/mmu/tlbi.h"

namespace kpksim::validate {
namespace {

using cpu::Event;

// What may lie between a real count and the model's, for each counter: what a timer interrupt adds
// at most (ten ISB of its own, and those of the kernel threads that it wakes: docs/kernel-truth.md;
// the model has no interrupts), what giving back one page-table page costs (keying), one
// copy-on-write fault, and the splits of the linear map that hang on where the page allocator finds
// pages (35 is the spread between two repetitions of fork_1g).
struct Slack {
  std::string_view counter;
  double interrupt, moved_table, cow, placement;
};
constexpr Slack kSlack[] = {
    {"isb", 45, 4, 6, 200},        {"dsb_ish", 4, 2, 2, 0},      {"dsb_ishst", 0, 2, 1, 35},
    {"msr_por", 4, 4, 4, 150},     {"mrs_por", 4, 2, 2, 75},     {"eret", 1, 0, 1, 0},
    {"tlbi.VAALE1IS", 0, 1, 0, 0}, {"tlbi.VALE1IS", 0, 1, 2, 0},
};
// Copy-on-write faults of forks that come before or after the end of the phase, or not at all
// because a process that forks again has not run meanwhile.
constexpr double kCowFaults = 9, kCowFaultsPerFork = 0.5;

std::uint64_t low(const std::vector<std::uint64_t>& v) {
  return *std::min_element(v.begin(), v.end());
}
std::uint64_t high(const std::vector<std::uint64_t>& v) {
  return *std::max_element(v.begin(), v.end());
}

// What of a phase decides how far apart its counts may be.
struct Circumstances {
  double interrupts = 0;
  double moved_tables = 0;  // page-table pages that RCU may have moved, if freeing them costs
  double cow_faults = 0;    // that chance may have moved
  bool placement = false;   // the linear map is split
  double purges = 0;        // of vmalloc
  bool keyed = false;       // page-table pages, one by one
  bool repeats = false;     // each flush is followed by a VALE1IS
  double scheduling = 0;    // relative
  const std::map<std::string, std::pair<std::uint64_t, std::uint64_t>>* ranges;
};

Verdict judge(const Row& row, const Circumstances& c) {
  const bool deterministic = low(row.real) == high(row.real) && row.real.size() > 1;
  if (deterministic && row.model == row.real[0]) return Verdict::kExact;
  const auto model = static_cast<double>(row.model);
  auto least = static_cast<double>(low(row.real)), most = static_cast<double>(high(row.real));
  if (const auto range = c.ranges->find(row.counter); range != c.ranges->end()) {
    least = static_cast<double>(range->second.first);
    most = static_cast<double>(range->second.second);
  }
  // How much less, and more, the model may have. Which pages the page allocator finds decides the
  // splits of the linear map.
  const double relative =
      row.counter.starts_with("allocator.split") ? std::max(c.scheduling, 0.15) : c.scheduling;
  double below = relative * least, above = relative * most;
  // vmalloc's purge runs in a kernel thread when enough has been freed: one more or less (with its
  // VALE1IS where flushes are repeated), and with it the addresses that come next, a few of which
  // cross from one page table into another, or need a new one: it stays, and is keyed once.
  const double purge = c.purges == 0 ? 0 : 1, new_tables = c.keyed ? 2 * c.purges : 0;
  if (row.counter == "tlbi.VMALLE1IS") below = above = purge;
  if (row.counter == "tlbi.VALE1IS" && c.repeats) below = above = purge + new_tables;
  if (row.counter == "tlbi.VAALE1IS") below = above = std::max(below, new_tables);
  if (row.counter == "dsb_ishst") {
    below = above = std::max(below, 2 * c.purges + 3 * new_tables);
  }
  for (const Slack& s : kSlack) {
    if (row.counter != s.counter) continue;
    const double room =
        s.moved_table * c.moved_tables + s.cow * c.cow_faults + (c.placement ? s.placement : 0);
    below += room;
    above += room;
    if (s.interrupt == 0) break;
    // Counts that interrupts add to: within 3 % or 10 events besides.
    const double small = std::max(10.0, 0.03 * most);
    below = std::max(below + c.interrupts * s.interrupt, small);
    above = std::max(above, small);
  }
  return model >= least - below && model <= most + above ? Verdict::kWithin : Verdict::kOff;
}

}  // namespace

std::map<std::string, std::uint64_t> model_counts(const workload::PhaseResult& phase) {
  cpu::Counters all;
  for (const cpu::Counters& core : phase.cores) all += core;
  std::map<std::string, std::uint64_t> out;
  for (std::size_t kind = 0; kind < 10; ++kind) {
    const auto e = static_cast<std::size_t>(Event::kTlbiFirst) + kind;
    std::string name(cpu::kEventInfo[e].name.substr(5));  // after "tlbi_"
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    out["tlbi." + name + "IS"] = all.total(static_cast<Event>(e));
  }
  out["msr_por"] = all.total(Event::kMsrPor);
  out["mrs_por"] = all.total(Event::kMrsPor);
  out["isb"] = all.total(Event::kIsb);
  out["dsb_ish"] = all.total(Event::kDsbIsh);
  out["dsb_ishst"] = all.total(Event::kDsbIshst);
  out["eret"] = all.total(Event::kEret);
  out["page_table_writes"] = phase.pt_writes;
  return out;
}

std::map<std::string, std::uint64_t> allocator_totals(
    const kernel::AllocatorStatistics& boot, const std::vector<workload::PhaseResult>& phases,
    std::size_t last) {
  kernel::AllocatorStatistics a = boot;
  kernel::LinearMapStatistics m;
  // The files do not count the keying of the early tables, but the allocator's first refill.
  m.set_memory_pkey = boot.refill9;
  m.pages = boot.refill9 * kEntriesPerTable;
  for (std::size_t i = 0; i <= last; ++i) {
    append(a, phases[i].allocator, kernel::kAllocatorStatistics);
    append(m, phases[i].linear_map, kernel::kLinearMapStatistics);
  }
  return {{"allocator.set_memory_pkey", m.set_memory_pkey},
          {"allocator.pages", m.pages},
          {"allocator.split_pmd", m.split_pmd},
          {"allocator.split_contpte", m.split_contpte},
          {"allocator.refill9", a.refill9},
          {"allocator.refill4", a.refill4},
          {"allocator.refill2", a.refill2},
          {"allocator.cached", a.cached},
          {"allocator.shrunk_blocks", a.shrunk_blocks},
          {"allocator.shrunk_pages", a.shrunk_pages}};
}

kernel::Config config_of(const std::string& variant) {
  kernel::Config config;
  config.memory_bytes = 4ull << 30;  // of the machine that was measured
  config.batching = variant.ends_with("-batched");
  const std::string scheme = config.batching ? variant.substr(0, variant.size() - 8) : variant;
  config.linear_map = scheme.ends_with("block") || scheme == "pba" ? kernel::Granularity::kBlock
                                                                   : kernel::Granularity::kPte;
  if (scheme == "off" || scheme == "off-block") return config;
  config.protection = "kpkeys-poe";
  if (scheme == "keyed" || scheme == "per-page-block") config.allocator = "per-page";
  if (scheme == "pba") config.allocator = "pba";
  return config;
}

PhaseCheck compare(const Measurement& measurement, const workload::PhaseResult& model,
                   const Surroundings& surroundings) {
  PhaseCheck check;
  check.measurement = &measurement;
  const auto counts = model_counts(model);
  const kernel::Config config = config_of(measurement.variant);
  const bool keyed = config.allocator == "per-page";
  Circumstances c;
  if (const auto eret = measurement.counts.find("eret"); eret != measurement.counts.end()) {
    c.interrupts = std::max(
        0.0, static_cast<double>(high(eret->second)) - static_cast<double>(counts.at("eret")));
  }
  c.keyed = keyed;
  c.repeats = measurement.cpu == "a76";
  if (keyed) c.moved_tables = static_cast<double>(surroundings.moved_tables);
  if (surroundings.chance) {
    const auto forks = static_cast<double>(counts.at("tlbi.ASIDE1IS"));
    c.cow_faults = std::max(kCowFaults, kCowFaultsPerFork * forks);
  }
  c.placement = keyed && config.linear_map == kernel::Granularity::kBlock;
  c.purges = static_cast<double>(counts.at("tlbi.VMALLE1IS"));
  c.scheduling = surroundings.scheduling;
  c.ranges = &surroundings.ranges;
  for (const auto& [name, n] : counts) {
    const auto real = measurement.counts.find(name);
    const bool tlbi = name.starts_with("tlbi.");
    if (real == measurement.counts.end() && (!tlbi || n == 0)) continue;
    Row row{name,
            real == measurement.counts.end() ? std::vector<std::uint64_t>{0, 0} : real->second, n,
            Verdict::kExact};
    row.verdict = judge(row, c);
    check.rows.push_back(std::move(row));
  }
  for (const auto& [name, n] : surroundings.totals) {
    const auto real = measurement.counts.find(name);
    if (real == measurement.counts.end()) continue;
    Row row{name, real->second, n, Verdict::kExact};
    row.verdict = judge(row, c);
    check.rows.push_back(std::move(row));
  }
  return check;
}

}  // namespace kpksim::validate
