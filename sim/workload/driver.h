#pragma once
// Executes a workload's operations on a kernel, phase by phase, and takes the counters of each.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/kernel/kernel.h"
#include "sim/workload/operation.h"

namespace kpksim::workload {

struct PhaseResult {
  std::string name;
  std::vector<cpu::Counters> cores;       // what the phase added, per core
  kernel::AllocatorStatistics allocator;  // running totals after the phase
  kernel::LinearMapStatistics linear_map;
  kernel::ExposureSums exposure;
  cpu::Counters put_off;             // of `cores`, what came in the wait at the end of the phase
  std::uint64_t pt_writes = 0;       // page-table entries written in the phase
  std::uint64_t forced_flushes = 0;  // of page tables with dirty pages of a file
  // Page-table pages whose free RCU puts off: at the start, added, and still waiting at the end.
  std::uint64_t rcu_before = 0, rcu_added = 0, rcu_after = 0;
  std::size_t tasks_before = 0, tasks_after = 0;  // that have not exited
  kernel::AuditResult audit;
};

// How often a program gets to run for an operation: once, or before each access of a touch.
std::uint64_t places_of(const Operation& op);
// Length of a workload: each operation is one step, each access of a touch one more.
std::uint64_t steps_of(const Workload& workload);

class Driver {
 public:
  struct Region {
    std::uint64_t address = 0, length = 0;
  };
  static Region segment_of(const kernel::ProgramImage& program,
                           const kernel::ProgramPlacement& placement, Segment segment);

  explicit Driver(kernel::Kernel& kernel) : kernel_(kernel) {}

  // Called now and then with the number of steps done since the last call.
  void on_progress(std::function<void(std::uint64_t)> fn) { progress_ = std::move(fn); }
  // Called with the name of each phase before it.
  void before_phase(std::function<void(const std::string&)> fn) { before_phase_ = std::move(fn); }
  // Called at the end of each phase; what it does is counted in the phase.
  void end_of_phase(std::function<void()> fn) { end_of_phase_ = std::move(fn); }
  // After each operation instead of each phase (slow; finds the operation that left a stale entry).
  void audit_every_operation(bool on) { audit_each_ = on; }

  // InputError if an operation cannot be done (with the place in the source).
  std::vector<PhaseResult> run(const Workload& workload);

  // Calls of a trace that named ranges the model does not have, and touches of such pages.
  std::uint64_t ignored() const { return ignored_; }
  // Pages that a recording's rule would have touched, and for which the machine has no memory.
  std::uint64_t beyond_memory() const { return beyond_memory_; }
  std::uint64_t stale_seen() const { return stale_; }

  // Where `op` begins to act; nullopt if its region is not mapped now.
  std::optional<VirtAddr> place_of(const Operation& op) const;

 private:
  void run_steps(const std::vector<Step>& steps, const Workload& workload);
  void execute(const Operation& op, const Workload& workload);
  void advance(std::uint64_t steps);
  void touch(const Operation& op);
  bool has_memory(const Operation& op, std::uint64_t base);
  // `at`: where the operation acts. False: the kernel refuses it.
  bool madvise(const Operation& op, std::uint64_t at);
  bool mremap(const Operation& op, std::uint64_t at);
  void mlock(const Operation& op, std::uint64_t at);
  std::uint64_t address_of(const Operation& op) const;
  std::uint64_t draw(const Operation& op);

  kernel::Kernel& kernel_;
  std::function<void(std::uint64_t)> progress_;
  std::function<void(const std::string&)> before_phase_;
  std::function<void()> end_of_phase_;
  std::unordered_map<RegionId, Region> regions_;
  std::unordered_map<RegionId, Segment> segments_;  // regions that are parts of the program
  std::unordered_map<const Operation*, std::uint32_t> draws_;
  std::uint64_t new_steps_ = 0, ignored_ = 0, stale_ = 0, beyond_memory_ = 0;
  bool audit_each_ = false;
};

}  // namespace kpksim::workload
