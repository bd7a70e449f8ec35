#include "sim/kernel/clock.h"

#include "sim/kernel/cause.h"
#include "sim/kernel/entry.h"
#include "sim/kernel/span.h"

namespace kpksim::kernel {

// Cores take turns in the simulation, and so do their clocks: the interrupts of each of them carry
// grace periods forward.
void Clock::start() {
  if (system_.config.hz == 0) return;
  timer_ = true;
  const double period = system_.machine.profile().clock_ghz * 1e9 / system_.config.hz;
  for (std::size_t c = 0; c < system_.machine.core_count(); ++c) {
    cpu::Core& core = system_.machine.core(c);
    core.set_clock_timer(Cycles(static_cast<std::uint64_t>(period)),
                         [this, &core] { interrupt(core); });
  }
}

void Clock::set_timer(std::uint64_t instructions) {
  timer_ = instructions != 0;
  for (std::size_t c = 0; c < system_.machine.core_count(); ++c) {
    cpu::Core& core = system_.machine.core(c);
    core.set_timer(instructions, [this, &core] { interrupt(core); });
  }
}

// The tick. The kernel threads that it wakes run at once.
void Clock::interrupt(cpu::Core& core) {
  const Because because(core, Cause::kTimer);
  const Span span(system_.taps, core, Work::kTimer);
  const bool user = core.level() == 0;
  core.take_exception();
  std::uint64_t saved = 0;
  if (user) {
    entered_from_user(core, system_.machine.profile(), system_.taps.injector);
  } else {
    saved = system_.protection->exception_entry(core);
    if (system_.taps.observer != nullptr) system_.taps.observer->handling(core);
  }
  core.execute(system_.path().timer);
  scheduler_.read_clock(core, system_.profile.timer_milli_isb);
  unsigned runs = system_.rcu.tick(core);
  if (++ticks_ % system_.profile.background_ticks == 0) ++runs;
  scheduler_.run_kernel_threads(core, runs);
  if (!user) system_.protection->exception_return(core, saved);
  core.eret(user ? 0 : 1);
}

void Clock::softirq(cpu::Core& core) {
  if (!system_.rcu.has_callbacks(core)) return;  // as after most calls and faults
  system_.free_tables(core, timer_ ? system_.rcu.take_ready(core) : system_.rcu.take_all(core));
}

void Clock::idle() {
  for (std::size_t c = 0; c < system_.machine.core_count(); ++c) {
    cpu::Core& core = system_.machine.core(c);
    if (!system_.rcu.has_callbacks(core)) continue;
    system_.exposure.runs(core.id());
    const unsigned level = core.level();
    core.continue_at(1);
    system_.free_tables(core, system_.rcu.take_all(core));
    core.continue_at(level);
  }
}

void Clock::wait_for_rcu() {
  set_timer(0);
  idle();
}

}  // namespace kpksim::kernel
