#pragma once
// Executes a workload's operations on a kernel, phase by phase, and takes the counters of each.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/kernel/kernel.h"
#include "sim/workload/execution.h"
#include "sim/workload/interleaved.h"

namespace kpksim::workload {

struct PhaseResult {
  std::string name;
  std::vector<cpu::Counters> cores;       // what the phase added, per core
  kernel::AllocatorStatistics allocator;  // running totals after the phase
  kernel::LinearMapStatistics linear_map;
  kernel::ExposureSums exposure;
  std::optional<kernel::CredStatistics> creds;              // of a policy that protects them
  std::optional<kernel::KernelDataStatistics> kernel_data;  // of a workload that asks for them
  cpu::Counters put_off;             // of `cores`, what came in the wait at the end of the phase
  std::uint64_t pt_writes = 0;       // page-table entries written in the phase
  std::uint64_t forced_flushes = 0;  // of page tables with dirty pages of a file
  // Page-table pages whose free RCU puts off: at the start, added, and still waiting at the end.
  std::uint64_t rcu_before = 0, rcu_added = 0, rcu_after = 0;
  std::size_t tasks_before = 0, tasks_after = 0;  // that have not exited
  kernel::AuditResult audit;
  // Where cores are interleaved.
  struct Interleaved {
    std::uint64_t millicycles = 0;  // from the phase's beginning to its end
    kernel::AllLockWaits waits{};
    kernel::ExposureSeries exposure;
  };
  std::optional<Interleaved> interleaved;
};

// How often a program gets to run for an operation: once, or before each access of a touch.
std::uint64_t places_of(const Operation& op);
// Length of a workload: each operation is one step, each access of a touch one more.
std::uint64_t steps_of(const Workload& workload);

class Driver {
 public:
  explicit Driver(kernel::Kernel& kernel) : kernel_(kernel), execution_(kernel) {}

  // Called now and then with the number of steps done since the last call.
  void on_progress(std::function<void(std::uint64_t)> fn) { execution_.progress = std::move(fn); }
  // Called with the name of each phase before it.
  void before_phase(std::function<void(const std::string&)> fn) { before_phase_ = std::move(fn); }
  // Called at the end of each phase; what it does is counted in the phase.
  void end_of_phase(std::function<void()> fn) { end_of_phase_ = std::move(fn); }
  // Called after each operation, on interleaved cores at its end. What it throws ends the run.
  void after_operation(std::function<void()> fn) { after_operation_ = std::move(fn); }
  // After each operation instead of each phase (slow; finds the operation that left a stale entry).
  void audit_every_operation(bool on) { audit_each_ = on; }

  // InputError if an operation cannot be done (with the place in the source).
  std::vector<PhaseResult> run(const Workload& workload);

  // Calls of a trace that named ranges the model does not have, and touches of such pages.
  std::uint64_t ignored() const { return execution_.ignored; }
  // Pages that a recording's rule would have touched, and for which the machine has no memory.
  std::uint64_t beyond_memory() const { return execution_.beyond_memory; }
  std::uint64_t stale_seen() const { return stale_; }

  // Where `op` begins to act; nullopt if its region is not mapped now.
  std::optional<VirtAddr> place_of(const Operation& op) const { return execution_.place_of(op); }

 private:
  void run_phase(const std::vector<Step>& steps, const Workload& workload, PhaseResult& result);
  void run_steps(const std::vector<Step>& steps, const Workload& workload);
  void execute(const Operation& op, const Workload& workload);
  void press_if_due();

  kernel::Kernel& kernel_;
  Execution execution_;
  std::function<void(const std::string&)> before_phase_;
  std::function<void()> end_of_phase_, after_operation_;
  std::uint64_t stale_ = 0;
  std::uint64_t done_ = 0;  // operations
  bool audit_each_ = false;
  OperationOrder order_;  // where cores are interleaved
  std::optional<InterleavedRun> interleaved_;
};

}  // namespace kpksim::workload
