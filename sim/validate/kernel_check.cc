#include "sim/validate/kernel_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>

#include "sim/kernel/cause.h"
#include "sim/mmu/tlbi.h"

namespace kpksim::validate {
namespace {

using cpu::Event;

// Counts that one page-table page given back under keying adds, and one copy-on-write fault; on a
// core that repeats TLBIs, each brings one more VALE1IS and DSB ISH.
struct Weight {
  std::string_view counter;
  double table, cow;
  double repeated_table, repeated_cow;
};
constexpr Weight kWeights[] = {
    {"tlbi.VAALE1IS", 1, 0, 1, 0}, {"tlbi.VALE1IS", 0, 1, 1, 2}, {"dsb_ish", 1, 1, 2, 2},
    {"dsb_ishst", 2, 1, 2, 1},     {"isb", 4, 5, 4, 5},          {"msr_por", 2, 5, 2, 5},
    {"mrs_por", 1, 3, 1, 3},
};
// Copy-on-write faults of the two sides of one fork (notes of kernel_counts_kpkeys.json).
constexpr double kCowFaults = 9;
constexpr double kTolerance = 0.03, kEvents = 10, kPlacement = 0.15, kScheduling = 0.1;
constexpr std::size_t kCrowd = 3;  // processes: more compete for the core
constexpr double kInstructions = 0.1, kDifference = 0.15;
constexpr std::uint64_t kFar = 10;  // percent outside the readings: "within" then says little

// Ranges over several boots, which the notes of kernel_counts_kpkeys.json give for the phases that
// were read once.
const std::map<std::string, Range>& noted_ranges() {
  static const std::map<std::string, Range> all = {
      {"allocator.refill9", {9, 12}},      {"allocator.cached", {15, 16}},
      {"allocator.shrunk_blocks", {0, 2}}, {"allocator.shrunk_pages", {2413, 3373}},
      {"allocator.split_pmd", {9, 11}},    {"allocator.split_contpte", {189, 257}},
  };
  return all;
}

std::uint64_t low(const std::vector<std::uint64_t>& v) {
  return *std::min_element(v.begin(), v.end());
}
std::uint64_t high(const std::vector<std::uint64_t>& v) {
  return *std::max_element(v.begin(), v.end());
}

// What of a phase decides how far apart its counts may be.
struct Circumstances {
  bool batching = false;
  bool keyed = false;    // page-table pages are keyed one by one
  double purges = 0;     // of vmalloc
  bool repeats = false;  // each TLBI is repeated
  bool single_fork = false;
  bool after_fork = false;
  bool crowd = false;       // many processes at once
  double tables_back = 0;   // page-table pages that the model gave back after RCU
  double tables_other = 0;  // that it may have given back besides
  const std::map<std::string, Range>* ranges = nullptr;
  const std::map<std::string, Range>* stretched = nullptr;
};

// `timer`: what interrupts have of the model's count; `faults`: what page faults have.
void judge(Row& row, std::uint64_t timer, std::uint64_t faults, const Circumstances& c) {
  const double model = static_cast<double>(row.model);
  double least = static_cast<double>(low(row.real)), most = static_cast<double>(high(row.real));
  const bool once = row.real.size() == 1;
  if (least == most && (model == least || model - static_cast<double>(timer) == least)) {
    row.verdict = once ? Verdict::kWithin : Verdict::kExact;
    row.rule = once ? Rule::kScheduling : Rule::kEqual;
    return;
  }
  const auto widen = [&](Rule rule, double below, double above) {
    if (below <= 0 && above <= 0) return;
    least -= below;
    most += above;
    row.rule = rule;
  };
  const bool deterministic = least == most;
  row.rule = deterministic ? Rule::kEqual : Rule::kSpread;
  // The less particular rules first: the row names the last that applies.
  if (row.counter == "isb" || row.counter == "dsb_ish" || row.counter == "eret") {
    const double room = std::max(kEvents, kTolerance * most);
    widen(Rule::kTolerance, room, room);
  } else {
    // An interrupt within a section writes the register once more: a batched one is long, and
    // QEMU takes interrupts where a write of a system register ends its block of code.
    const auto share = static_cast<double>(timer);
    const bool twice = c.batching || row.counter == "msr_por";
    widen(Rule::kSpread, twice ? 2 * share : share, share);
  }
  if (const auto range = c.stretched->find(row.counter); range != c.stretched->end()) {
    least = std::min(least, static_cast<double>(range->second.first));
    most = std::max(most, static_cast<double>(range->second.second));
    row.rule = Rule::kSpread;
  }
  if (once || c.crowd) {
    if (const auto range = c.ranges->find(row.counter); range != c.ranges->end()) {
      least = std::min(least, static_cast<double>(range->second.first));
      most = std::max(most, static_cast<double>(range->second.second));
    }
    if (const auto noted = noted_ranges().find(row.counter); noted != noted_ranges().end() &&
                                                             row.real[0] >= noted->second.first &&
                                                             row.real[0] <= noted->second.second) {
      least = std::min(least, static_cast<double>(noted->second.first));
      most = std::max(most, static_cast<double>(noted->second.second));
    }
    widen(Rule::kScheduling, kScheduling * least, kScheduling * most);
  }
  for (const Weight& w : kWeights) {
    if (row.counter != w.counter) continue;
    if (c.keyed) {
      const double weight = c.repeats ? w.repeated_table : w.table;
      // The model may have more than the real kernel by what it gave back here.
      widen(Rule::kRcu, weight * c.tables_other, weight * c.tables_back);
    }
    const double cow = (c.repeats ? w.repeated_cow : w.cow) * kCowFaults;
    if (c.single_fork) widen(Rule::kCow, cow, static_cast<double>(faults));
    if (c.after_fork && !deterministic) widen(Rule::kCow, cow, cow);
  }
  // vmalloc's purge is a kernel thread's work, and comes when that runs; the addresses that it
  // frees decide how many areas cross from one page table into the next.
  if (row.counter == "tlbi.VMALLE1IS" && row.model != 0) widen(Rule::kPurge, 1, 1);
  if (row.counter == "tlbi.VALE1IS" && c.repeats && c.purges > 0) widen(Rule::kPurge, 1, 1);
  const double table = c.keyed && c.purges > 0 ? 4 : 0;  // one page table more or less
  if (row.counter == "dsb_ishst") widen(Rule::kPurge, c.purges + table, c.purges + table);
  if (row.counter == "tlbi.VAALE1IS" && c.purges > 0) widen(Rule::kPurge, 1, 1);
  if (row.counter.starts_with("allocator.split")) {
    widen(Rule::kPlacement, kPlacement * least, kPlacement * most);
  }
  row.verdict = model >= least && model <= most ? Verdict::kWithin : Verdict::kOff;
}

}  // namespace

std::string_view name_of(Rule rule) {
  constexpr std::array<std::string_view, 10> kNames = {"equal", "spread", "3 % or 10", "RCU",
                                                       "COW",   "purge",  "placement", "scheduling",
                                                       "10 %",  "15 %"};
  return kNames[static_cast<unsigned>(rule)];
}

double distance(const Row& row) {
  const auto model = static_cast<double>(row.model);
  const auto least = static_cast<double>(low(row.real)), most = static_cast<double>(high(row.real));
  if (model < least) return model / least - 1;
  if (model <= most) return 0;
  return most == 0 ? std::numeric_limits<double>::infinity() : model / most - 1;
}

std::string distance_text(const Row& row) {
  const double d = distance(row);
  return std::isinf(d) ? "real 0" : fmt::format("{:+.0f} %", 100 * d);
}

bool is_far(const Row& row) {
  return row.verdict == Verdict::kWithin && (100 * row.model > (100 + kFar) * high(row.real) ||
                                             100 * row.model < (100 - kFar) * low(row.real));
}

bool both_zero(const Row& row) {
  return row.verdict != Verdict::kOff && row.model == 0 && high(row.real) == 0;
}

Tally tally_of(const std::vector<PhaseCheck>& checks) {
  Tally tally;
  for (const PhaseCheck& check : checks) {
    for (const Row& row : check.rows) {
      const bool zero = both_zero(row);
      ++(zero                              ? tally.both_zero
         : row.verdict == Verdict::kExact  ? tally.exact
         : row.verdict == Verdict::kWithin ? tally.within
                                           : tally.off);
    }
  }
  return tally;
}

ModelCounts model_counts(const workload::PhaseResult& phase) {
  cpu::Counters sum;
  for (const cpu::Counters& core : phase.cores) sum += core;
  ModelCounts out;
  const auto add = [&](const std::string& name, Event event) {
    out.all[name] += sum.total(event);
    const auto of = [&](kernel::Cause cause) {
      return sum.count[static_cast<std::size_t>(event)][static_cast<std::size_t>(cause)];
    };
    out.timer[name] += of(kernel::Cause::kTimer);
    out.faults[name] += of(kernel::Cause::kFault) + of(kernel::Cause::kCow);
  };
  for (std::size_t kind = 0; kind < 10; ++kind) {
    const auto e = static_cast<Event>(static_cast<std::size_t>(Event::kTlbiFirst) + kind);
    std::string name(cpu::kEventInfo[static_cast<std::size_t>(e)].name.substr(5));  // after "tlbi_"
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    add("tlbi." + name + "IS", e);
  }
  add("msr_por", Event::kMsrPor);
  add("mrs_por", Event::kMrsPor);
  add("isb", Event::kIsb);
  add("dsb_ish", Event::kDsbIsh);
  add("dsb_ishst", Event::kDsbIshst);
  add("eret", Event::kEret);
  for (const Event e : cpu::kKernelInstructions) {
    add("kernel_instructions", e);
    // The measurements do not count instructions of what RCU does after the phase.
    out.all["kernel_instructions"] -= phase.put_off.total(e);
  }
  out.all["page_table_writes"] = phase.pt_writes;
  return out;
}

double interrupts(const Measurement& measurement, std::uint64_t eret) {
  const auto mean = [](const std::vector<std::uint64_t>& v) {
    double sum = 0;
    for (const std::uint64_t n : v) sum += static_cast<double>(n);
    return sum / static_cast<double>(v.size());
  };
  for (const char* name : {"irqs", "timer_irqs"}) {
    const auto irqs = measurement.counts.find(name);
    if (irqs != measurement.counts.end()) return mean(irqs->second);
  }
  const auto real = measurement.counts.find("eret");
  if (real == measurement.counts.end()) return 0;
  return std::max(0.0, mean(real->second) - static_cast<double>(eret));
}

std::map<std::string, std::uint64_t> allocator_totals(
    const kernel::AllocatorStatistics& boot, const std::vector<workload::PhaseResult>& phases,
    std::size_t last) {
  kernel::AllocatorStatistics a = boot;
  kernel::LinearMapStatistics m;
  // The files do not count the keying of the early tables, but the allocator's first refill.
  m.set_memory_pkey = boot.own_value("refills_order_9");
  m.pages = boot.own_value("refills_order_9") * kEntriesPerTable;
  for (std::size_t i = 0; i <= last; ++i) {
    kernel::append_allocator(a, phases[i].allocator);
    append(m, phases[i].linear_map, kernel::kLinearMapStatistics);
  }
  return {{"allocator.set_memory_pkey", m.set_memory_pkey},
          {"allocator.pages", m.pages},
          {"allocator.split_pmd", m.split_pmd},
          {"allocator.split_contpte", m.split_contpte},
          {"allocator.refill9", a.own_value("refills_order_9")},
          {"allocator.refill4", a.own_value("refills_order_4")},
          {"allocator.refill2", a.own_value("refills_order_2")},
          {"allocator.cached", a.cached},
          {"allocator.shrunk_blocks", a.own_value("shrunk_blocks")},
          {"allocator.shrunk_pages", a.own_value("shrunk_pages")}};
}

kernel::Config config_of(const std::string& variant) {
  kernel::Config config;
  config.memory_bytes = 4ull << 30;  // of the machine that was measured
  const bool batching = variant.ends_with("-batched");
  const std::string scheme = batching ? variant.substr(0, variant.size() - 8) : variant;
  config.policy.linear_map = scheme.ends_with("block") || scheme == "pba"
                                 ? kernel::Granularity::kBlock
                                 : kernel::Granularity::kPte;
  if (scheme == "off" || scheme == "off-block") return config;
  config.policy.protection.name = "kpkeys-poe";
  config.policy.window = batching ? kernel::WindowScope::kLazy : kernel::WindowScope::kEntry;
  if (scheme == "keyed" || scheme == "per-page-block") config.policy.allocator.name = "per-page";
  if (scheme == "pba") config.policy.allocator.name = "pba";
  return config;
}

bool forks_once(const workload::PhaseResult& phase) {
  std::uint64_t forks = 0;
  for (const cpu::Counters& core : phase.cores) {
    forks += core.count[static_cast<std::size_t>(cpu::tlbi_event(mmu::TlbiKind::kAside1))]
                       [static_cast<std::size_t>(kernel::Cause::kFork)];
  }
  return forks == 1;
}

PhaseCheck compare(const Measurement& measurement, const workload::PhaseResult& model,
                   const Surroundings& surroundings, bool repeats) {
  PhaseCheck check;
  check.measurement = &measurement;
  const ModelCounts counts = model_counts(model);
  const kernel::Config config = config_of(measurement.variant);
  Circumstances c;
  c.batching = config.policy.window == kernel::WindowScope::kLazy;
  c.keyed = config.policy.allocator.name == "per-page";
  c.repeats = repeats;
  c.single_fork = forks_once(model);
  c.after_fork = surroundings.after_fork;
  c.crowd = std::max(model.tasks_before, model.tasks_after) > kCrowd;
  c.purges = static_cast<double>(counts.all.at("tlbi.VMALLE1IS"));
  if (!surroundings.drained) {
    const auto back = model.rcu_before + model.rcu_added - model.rcu_after;
    c.tables_back = static_cast<double>(back);
    c.tables_other = static_cast<double>(std::max(model.rcu_before, surroundings.tables_before) +
                                         model.rcu_added - back);
  }
  c.ranges = &surroundings.ranges;
  c.stretched = &surroundings.stretched;
  for (const auto& [counter, n] : counts.all) {
    const std::string& name = counter;  // a binding cannot be captured
    const auto real = measurement.counts.find(name);
    const bool tlbi = name.starts_with("tlbi.");
    if (real == measurement.counts.end() && (!tlbi || n == 0)) continue;
    const auto part = [&](const std::map<std::string, std::uint64_t>& of) {
      const auto it = of.find(name);
      return it == of.end() ? 0 : it->second;
    };
    Row row{name,
            real == measurement.counts.end() ? std::vector<std::uint64_t>{0, 0} : real->second, n,
            Verdict::kExact, Rule::kEqual};
    if (name == "kernel_instructions") {
      row.rule = Rule::kInstructions;
      const double least = static_cast<double>(low(row.real)) * (1 - kInstructions);
      const double most = static_cast<double>(high(row.real)) * (1 + kInstructions);
      const auto value = static_cast<double>(n);
      row.verdict = value >= least && value <= most ? Verdict::kWithin : Verdict::kOff;
    } else {
      judge(row, part(counts.timer), part(counts.faults), c);
    }
    check.rows.push_back(std::move(row));
  }
  for (const auto& [name, n] : surroundings.totals) {
    const auto real = measurement.counts.find(name);
    if (real == measurement.counts.end()) continue;
    Row row{name, real->second, n, Verdict::kExact, Rule::kEqual};
    judge(row, 0, 0, c);
    check.rows.push_back(std::move(row));
  }
  return check;
}

Row compare_difference(const std::vector<std::uint64_t>& off, std::uint64_t model_off,
                       const std::vector<std::uint64_t>& variant, std::uint64_t model_variant,
                       double noise) {
  const auto signed_difference = [](std::uint64_t a, std::uint64_t b) {
    return static_cast<double>(a) - static_cast<double>(b);
  };
  const double least = signed_difference(low(variant), high(off));
  const double most = signed_difference(high(variant), low(off));
  const double model = signed_difference(model_variant, model_off);
  const double room = kDifference * std::max(std::abs(least), std::abs(most)) + noise;
  Row row{"kernel_instructions less off", {}, 0, Verdict::kWithin, Rule::kDifference};
  // As they are printed: no less than 0.
  const auto shown = [](double d) { return static_cast<std::uint64_t>(std::max(0.0, d)); };
  row.real = {shown(least), shown(most)};
  row.model = shown(model);
  row.verdict = model >= least - room && model <= most + room ? Verdict::kWithin : Verdict::kOff;
  return row;
}

}  // namespace kpksim::validate
