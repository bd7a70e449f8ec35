#pragma once
// The model's side of the published tables: event counts of each benchmark under each policy, which
// prices turn into overheads. Simulated once; any set of prices can be put to them.

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/cpu/profile.h"
#include "sim/kernel/system.h"
#include "sim/validate/published.h"
#include "sim/workload/operation.h"

namespace kpksim::validate {

// What a table's columns compare: the unprotected kernel, and the register switched, with or
// without keyed page-table pages.
struct Scheme {
  bool protect = false, keyed = false, batched = false;

  auto operator<=>(const Scheme&) const = default;
};
kernel::Config config_of(const Scheme& scheme);

// Prices in thousandths of a cycle, by event.
using Prices = std::array<std::uint64_t, cpu::kEvents>;

struct RunCounts {
  std::array<std::uint64_t, cpu::kEvents> events{};
  std::uint64_t rounds = 0;  // allocations, in a benchmark that counts in these

  // Thousandths of a cycle.
  std::uint64_t cost(const Prices& prices, Measure measure) const;
};

// What a compilation executes that no call of its recording shows: instructions of its programs,
// and of the kernel outside of memory management. Measured, whole.
struct Instructions {
  std::uint64_t kernel = 0, user = 0;
};

// Runs the phase "measured" of `workload`, or all of it.
RunCounts simulate(const workload::Workload& workload, const cpu::CoreProfile& core,
                   const kernel::KernelProfile& kernel, const Scheme& scheme);
// A recording with the instructions that are missing in it: of programs before each operation and
// access, of the kernel in each system call, so that the unprotected kernel executes `all`.
workload::Workload with_instructions(workload::Workload recording, const Instructions& all,
                                     const cpu::CoreProfile& core,
                                     const kernel::KernelProfile& kernel);

class PublishedModel {
 public:
  void add(const std::string& run, const Scheme& scheme, const RunCounts& counts) {
    runs_[{run, scheme}] = counts;
  }
  // Percent over the unprotected kernel.
  double overhead(const Cell& cell, bool keyed, const Prices& prices) const;
  double usec(const AbsoluteTime& time, const Prices& prices, double clock_ghz) const;

 private:
  std::map<std::pair<std::string, Scheme>, RunCounts> runs_;
};

}  // namespace kpksim::validate
