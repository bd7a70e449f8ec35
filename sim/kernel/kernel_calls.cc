// The calls that change a task's memory and files: each enters the kernel, and is the work of its
// address space or of the file.

#include "sim/kernel/kernel.h"
#include "sim/kernel/kernel_syscall.h"

namespace kpksim::kernel {
namespace {

// What changes entries of VMAs that stay as they are. Linux has mmap_lock to read (or to write, for
// MADV_COLLAPSE) and looks again under each page-table lock. The model's functions look once, so
// that nobody may fault there meanwhile.
class ChangePages {
 public:
  ChangePages(Mm& mm, std::uint64_t start, std::uint64_t end, cpu::Core& core)
      : held_(mm.locks, core) {
    mm.start_write(start, end, core);
  }

 private:
  const MmLocks::Write held_;
};

}  // namespace

std::uint64_t Kernel::mmap(std::uint32_t id, Vma vma, std::uint64_t length, std::uint64_t address,
                           bool populate, bool fixed) {
  Syscall call(*this, id, Trigger::kMmap);
  if (vma.shared && !vma.file) {  // shmem: an unnamed file of its own
    vma.file = vma.shmem = true;
    vma.file_id = files_.unnamed();
  }
  Mm& mm = call.mm();
  mm.lock_if_asked(vma);
  const bool bring = populate || vma.locked;
  if (vma.hugetlb != 0) length = files_.reserve_hugetlb(vma, length, call.core());
  const std::vector<FileRange> files = mm.anonymous_files(address, address + length);
  std::uint64_t at = 0;
  {
    const MmLocks::Write lock(mm.locks, call.core());
    at = mm.mmap(vma, length, address, call.core(), fixed);
  }
  files_.drop_unmapped(files, call.core());
  if (bring) {  // mm_populate()
    const MmLocks::Read lock(mm.locks, call.core());
    mm.populate_mapping(at, at + length, call.core());
  }
  return at;
}

void Kernel::mlock(std::uint32_t id, std::uint64_t start, std::uint64_t length, Lock lock) {
  Syscall call(*this, id, Trigger::kMlock);
  const MmLocks::Write held(call.mm().locks, call.core());
  call.mm().mlock(start, start + length, lock, call.core());
}

void Kernel::mlock_all(std::uint32_t id, Lock lock, bool current, bool future) {
  Syscall call(*this, id, Trigger::kMlock);
  const MmLocks::Write held(call.mm().locks, call.core());
  call.mm().mlock_all(lock, current, future, call.core());
}

void Kernel::madvise_collapse(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id, Trigger::kMadvise);
  const ChangePages lock(call.mm(), start, start + length, call.core());
  call.mm().madvise_collapse(start, start + length, call.core());
}

bool Kernel::munmap(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id, Trigger::kMunmap);
  const Because because(call.core(), Cause::kMunmap);
  Mm& mm = call.mm();
  const std::vector<FileRange> files = mm.anonymous_files(start, start + length);
  bool any = false;
  {
    const MmLocks::Write lock(mm.locks, call.core());
    any = mm.munmap(start, start + length, call.core());
  }
  files_.drop_unmapped(files, call.core());
  return any;
}

bool Kernel::mprotect(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool r, bool w,
                      bool x) {
  Syscall call(*this, id, Trigger::kMprotect);
  const MmLocks::Write lock(call.mm().locks, call.core());
  return call.mm().mprotect(start, start + length, r, w, x, call.core());
}

bool Kernel::madvise_dontneed(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                              bool locked_too) {
  Syscall call(*this, id, Trigger::kMadvise);
  Mm& mm = call.mm();
  if (!mm.any_hugetlb(start, start + length)) {
    const MmLocks::Read lock(mm.locks, call.core());
    return mm.madvise_dontneed(start, start + length, locked_too, call.core());
  }
  const ChangePages lock(mm, start, start + length, call.core());
  return mm.madvise_dontneed(start, start + length, locked_too, call.core());
}

bool Kernel::madvise_free(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id, Trigger::kMadvise);
  const ChangePages lock(call.mm(), start, start + length, call.core());
  return call.mm().madvise_free(start, start + length, call.core());
}

void Kernel::madvise_huge(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                          HugeAdvice advice) {
  Syscall call(*this, id, Trigger::kMadvise);
  const MmLocks::Write lock(call.mm().locks, call.core());
  call.mm().madvise_huge(start, start + length, advice, call.core());
}

void Kernel::madvise_fork(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                          bool dont_fork) {
  Syscall call(*this, id, Trigger::kMadvise);
  const MmLocks::Write lock(call.mm().locks, call.core());
  call.mm().madvise_fork(start, start + length, dont_fork, call.core());
}

bool Kernel::madvise_wipe(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool wipe) {
  Syscall call(*this, id, Trigger::kMadvise);
  const MmLocks::Write lock(call.mm().locks, call.core());
  return call.mm().madvise_wipe(start, start + length, wipe, call.core());
}

bool Kernel::madvise_guard(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                           bool install) {
  Syscall call(*this, id, Trigger::kMadvise);
  if (!system_.profile.guard_pages) return false;  // EINVAL: advice that it does not know
  Mm& mm = call.mm();
  const ChangePages lock(mm, start, start + length, call.core());
  return install ? mm.guard_install(start, start + length, call.core())
                 : mm.guard_remove(start, start + length, call.core());
}

bool Kernel::madvise_pageout(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id, Trigger::kMadvise);
  const ChangePages lock(call.mm(), start, start + length, call.core());
  return call.mm().madvise_pageout(start, start + length, call.core());
}

bool Kernel::madvise_cold(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id, Trigger::kMadvise);
  const ChangePages lock(call.mm(), start, start + length, call.core());
  return call.mm().madvise_cold(start, start + length, call.core());
}

void Kernel::madvise_populate(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                              bool write) {
  Syscall call(*this, id, Trigger::kMadvise);
  const MmLocks::Read lock(call.mm().locks, call.core());
  call.mm().populate(start, start + length, write, call.core());
}

std::uint64_t Kernel::mremap(std::uint32_t id, const Remap& remap) {
  Syscall call(*this, id, Trigger::kMremap);
  Mm& mm = call.mm();
  std::vector<FileRange> files = mm.anonymous_files(remap.start, remap.start + remap.length);
  for (const FileRange& f :
       mm.anonymous_files(remap.new_address, remap.new_address + remap.new_length)) {
    files.push_back(f);
  }
  std::uint64_t at = 0;
  {
    const MmLocks::Write lock(mm.locks, call.core());
    at = mm.mremap(remap, call.core());
  }
  files_.drop_unmapped(files, call.core());
  return at;
}

void Kernel::set_brk(std::uint32_t id, std::uint64_t address) {
  Syscall call(*this, id, Trigger::kBrk);
  const MmLocks::Write lock(call.mm().locks, call.core());
  call.mm().set_brk(address, call.core());
}

bool Kernel::punch_hole(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id, Trigger::kFile);
  const Because because(call.core(), Cause::kMunmap);
  const auto part = call.mm().file_range(start, length);
  if (part) files_.punch_hole(*part, call.core());
  return part.has_value();
}

void Kernel::truncate(std::uint32_t id, std::uint32_t file_id, std::uint64_t bytes) {
  Syscall call(*this, id, Trigger::kFile);
  const Because because(call.core(), Cause::kMunmap);
  files_.truncate(file_id, align_up(bytes, kPageSize) >> kPageShift, call.core());
}

void Kernel::close_file(std::uint32_t id, std::uint32_t file_id, const Call& kind) {
  Syscall call(*this, id, Trigger::kFile);
  const Because because(call.core(), Cause::kMunmap);
  call.core().execute(system_.path().small_call);
  files_.cache().close(file_id);
  files_.drop_unmapped({{file_id}}, call.core());
  use_files(call.task(), kind, call.core());
}

std::uint64_t Kernel::missing_pages(std::uint32_t id, std::uint64_t start,
                                    std::uint64_t length) const {
  const Task* t = tasks_.find(id);
  return t == nullptr || t->mm == nullptr ? 0 : access_.missing_pages(*t->mm, start, length);
}

}  // namespace kpksim::kernel
