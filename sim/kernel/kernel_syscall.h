#pragma once
// A system call of a task, from its entry to its exit: for the files that implement Kernel.

#include <cstdint>

#include "sim/kernel/cause.h"
#include "sim/kernel/kernel.h"

namespace kpksim::kernel {

class Kernel::Syscall {
 public:
  Syscall(Kernel& kernel, std::uint32_t id)
      : kernel_(kernel), core_(kernel.run_on(kernel.task(id))) {
    kernel.begin_user(kernel.task(id), core_);
    const Because because(core_, Cause::kSyscall);
    kernel_.enter_kernel(core_);
    core_.execute(kernel_.system_.path().syscall);
    // fp_user_discard(): a call may lose what of the registers SVE alone has.
    if (kernel_.task(id).sve) core_.execute(kernel_.system_.path().sve_discard);
  }
  ~Syscall() noexcept(false) {
    kernel_.softirq(core_);
    const Because because(core_, Cause::kSyscall);
    if (returns_) kernel_.leave_kernel(core_);
  }
  void does_not_return() { returns_ = false; }
  Syscall(const Syscall&) = delete;
  Syscall& operator=(const Syscall&) = delete;
  cpu::Core& core() { return core_; }

 private:
  Kernel& kernel_;
  cpu::Core& core_;
  bool returns_ = true;
};

}  // namespace kpksim::kernel
