#include "sim/workload/driver.h"

#include <fmt/core.h>

#include <utility>

#include "sim/base/error.h"

namespace kpksim::workload {
namespace {

std::uint64_t steps_of(const std::vector<Step>& steps) {
  std::uint64_t sum = 0;
  for (const Step& step : steps) {
    const bool touch = step.op.kind == OpKind::kTouch;
    const std::uint64_t once =
        !step.body.empty() ? steps_of(step.body) : 1 + (touch ? accesses(step.op) : 0);
    sum += once * step.repeat;
  }
  return sum;
}

}  // namespace

std::uint64_t places_of(const Operation& op) {
  return op.kind == OpKind::kTouch ? accesses(op) : 1;
}

std::uint64_t steps_of(const Workload& workload) {
  std::uint64_t sum = 0;
  for (const Phase& phase : workload.phases) sum += steps_of(phase.steps);
  return sum;
}

std::vector<PhaseResult> Driver::run(const Workload& workload) {
  std::vector<PhaseResult> results;
  kernel::System& system = kernel_.system();
  if (workload.kernel_data) kernel_.use_data(*workload.kernel_data);
  execution_.begin(workload);
  for (const Phase& phase : workload.phases) {
    if (before_phase_) before_phase_(phase.name);
    PhaseResult result;
    result.name = phase.name;
    for (std::size_t c = 0; c < system.machine.core_count(); ++c) {
      result.cores.push_back(system.machine.core(c).counters());
    }
    result.pt_writes = system.tables.writes();
    result.rcu_before = system.rcu.pending();
    result.rcu_added = system.rcu.tables();
    result.tasks_before = kernel_.task_count();
    result.forced_flushes = system.forced_flushes;
    const kernel::AllocatorStatistics allocator = system.allocator->statistics();
    if (system.creds) result.creds = system.creds->statistics();
    const kernel::LinearMapStatistics linear_map = system.linear_map.statistics();
    if (kernel_.data() != nullptr) result.kernel_data = kernel_.data()->statistics();
    system.exposure.forget_largest();
    const kernel::ExposureSums exposure = system.exposure.sums();
    run_phase(phase.steps, workload, result);
    std::vector<cpu::Counters> before_wait;
    for (std::size_t c = 0; c < system.machine.core_count(); ++c) {
      before_wait.push_back(system.machine.core(c).counters());
    }
    if (end_of_phase_) end_of_phase_();
    for (std::size_t c = 0; c < system.machine.core_count(); ++c) {
      const cpu::Counters now = system.machine.core(c).counters();
      result.cores[c] = now - result.cores[c];
      result.put_off += now - before_wait[c];
    }
    result.pt_writes = system.tables.writes() - result.pt_writes;
    result.rcu_added = system.rcu.tables() - result.rcu_added;
    result.rcu_after = system.rcu.pending();
    result.tasks_after = kernel_.task_count();
    result.allocator = kernel::allocator_since(allocator, system.allocator->statistics());
    result.linear_map =
        since(linear_map, system.linear_map.statistics(), kernel::kLinearMapStatistics);
    result.exposure = kernel::exposure_since(exposure, system.exposure.sums());
    if (result.creds) {
      result.creds = since(*result.creds, system.creds->statistics(), kernel::kCredStatistics);
    }
    if (result.kernel_data) {
      result.kernel_data =
          since(*result.kernel_data, kernel_.data()->statistics(), kernel::kKernelDataStatistics);
    }
    result.forced_flushes = system.forced_flushes - result.forced_flushes;
    result.audit = kernel_.audit();
    results.push_back(std::move(result));
  }
  return results;
}

void Driver::run_phase(const std::vector<Step>& steps, const Workload& workload,
                       PhaseResult& result) {
  kernel::System& system = kernel_.system();
  if (!system.interleaving) return run_steps(steps, workload);
  kernel::Locks& locks = system.interleaving->locks;
  locks.interleaver().meet();
  locks.forget_longest();
  const std::uint64_t since = system.machine.core(0).time();
  system.exposure.begin_series();
  const kernel::AllLockWaits before = locks.waits();
  interleaved_.emplace(kernel_, order_, [&](const Operation& op) { execute(op, workload); });
  run_steps(steps, workload);
  interleaved_->finish();
  interleaved_.reset();
  system.exposure.sums();  // up to here
  result.interleaved = {system.machine.core(0).time() - since,
                        kernel::waits_since(before, locks.waits()), system.exposure.series()};
}

void Driver::execute(const Operation& op, const Workload& workload) {
  try {
    execution_.execute(op);
    if (!interleaved_) press_if_due();
  } catch (const InputError& e) {
    throw InputError(fmt::format("{}:{}: {}", workload.source, op.line, e.what()));
  }
  if (audit_each_ && !interleaved_) {  // there others are in the middle of something
    const kernel::AuditResult audit = kernel_.audit();
    stale_ += audit.stale_leaves + audit.stale_tables;
  }
  execution_.advance(1);
  if (after_operation_) after_operation_();
}

// After each so many operations of the workload's order; where cores are interleaved all of those
// have ended, as before an operation `pressure`.
void Driver::press_if_due() {
  const unsigned every = kernel_.system().config.pressure_every;
  if (every == 0 || ++done_ % every != 0) return;
  if (interleaved_) interleaved_->finish();
  kernel_.memory().pressure();
}

void Driver::run_steps(const std::vector<Step>& steps, const Workload& workload) {
  for (const Step& step : steps) {
    for (std::uint64_t i = 0; i < step.repeat; ++i) {
      if (!step.body.empty()) {
        run_steps(step.body, workload);
        continue;
      }
      if (interleaved_) {
        interleaved_->add(step.op);
        press_if_due();
      } else {
        execute(step.op, workload);
      }
    }
  }
}

}  // namespace kpksim::workload
