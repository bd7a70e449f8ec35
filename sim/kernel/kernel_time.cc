// Time: timer interrupts, the kernel threads that they wake, and what RCU has put off.

#include "sim/kernel/kernel.h"

namespace kpksim::kernel {

// RCU_SOFTIRQ: what a grace period has passed for. Without timer interrupts one passes at once.
void Kernel::softirq(cpu::Core& core) {
  system_.free_tables(core, timer_ ? system_.rcu.take_ready() : system_.rcu.take_all());
}

void Kernel::run_kernel_thread(cpu::Core& core) {
  const Because because(core, Cause::kTimer);
  core.execute(system_.path().kernel_thread);
  for (unsigned i = 0; i < 2; ++i) {  // there and back
    thread_switch(core);
    // ptrauth_thread_switch_user(): a kernel thread has no user keys enabled in SCTLR_EL1.
    if (pauth_) core.isb();
  }
  for (unsigned i = 0; i < system_.profile.kernel_thread_isb; ++i) core.isb();
}

// The tick. The kernel threads that it wakes run at once.
void Kernel::timer_interrupt(cpu::Core& core) {
  const Because because(core, Cause::kTimer);
  const bool user = core.level() == 0;
  core.take_exception();
  std::uint64_t saved = 0;
  if (user) {
    core.isb();
  } else {
    saved = system_.protection->exception_entry(core);
  }
  core.execute(system_.path().timer);
  for (unsigned i = 0; i < system_.profile.timer_isb; ++i) core.isb();
  unsigned runs = system_.rcu.tick();
  if (++ticks_ % system_.profile.background_ticks == 0) ++runs;
  while (runs-- > 0) run_kernel_thread(core);
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
