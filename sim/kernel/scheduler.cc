#include "sim/kernel/scheduler.h"

#include <algorithm>
#include <utility>

#include "sim/kernel/cause.h"
#include "sim/kernel/span.h"
#include "sim/kernel/x86_tlb.h"

namespace kpksim::kernel {

Scheduler::Scheduler(System& system)
    : system_(system),
      current_(system.config.cores),
      switches_(system.config.cores),
      mm_on_(system.config.cores),
      asids_(system.machine.profile().asid_bits, system.config.cores) {}

cpu::Core& Scheduler::run_on(Task& t) {
  system_.taps.injector.catch_up();
  cpu::Core& core = system_.machine.core(t.cpu);
  system_.exposure.runs(t.cpu);
  if (current_[t.cpu] != &t) {
    context_switch(t, core);
    core.continue_at(t.fresh ? 1 : 0);
  }
  return core;
}

void Scheduler::context_switch(Task& t, cpu::Core& core) {
  const Span span(system_.taps, core, work_of(Trigger::kSwitch));
  const Because because(core, Cause::kSwitch);
  core.execute(system_.path().context_switch);
  if (current_[t.cpu] != nullptr) current_[t.cpu]->left_at = switches_[t.cpu];
  ++switches_[t.cpu];
  // EEVDF's delayed dequeue: who blocks stays in the queue for a while. If it is woken before the
  // second switch from then on, as where two tasks take turns, it is still there; else it has been
  // dequeued (pick_next_entity()) and is enqueued.
  if (!t.fresh && switches_[t.cpu] > t.left_at + 2) {
    core.execute(system_.path().wake_dequeued);
    read_clock(core, system_.profile.dequeued_milli_isb);
  }
  current_[t.cpu] = &t;
  // On x86-64 what is loaded may be out of date, if nobody has run here for a while.
  if (mm_on_[t.cpu] != t.mm.get() || system_.flush.x86() != nullptr) switch_mm(*t.mm, core);
  thread_switch(core, system_.profile.switch_milli_isb);
  system_.used(core, Trigger::kSwitch);
}

void Scheduler::migrate(Task& t, unsigned cpu) {
  if (cpu == t.cpu) return;
  cpu::Core& core = system_.machine.core(t.cpu);
  const Because because(core, Cause::kSwitch);
  run_kernel_threads(core, 1);
  core.send_ipi(cpu, [](cpu::Core&) {});  // ttwu_queue_wakelist()
  current_[t.cpu] = nullptr;
  enter_lazy(core);
  t.cpu = cpu;
  t.left_at = switches_[cpu];
}

void Scheduler::wait_at(Locks& locks) {
  locks.before = [this](cpu::Core& core) -> void* { return current_[core.id()]; };
  locks.slept = [this](cpu::Core& core, void* task) {
    auto* const sleeper = static_cast<Task*>(task);
    if (sleeper == nullptr) return;  // the kernel's own
    if (current_[core.id()] != sleeper) return context_switch(*sleeper, core);
    // To the idle task, which keeps the address space, and back.
    const Because because(core, Cause::kSwitch);
    for (unsigned i = 0; i < 2; ++i) {
      core.execute(system_.path().context_switch);
      thread_switch(core, system_.profile.switch_milli_isb);
    }
  };
}

void Scheduler::pull(Task& t, unsigned cpu) {
  if (current_[t.cpu] == &t) {
    current_[t.cpu] = nullptr;
    enter_lazy(system_.machine.core(t.cpu));
  }
  t.cpu = cpu;
  t.left_at = switches_[cpu];
}

// __switch_to(): the thread may go on elsewhere, and has keys of its own for pointer
// authentication.
void Scheduler::thread_switch(cpu::Core& core, std::uint64_t milli_isb) {
  Taps& taps = system_.taps;
  if (taps.observer != nullptr) taps.observer->switching(core);
  if (system_.profile.switch_reads_register) {
    taps.injector.at(core, FaultSite::kSaveSwitch,
                     [this](cpu::Core& on) { system_.protection->save(on); });
  }
  taps.injector.at(core, FaultSite::kDsbSwitch, [](cpu::Core& on) { on.dsb_ish(); });
  if (system_.machine.profile().pauth) {
    taps.injector.at(core, FaultSite::kIsbSwitch, [](cpu::Core& on) { on.isb(); });
  }
  read_clock(core, milli_isb);
}

void Scheduler::switch_mm(Mm& mm, cpu::Core& core) {
  if (X86Tlb* const x86 = system_.flush.x86()) {
    x86->switch_mm(core, mm.space, mm.root());
    if (std::exchange(mm_on_[core.id()], &mm) != &mm) {
      system_.exposure.switch_to(core.id(), mm.root());
    }
    return;
  }
  const AsidAllocator::Switch now = asids_.switch_to(mm.space, core.id());
  if (now.flush) {
    system_.flush.local_all(core, FlushSite::kAsidRollover);
    if (system_.taps.observer != nullptr) system_.taps.observer->generation_flushed(core);
  }
  if (now.alone) system_.flush.alone_changed(core);
  const std::uint64_t ttbr1 =
      mmu::ttbr::kAsid.set(address_of(system_.linear_map.root()).value, mm.space.asid.value);
  core.msr_ttbr(address_of(mm.root()).value, ttbr1);
  for (unsigned i = 0; i < system_.profile.switch_mm_isb; ++i) {
    system_.taps.injector.at(core, FaultSite::kIsbSwitchMm, [](cpu::Core& on) { on.isb(); });
  }
  mm_on_[core.id()] = &mm;
  system_.exposure.switch_to(core.id(), mm.root());
}

void Scheduler::leave(const Mm& mm, cpu::Core& core) {
  const mmu::Registers& regs = core.mmu().registers();
  if (regs.ttbr0 == address_of(mm.root()).value) {  // it runs on the kernel's tables alone
    system_.exposure.switch_to(core.id(), system_.linear_map.root());
    // x86-64 has it loaded until the flush, which finds this core lazy.
    if (system_.flush.x86() == nullptr)
      core.msr_ttbr(address_of(system_.zero_page).value, regs.ttbr1);
  }
  std::replace(mm_on_.begin(), mm_on_.end(), &mm, static_cast<const Mm*>(nullptr));
}

void Scheduler::enter_lazy(const cpu::Core& core) {
  if (X86Tlb* const x86 = system_.flush.x86()) x86->enter_lazy(core.id());
}

void Scheduler::run_kernel_threads(cpu::Core& core, unsigned runs) {
  if (runs == 0) return;
  const Because because(core, Cause::kTimer);
  const KernelProfile& profile = system_.profile;
  const bool pauth = system_.machine.profile().pauth;
  const X86Tlb* const x86 = system_.flush.x86();
  const bool was_lazy = x86 != nullptr && x86->is_lazy(core.id());
  enter_lazy(core);
  // ptrauth_thread_switch_user(): a kernel thread has no user keys enabled in SCTLR_EL1.
  if (pauth) isb_of_keys(core);
  for (; runs != 0; --runs) {
    read_clock(core, profile.wake_milli_isb);
    thread_switch(core, profile.thread_switch_milli_isb);
    core.execute(system_.path().kernel_thread);
  }
  thread_switch(core, profile.thread_switch_milli_isb);
  if (pauth) isb_of_keys(core);
  // Back to the task, unless that has given its address space up (exit, exec).
  if (x86 == nullptr || was_lazy || !x86->is_lazy(core.id())) return;
  const Task* const current = current_[core.id()];
  if (current != nullptr && current->mm) switch_mm(*current->mm, core);
}

// ptrauth_thread_switch_user()
void Scheduler::isb_of_keys(cpu::Core& core) {
  system_.taps.injector.at(core, FaultSite::kIsbKernelThread, [](cpu::Core& on) { on.isb(); });
}

void Scheduler::read_clock(cpu::Core& core, std::uint64_t milli_isb) {
  for (clock_millis_ += milli_isb; clock_millis_ >= 1000; clock_millis_ -= 1000) {
    system_.taps.injector.at(core, FaultSite::kIsbClock, [](cpu::Core& on) { on.isb(); });
  }
}

}  // namespace kpksim::kernel
