#pragma once
// Accesses of programs to their memory, and of the kernel on their behalf, with the faults that
// they take (do_page_fault()).

#include <cstdint>

#include "sim/kernel/clock.h"
#include "sim/kernel/task.h"

namespace kpksim::kernel {

class UserAccess {
 public:
  // Instructions of a program for each access: a loop over pages, as fault_64m of
  // tools/kernel-truth (131,080 user instructions for 16,384 pages). For the timer only.
  static constexpr std::uint64_t kInstructions = 8;

  UserAccess(System& system, Scheduler& scheduler, Clock& clock)
      : system_(system), scheduler_(scheduler), clock_(clock) {}

  // What a task's first instructions bring.
  void begin(Task& t, cpu::Core& core) {
    if (t.fresh || t.sve_trap) [[unlikely]]
      arrive(t, core);
  }

  // One access; false: the program would be killed (SIGSEGV), or the call fails (EFAULT).
  bool by_program(Task& t, std::uint64_t address, poe::AccessKind kind);
  // put_user() and its like: a fault is taken from EL1. `core` runs the task's call.
  bool in_call(Task& t, std::uint64_t address, poe::AccessKind kind, cpu::Core& core);
  // The same where the workload shows no call.
  bool by_kernel(Task& t, std::uint64_t address, poe::AccessKind kind);

  // How many pages of [start, start + length) have no entry yet, huge ones neither. Nothing of it
  // is counted.
  std::uint64_t missing_pages(const Mm& mm, std::uint64_t start, std::uint64_t length) const;
  std::uint64_t segv_count() const { return segv_; }

 private:
  enum class From : std::uint8_t { kProgram, kCall };
  void arrive(Task& t, cpu::Core& core);
  FaultResult fault(Task& t, std::uint64_t address, poe::AccessKind kind, From from,
                    cpu::Core& core);
  FaultResult locked_fault(Mm& mm, std::uint64_t address, poe::AccessKind kind, From from,
                           cpu::Core& core);

  System& system_;
  Scheduler& scheduler_;
  Clock& clock_;
  std::uint64_t segv_ = 0;
};

}  // namespace kpksim::kernel
