#pragma once
// Which task runs on each core, and what it takes to change that: context switches
// (kernel/sched/core.c, arm64's __switch_to()), address spaces with their ASIDs, kernel threads.

#include <cstdint>
#include <vector>

#include "sim/kernel/asid.h"
#include "sim/kernel/task.h"

namespace kpksim::kernel {

class Scheduler {
 public:
  explicit Scheduler(System& system);

  // The task's core, on which it runs from now on.
  cpu::Core& run_on(Task& t);
  // To a task that is not running.
  void context_switch(Task& t, cpu::Core& core);
  void switch_mm(Mm& mm, cpu::Core& core);
  // The thread that moves tasks (migration_cpu_stop()) takes it from its core, where nothing runs
  // then, and wakes the other core with an interrupt.
  void migrate(Task& t, unsigned cpu);
  // x86-64: no task runs on `core` from here on, which keeps the address space that it has (lazy
  // TLB mode).
  void enter_lazy(const cpu::Core& core);
  // It has exited.
  void ended(const Task& t) { current_[t.cpu] = nullptr; }
  // `mm` goes. No core walks its tables from here on.
  void leave(const Mm& mm, cpu::Core& core);
  // A task that waits at a lock and sleeps is switched from, and back to.
  void wait_at(Locks& locks);
  // Which core a task that does not run goes on at, taken by an idle one (newidle_balance()).
  void pull(Task& t, unsigned cpu);
  // So many kernel threads, one after the other, and back.
  void run_kernel_threads(cpu::Core& core, unsigned runs);
  // Behind each read of the clock stands an ISB; how many a path has is known on average.
  void read_clock(cpu::Core& core, std::uint64_t milli_isb);

  const AsidAllocator& asids() const { return asids_; }

 private:
  void thread_switch(cpu::Core& core, std::uint64_t milli_isb);
  void isb_of_keys(cpu::Core& core);

  System& system_;
  std::vector<Task*> current_;           // on each core; nullptr: none
  std::vector<std::uint64_t> switches_;  // of each core, so far
  std::vector<const Mm*> mm_on_;         // whose tables each core uses
  AsidAllocator asids_;
  std::uint64_t clock_millis_ = 0;  // of ISB, owed by reads of the clock
};

}  // namespace kpksim::kernel
