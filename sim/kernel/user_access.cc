#include "sim/kernel/user_access.h"

#include <algorithm>

#include "sim/kernel/cause.h"
#include "sim/kernel/entry.h"
#include "sim/kernel/kernel_exception.h"
#include "sim/kernel/span.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {
namespace {

constexpr int kAttempts = 4;  // of one access: a fault that was handled may leave another

}  // namespace

void UserAccess::arrive(Task& t, cpu::Core& core) {
  if (t.fresh) {
    t.fresh = false;
    const Because because(core, Cause::kFork);
    leave_kernel(core);  // ret_from_fork
  }
  if (t.sve_trap) {  // do_sve_acc(): the C library uses it at once
    t.sve_trap = false;
    t.sve = true;
    const Because because(core, Cause::kExec);
    enter_kernel(core, system_.machine.profile(), system_.taps.injector);
    core.execute(system_.path().syscall);
    leave_kernel(core);
  }
}

inline FaultResult UserAccess::fault(Task& t, std::uint64_t address, poe::AccessKind kind,
                                     From from, cpu::Core& core) {
  system_.used(core, Trigger::kPageFault);
  const FaultResult result = locked_fault(*t.mm, address, kind, from, core);
  clock_.softirq(core);
  return result;
}

// do_page_fault(): a program's fault tries the VMA's lock, one of the kernel takes mmap_lock. Where
// the stack has to grow, mmap_lock is taken to write (lock_mm_and_find_vma()).
inline FaultResult UserAccess::locked_fault(Mm& mm, std::uint64_t address, poe::AccessKind kind,
                                            From from, cpu::Core& core) {
  const auto handle = [&] {
    return mm.handle_fault(VirtAddr(address), kind == poe::AccessKind::kWrite,
                           kind == poe::AccessKind::kExecute, core);
  };
  if (mm.locks.off()) return handle();
  if (!mm.grows_at(address)) {
    const MmLocks::Fault lock(mm.locks, address, from == From::kProgram, core);
    if (!mm.grows_at(address)) return handle();  // it may have been unmapped meanwhile
  }
  const MmLocks::Write lock(mm.locks, core);
  mm.locks.start_write(0, kUserEnd, core);
  return handle();
}

bool UserAccess::by_program(Task& t, std::uint64_t address, poe::AccessKind kind) {
  cpu::Core& core = scheduler_.run_on(t);
  begin(t, core);
  core.pass(kInstructions);
  core.turn(cpu::Seen::kByAddressSpace);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (!core.user_access(VirtAddr(address), kind)) return true;
    const Span span(system_.taps, core, work_of(Trigger::kPageFault));
    const Because because(core, Cause::kFault);
    enter_kernel(core, system_.machine.profile(), system_.taps.injector);
    const FaultResult result = fault(t, address, kind, From::kProgram, core);
    leave_kernel(core);
    if (result == FaultResult::kSegv) break;
  }
  ++segv_;
  return false;
}

bool UserAccess::in_call(Task& t, std::uint64_t address, poe::AccessKind kind, cpu::Core& core) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (!core.unprivileged_access(VirtAddr(address), kind)) return true;
    const Span span(system_.taps, core, work_of(Trigger::kPageFault));
    const Because because(core, Cause::kFault);
    const FaultResult result =
        from_kernel(system_, core, [&] { return fault(t, address, kind, From::kCall, core); });
    if (result == FaultResult::kSegv) break;
  }
  ++segv_;
  return false;
}

bool UserAccess::by_kernel(Task& t, std::uint64_t address, poe::AccessKind kind) {
  cpu::Core& core = scheduler_.run_on(t);
  const unsigned level = core.level();
  core.continue_at(1);
  const bool done = in_call(t, address, kind, core);
  core.continue_at(level);
  return done;
}

// Reads the tables without a core: nothing of it is counted.
std::uint64_t UserAccess::missing_pages(const Mm& mm, std::uint64_t start,
                                        std::uint64_t length) const {
  cpu::Machine& machine = system_.machine;
  mmu::Registers regs = machine.core(0).mmu().registers();
  regs.ttbr0 = address_of(mm.root()).value;
  std::uint64_t missing = 0;
  for (std::uint64_t va = start, next = 0; va < start + length; va = next) {
    const mmu::WalkResult found = mmu::walk(machine.memory(), regs, VirtAddr(va));
    const bool none = found.fault.kind == mmu::FaultKind::kTranslation;
    constexpr unsigned kBits = kPmdShift - kPageShift;  // of an index, at each level
    const unsigned bits = none ? kPageShift + kBits * (3 - found.fault.level) : found.page_bits;
    next = std::min<std::uint64_t>(start + length, (va | ((1ull << bits) - 1)) + 1);
    if (none) missing += (next - va + kPageSize - 1) >> kPageShift;
  }
  return missing;
}

}  // namespace kpksim::kernel
