#pragma once
// Time: timer interrupts, the kernel threads that they wake, and what RCU has put off.

#include <cstdint>

#include "sim/kernel/scheduler.h"
#include "sim/kernel/system.h"

namespace kpksim::kernel {

class Clock {
 public:
  Clock(System& system, Scheduler& scheduler) : system_(system), scheduler_(scheduler) {}

  // Interrupts by each core's clock from now on, as often as the configuration says (Config::hz).
  void start();

  // A timer interrupt after each `instructions` on each core; 0: none.
  void set_timer(std::uint64_t instructions);
  // RCU_SOFTIRQ: what a grace period has passed for. Without timer interrupts one passes at once.
  void softirq(cpu::Core& core);
  // Nothing runs for a while: what RCU has put off is done.
  void idle();
  // As long as a grace period takes, with nothing else to do; without interrupts from then on.
  void wait_for_rcu();

 private:
  void interrupt(cpu::Core& core);

  System& system_;
  Scheduler& scheduler_;
  bool timer_ = false;
  std::uint64_t ticks_ = 0;
};

}  // namespace kpksim::kernel
