#pragma once
// Holds the kernel model to a real kernel's counts: counter by counter, each by the rule that its
// nature allows. docs/kernel-model.md explains the rules.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/kernel/system.h"
#include "sim/validate/counts.h"
#include "sim/workload/driver.h"

namespace kpksim::validate {

enum class Verdict : std::uint8_t { kExact, kWithin, kOff };

// How far a count may be from the real one, and why.
enum class Rule : std::uint8_t {
  kEqual,         // deterministic in the real kernel: not at all
  kSpread,        // the real repetitions differ: between them, and the timer's share
  kTolerance,     // 3 % or 10 events besides
  kRcu,           // page tables that a neighbouring phase may have given back
  kCow,           // faults of the two sides of a single fork, before or after the end by chance
  kPurge,         // one purge of vmalloc's more or less, by where the phase before stopped
  kPlacement,     // where the page allocator finds pages: 15 %
  kScheduling,    // many processes at once, read once: the range of such readings, and 10 %
  kInstructions,  // 10 %
  kDifference,    // what a variant adds to the instructions of "off": 15 %
};
std::string_view name_of(Rule rule);

struct Row {
  std::string counter;
  std::vector<std::uint64_t> real;  // one for each repetition
  std::uint64_t model = 0;
  Verdict verdict = Verdict::kExact;
  Rule rule = Rule::kEqual;
};

// How far the model lies outside the readings, relative to the nearer one: -0.2 is a fifth below
// the least; 0 within them. Infinite if all readings are 0 and the model is not.
double distance(const Row& row);
// "+12 %"; "real 0" if it is infinite.
std::string distance_text(const Row& row);
// Its rule lets it pass, but it is more than a tenth outside the readings.
bool is_far(const Row& row);

struct PhaseCheck {
  const Measurement* measurement = nullptr;
  std::vector<Row> rows;
};

// It agrees by being 0 on both sides.
bool both_zero(const Row& row);

// Rows by verdict. A count that is 0 on both sides says little and is counted apart.
struct Tally {
  std::size_t exact = 0, within = 0, off = 0, both_zero = 0;
};
Tally tally_of(const std::vector<PhaseCheck>& checks);

// Counters of the model for one phase, under the names of the files: all, and what timer interrupts
// and page faults have of them.
struct ModelCounts {
  std::map<std::string, std::uint64_t> all, timer, faults;
};
ModelCounts model_counts(const workload::PhaseResult& phase);

// The configuration that a variant's name stands for.
kernel::Config config_of(const std::string& variant);

// Timer interrupts of a phase, from its own exception returns (`eret`: the model's without any);
// the mean of the repetitions.
double interrupts(const Measurement& measurement, std::uint64_t eret);

// It forks once: which faults of the two sides it includes is chance.
bool forks_once(const workload::PhaseResult& phase);

using Range = std::pair<std::uint64_t, std::uint64_t>;

// What else is known of a phase when its counts are compared.
struct Surroundings {
  // Page-table pages whose free RCU may have put off from before the phase.
  std::uint64_t tables_before = 0;
  bool drained = false;     // RCU puts nothing off beyond a phase
  bool after_fork = false;  // the phase before forked once
  // Of phases with many processes at once, read once: the readings of the same scheme.
  std::map<std::string, Range> ranges;
  // What chance makes of a counter besides: addresses drawn, a loop interrupted.
  std::map<std::string, Range> stretched;
  // The allocator's totals since boot, by the names of the files; empty where what ran before the
  // phase in the same boot is not known.
  std::map<std::string, std::uint64_t> totals;
};

// `boot`: of a kernel that has run nothing yet; then all phases up to `last`.
std::map<std::string, std::uint64_t> allocator_totals(
    const kernel::AllocatorStatistics& boot, const std::vector<workload::PhaseResult>& phases,
    std::size_t last);

// The rows of one phase: the counters that the file has and the model predicts. `repeats`: the core
// repeats each TLBI (an erratum).
PhaseCheck compare(const Measurement& measurement, const workload::PhaseResult& model,
                   const Surroundings& surroundings, bool repeats);

// The row of what a variant adds to the instructions of "off". `noise`: by how much two boots
// differ whose code is the same, and what timer interrupts have of them.
Row compare_difference(const std::vector<std::uint64_t>& off, std::uint64_t model_off,
                       const std::vector<std::uint64_t>& variant, std::uint64_t model_variant,
                       double noise);

}  // namespace kpksim::validate
