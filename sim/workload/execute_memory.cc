// Operations on a task's memory: mmap() and its like, madvise(), mlock(), brk().

#include <array>
#include <bit>

#include "sim/workload/execution.h"

namespace kpksim::workload {
namespace {

struct Rights {
  bool read, write, exec;
};
Rights rights(const Operation& op) {
  return {(op.prot & kProtRead) != 0, (op.prot & kProtWrite) != 0, (op.prot & kProtExec) != 0};
}

kernel::Vma vma_of(const Operation& op) {
  kernel::Vma vma;
  const Rights may = rights(op);
  vma.read = may.read;
  vma.write = may.write;
  vma.exec = may.exec;
  vma.shared = op.shared;
  vma.grows_down = op.grows_down;
  if (op.advice == Advice::kNoHugepage) vma.huge = kernel::HugeAdvice::kNoHugepage;
  vma.file = op.file;
  vma.shmem = op.shmem;
  vma.locked = op.locked;
  vma.file_id = op.file_id;
  vma.file_offset = op.file_offset;
  if (op.hugetlb != 0) vma.hugetlb = static_cast<std::uint8_t>(std::countr_zero(op.hugetlb));
  return vma;
}

void mmap(Execution& x, const Operation& op) {
  if (op.file_bytes != 0) x.kernel.file_has(op.file_id, op.file_bytes);
  const std::uint64_t at =
      x.kernel.mmap(op.task, vma_of(op), op.length, op.address, op.populate, op.fixed);
  if (op.unnamed) x.kernel.was_closed(op.file_id);
  if (op.region != 0) x.remember(op.region, {at, op.length});
}

void munmap(Execution& x, const Operation& op) {
  x.refuse_unless(x.kernel.munmap(op.task, x.address_of(op), op.length), op,
                  "nothing is mapped in this range");
}

void mprotect(Execution& x, const Operation& op) {
  const Rights may = rights(op);
  const bool done =
      x.kernel.mprotect(op.task, x.address_of(op), op.length, may.read, may.write, may.exec);
  x.refuse_unless(done, op, "nothing is mapped in this range");
}

bool advise(kernel::Kernel& kernel, const Operation& op, std::uint64_t at) {
  switch (op.advice) {
    case Advice::kDontNeed:
    case Advice::kDontNeedLocked:
      return kernel.madvise_dontneed(op.task, at, op.length, op.advice == Advice::kDontNeedLocked);
    case Advice::kFree:
      return kernel.madvise_free(op.task, at, op.length);
    case Advice::kHugepage:
    case Advice::kNoHugepage:
      kernel.madvise_huge(op.task, at, op.length,
                          op.advice == Advice::kHugepage ? kernel::HugeAdvice::kHugepage
                                                         : kernel::HugeAdvice::kNoHugepage);
      return true;
    case Advice::kDontFork:
    case Advice::kDoFork:
      kernel.madvise_fork(op.task, at, op.length, op.advice == Advice::kDontFork);
      return true;
    case Advice::kWipeOnFork:
    case Advice::kKeepOnFork:
      return kernel.madvise_wipe(op.task, at, op.length, op.advice == Advice::kWipeOnFork);
    case Advice::kGuardInstall:
    case Advice::kGuardRemove:
      return kernel.madvise_guard(op.task, at, op.length, op.advice == Advice::kGuardInstall);
    case Advice::kCold:
      return kernel.madvise_cold(op.task, at, op.length);
    case Advice::kPageout:
      return kernel.madvise_pageout(op.task, at, op.length);
    case Advice::kCollapse:
      kernel.madvise_collapse(op.task, at, op.length);
      return true;
    case Advice::kPopulateRead:
    case Advice::kPopulateWrite:
      kernel.madvise_populate(op.task, at, op.length, op.advice == Advice::kPopulateWrite);
      return true;
    case Advice::kOther:
      kernel.null_syscall(op.task);
      return true;
  }
  return false;
}

void madvise(Execution& x, const Operation& op) {
  x.refuse_unless(advise(x.kernel, op, x.address_of(op)), op,
                  "the kernel takes no such advice on this range");
}

kernel::Lock locked(const Operation& op) {
  return op.on_fault ? kernel::Lock::kOnFault : kernel::Lock::kNow;
}
void mlock(Execution& x, const Operation& op) {
  x.kernel.mlock(op.task, x.address_of(op), op.length, locked(op));
}
void munlock(Execution& x, const Operation& op) {
  x.kernel.mlock(op.task, x.address_of(op), op.length, kernel::Lock::kNone);
}
void mlockall(Execution& x, const Operation& op) {
  x.kernel.mlock_all(op.task, locked(op), op.current, op.future);
}
void munlockall(Execution& x, const Operation& op) {
  x.kernel.mlock_all(op.task, kernel::Lock::kNone, op.current, op.future);
}

void mremap(Execution& x, const Operation& op) {
  const std::uint64_t to = x.kernel.mremap(
      op.task, {x.address_of(op), op.length, op.new_length, op.new_address, op.dont_unmap});
  x.refuse_unless(to != 0, op, "what is mapped in this range cannot be remapped so");
  const RegionId target = op.new_region != 0 ? op.new_region : op.region;
  if (to != 0 && target != 0) x.remember(target, {to, op.new_length});
}

void brk(Execution& x, const Operation& op) {
  const std::uint64_t now = x.kernel.brk(op.task);
  if (!x.remembers(op.region)) x.remember(op.region, {now, 0});
  x.kernel.set_brk(op.task, op.shrink ? now - op.length : now + op.length);
}

constexpr auto kMemoryExecutors = std::to_array<Executor>({
    {OpKind::kMmap, mmap},
    {OpKind::kMunmap, munmap},
    {OpKind::kMprotect, mprotect},
    {OpKind::kMadvise, madvise},
    {OpKind::kMlock, mlock},
    {OpKind::kMunlock, munlock},
    {OpKind::kMlockAll, mlockall},
    {OpKind::kMunlockAll, munlockall},
    {OpKind::kMremap, mremap},
    {OpKind::kBrk, brk},
});

}  // namespace

std::span<const Executor> memory_executors() { return kMemoryExecutors; }

}  // namespace kpksim::workload
