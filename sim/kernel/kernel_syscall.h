#pragma once
// A system call of a task, from its entry to its exit: for the files that implement Kernel.

#include <cstdint>
#include <exception>

#include "sim/kernel/cause.h"
#include "sim/kernel/entry.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/span.h"

namespace kpksim::kernel {

class Kernel::Syscall {
 public:
  Syscall(Kernel& kernel, std::uint32_t id, Trigger trigger)
      : kernel_(kernel),
        task_(kernel.tasks_.get(id)),
        core_(kernel.scheduler_.run_on(task_)),
        span_(kernel.system_.taps, core_, work_of(trigger)) {
    System& system = kernel.system_;
    kernel.access_.begin(task_, core_);
    const Because because(core_, Cause::kSyscall);
    enter_kernel(core_, system.machine.profile(), system.taps.injector);
    core_.execute(system.path().syscall);
    // fp_user_discard(): a call may lose what of the registers SVE alone has.
    if (task_.sve) core_.execute(system.path().sve_discard);
    kernel.system_.used(core_, Trigger::kEntry);
    kernel.system_.used(core_, trigger);
  }
  ~Syscall() noexcept(false) {
    // The kernel has died. What is done now could have to wait for other cores, which are at an
    // end.
    if (kernel_.system_.interleaving && std::uncaught_exceptions() != 0) return;
    kernel_.clock_.softirq(core_);
    const Because because(core_, Cause::kSyscall);
    if (returns_) leave_kernel(core_);
  }
  void does_not_return() { returns_ = false; }
  Syscall(const Syscall&) = delete;
  Syscall& operator=(const Syscall&) = delete;
  Task& task() { return task_; }
  Mm& mm() { return *task_.mm; }
  cpu::Core& core() { return core_; }

 private:
  Kernel& kernel_;
  Task& task_;
  cpu::Core& core_;
  const Span span_;
  bool returns_ = true;
};

}  // namespace kpksim::kernel
