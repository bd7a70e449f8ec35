// The calls that change a task's memory: each enters the kernel and is its address space's work.

#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/kernel_syscall.h"

namespace kpksim::kernel {

// hugetlbfs_file_mmap(): returns the length in whole huge pages.
std::uint64_t Kernel::reserve_hugetlb(Vma& vma, std::uint64_t length, cpu::Core& core) {
  const HugetlbSize& size = hugetlb_size(vma.hugetlb);
  length = align_up(length, size.bytes());
  core.execute(system_.path().hugetlb_mmap);
  vma.locked = vma.lock_on_fault = false;  // mmap_region(): its pages never leave
  if (vma.shared) {
    const std::uint64_t first = vma.file_offset >> size.shift;
    system_.hugetlb.reserve_file(size, vma.file_id, first, first + (length >> size.shift));
  } else {
    vma.reservation = system_.hugetlb.reserve(size, length >> size.shift);
  }
  const std::uint64_t end = (vma.file_offset + length) >> kPageShift;
  if (vma.file && vma.write && cache_.pages_of(vma.file_id) < end) {
    cache_.set_pages_of(vma.file_id, end);  // such a file grows with its mappings
  }
  return length;
}

std::uint64_t Kernel::mmap(std::uint32_t id, Vma vma, std::uint64_t length, std::uint64_t address,
                           bool populate, bool fixed) {
  Syscall call(*this, id);
  if (vma.shared && !vma.file) {  // shmem: an unnamed file of its own
    vma.file = vma.shmem = true;
    vma.file_id = next_shmem_++;
    cache_.close(vma.file_id);
  }
  Mm& mm = *task(id).mm;
  mm.lock_if_asked(vma);
  const bool bring = populate || vma.locked;
  if (vma.hugetlb != 0) length = reserve_hugetlb(vma, length, call.core());
  const std::vector<FileRange> files = mm.anonymous_files(address, address + length);
  const std::uint64_t at = mm.mmap(vma, length, address, call.core(), fixed);
  drop_unmapped(files, call.core());
  if (bring) mm.populate_mapping(at, at + length, call.core());
  return at;
}

void Kernel::mlock(std::uint32_t id, std::uint64_t start, std::uint64_t length, Lock lock) {
  Syscall call(*this, id);
  task(id).mm->mlock(start, start + length, lock, call.core());
}

void Kernel::mlock_all(std::uint32_t id, Lock lock, bool current, bool future) {
  Syscall call(*this, id);
  task(id).mm->mlock_all(lock, current, future, call.core());
}

void Kernel::madvise_collapse(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  task(id).mm->madvise_collapse(start, start + length, call.core());
}

bool Kernel::munmap(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kMunmap);
  Mm& mm = *task(id).mm;
  const std::vector<FileRange> files = mm.anonymous_files(start, start + length);
  const bool any = mm.munmap(start, start + length, call.core());
  drop_unmapped(files, call.core());
  return any;
}

bool Kernel::mprotect(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool r, bool w,
                      bool x) {
  Syscall call(*this, id);
  return task(id).mm->mprotect(start, start + length, r, w, x, call.core());
}

bool Kernel::madvise_dontneed(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                              bool locked_too) {
  Syscall call(*this, id);
  return task(id).mm->madvise_dontneed(start, start + length, locked_too, call.core());
}

bool Kernel::madvise_free(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  return task(id).mm->madvise_free(start, start + length, call.core());
}

void Kernel::madvise_huge(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                          HugeAdvice advice) {
  Syscall call(*this, id);
  task(id).mm->madvise_huge(start, start + length, advice, call.core());
}

void Kernel::madvise_fork(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                          bool dont_fork) {
  Syscall call(*this, id);
  task(id).mm->madvise_fork(start, start + length, dont_fork, call.core());
}

bool Kernel::madvise_wipe(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool wipe) {
  Syscall call(*this, id);
  return task(id).mm->madvise_wipe(start, start + length, wipe, call.core());
}

bool Kernel::madvise_guard(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                           bool install) {
  Syscall call(*this, id);
  if (!system_.profile.guard_pages) return false;  // EINVAL: advice that it does not know
  Mm& mm = *task(id).mm;
  return install ? mm.guard_install(start, start + length, call.core())
                 : mm.guard_remove(start, start + length, call.core());
}

bool Kernel::madvise_pageout(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  return task(id).mm->madvise_pageout(start, start + length, call.core());
}

bool Kernel::madvise_cold(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  return task(id).mm->madvise_cold(start, start + length, call.core());
}

void Kernel::madvise_populate(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                              bool write) {
  Syscall call(*this, id);
  task(id).mm->populate(start, start + length, write, call.core());
}

std::uint64_t Kernel::mremap(std::uint32_t id, const Remap& remap) {
  Syscall call(*this, id);
  Mm& mm = *task(id).mm;
  std::vector<FileRange> files = mm.anonymous_files(remap.start, remap.start + remap.length);
  for (const FileRange& f :
       mm.anonymous_files(remap.new_address, remap.new_address + remap.new_length)) {
    files.push_back(f);
  }
  const std::uint64_t at = mm.mremap(remap, call.core());
  drop_unmapped(files, call.core());
  return at;
}

void Kernel::set_brk(std::uint32_t id, std::uint64_t address) {
  Syscall call(*this, id);
  task(id).mm->set_brk(address, call.core());
}

}  // namespace kpksim::kernel
