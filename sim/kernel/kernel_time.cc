// Time: timer interrupts, the kernel threads that they wake, and what RCU has put off.

#include "sim/kernel/kernel.h"

namespace kpksim::kernel {

// RCU_SOFTIRQ: what a grace period has passed for. Without timer interrupts one passes at once.
void Kernel::softirq(cpu::Core& core) {
  system_.free_tables(core, timer_ ? system_.rcu.take_ready() : system_.rcu.take_all());
}

// Behind each read of the clock stands an ISB; how many a path has is known on average.
void Kernel::read_clock(cpu::Core& core, std::uint64_t milli_isb) {
  for (clock_millis_ += milli_isb; clock_millis_ >= 1000; clock_millis_ -= 1000) core.isb();
}

// One after the other, and back.
void Kernel::run_kernel_threads(cpu::Core& core, unsigned runs) {
  if (runs == 0) return;
  const Because because(core, Cause::kTimer);
  const KernelProfile& profile = system_.profile;
  // ptrauth_thread_switch_user(): a kernel thread has no user keys enabled in SCTLR_EL1.
  if (pauth_) core.isb();
  for (; runs != 0; --runs) {
    read_clock(core, profile.wake_milli_isb);
    thread_switch(core, profile.thread_switch_milli_isb);
    core.execute(system_.path().kernel_thread);
  }
  thread_switch(core, profile.thread_switch_milli_isb);
  if (pauth_) core.isb();
}

// The tick. The kernel threads that it wakes run at once.
void Kernel::timer_interrupt(cpu::Core& core) {
  const Because because(core, Cause::kTimer);
  const bool user = core.level() == 0;
  core.take_exception();
  std::uint64_t saved = 0;
  if (user) {
    entered_from_user(core);
  } else {
    saved = system_.protection->exception_entry(core);
  }
  core.execute(system_.path().timer);
  read_clock(core, system_.profile.timer_milli_isb);
  unsigned runs = system_.rcu.tick();
  if (++ticks_ % system_.profile.background_ticks == 0) ++runs;
  run_kernel_threads(core, runs);
  if (!user) system_.protection->exception_return(core, saved);
  core.eret(user ? 0 : 1);
}

// Cores take turns in the simulation, and so do their clocks: the interrupts of each of them carry
// grace periods forward.
void Kernel::start_clock() {
  timer_ = true;
  const double period = system_.machine.profile().clock_ghz * 1e9 / system_.config.hz;
  for (std::size_t c = 0; c < system_.machine.core_count(); ++c) {
    cpu::Core& core = system_.machine.core(c);
    core.set_clock_timer(Cycles(static_cast<std::uint64_t>(period)),
                         [this, &core] { timer_interrupt(core); });
  }
}

void Kernel::set_timer(std::uint64_t instructions) {
  timer_ = instructions != 0;
  for (std::size_t c = 0; c < system_.machine.core_count(); ++c) {
    cpu::Core& core = system_.machine.core(c);
    core.set_timer(instructions, [this, &core] { timer_interrupt(core); });
  }
}

}  // namespace kpksim::kernel
