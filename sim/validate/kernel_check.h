#pragma once
// Holds the kernel model to a real kernel's counts: runs the workload of each phase under the
// configuration of each variant and compares counter by counter.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/kernel/system.h"
#include "sim/validate/counts.h"
#include "sim/workload/driver.h"

namespace kpksim::validate {

enum class Verdict : std::uint8_t { kExact, kWithin, kOff };

struct Row {
  std::string counter;
  std::vector<std::uint64_t> real;  // one for each repetition
  std::uint64_t model = 0;
  Verdict verdict = Verdict::kExact;
};

struct PhaseCheck {
  const Measurement* measurement = nullptr;
  std::vector<Row> rows;
};

// Counters of the model for one phase, under the names of the files.
std::map<std::string, std::uint64_t> model_counts(const workload::PhaseResult& phase);

// The configuration that a variant's name stands for.
kernel::Config config_of(const std::string& variant);

// What else is known of a phase when its counts are compared.
struct Surroundings {
  std::uint64_t moved_tables =
      0;                // page-table pages whose free may have waited for RCU over a border
  bool chance = false;  // it ends amid the copy-on-write faults of a forked child
  // Of phases with many processes at once, read once: how far apart readings lie, relative; and the
  // range of readings of the same scheme, for counters that do not depend on batching.
  double scheduling = 0;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> ranges;
  // The allocator's totals since boot, by the names of the files; empty where what ran before the
  // phase in the same boot is not known.
  std::map<std::string, std::uint64_t> totals;
};

// `boot`: of a kernel that has run nothing yet; then all phases up to `last`.
std::map<std::string, std::uint64_t> allocator_totals(
    const kernel::AllocatorStatistics& boot, const std::vector<workload::PhaseResult>& phases,
    std::size_t last);

// The rows of one phase: the counters that the file has and the model predicts.
PhaseCheck compare(const Measurement& measurement, const workload::PhaseResult& model,
                   const Surroundings& surroundings);

}  // namespace kpksim::validate
