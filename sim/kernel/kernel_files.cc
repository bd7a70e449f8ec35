// What happens to a file whose pages are mapped: a hole, another length, its end.

#include <algorithm>
#include <set>

#include "sim/kernel/cause.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/kernel_syscall.h"

namespace kpksim::kernel {

// unmap_mapping_range(): in each address space once, as threads share theirs.
void Kernel::unmap_everywhere(const FileRange& range, bool even_copies, cpu::Core& core) {
  std::set<const Mm*> done;
  for (const auto& [unused, t] : tasks_) {
    if (t.mm == nullptr || !done.insert(t.mm.get()).second) continue;
    t.mm->unmap_file(range, even_copies, core);
  }
}

void Kernel::drop_file(const FileRange& range, bool ends, cpu::Core& core) {
  cache_.drop(system_, core, range);
  for (const auto& [size, pfn] :
       system_.hugetlb.drop(range.file_id, range.first, range.last, ends)) {
    core.execute(system_.path().hugetlb_drop);
    system_.put_hugetlb(*size, pfn);
  }
}

// shmem_fallocate(): all mappings of the range first, then the pages. Private copies stay.
bool Kernel::punch_hole(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kMunmap);
  const auto part = task(id).mm->file_range(start, length);
  if (!part) return false;
  call.core().execute(system_.path().punch_hole);
  unmap_everywhere(*part, false, call.core());
  drop_file(*part, false, call.core());
  return true;
}

// shmem_setattr(), truncate_pagecache(): what lies behind the new end leaves all mappings, private
// copies too, before and, for those that were made meanwhile, after the pages go.
void Kernel::truncate(std::uint32_t id, std::uint32_t file_id, std::uint64_t bytes) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kMunmap);
  const std::uint64_t pages = align_up(bytes, kPageSize) >> kPageShift;
  const bool shorter = pages < cache_.pages_of(file_id);
  cache_.set_pages_of(file_id, pages);
  call.core().execute(system_.path().truncate);
  if (!shorter) return;
  const FileRange gone{file_id, pages};  // to the end of all mappings, empty entries too
  unmap_everywhere(gone, true, call.core());
  drop_file(gone, true, call.core());
  unmap_everywhere(gone, true, call.core());
}

void Kernel::close_file(std::uint32_t id, std::uint32_t file_id) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kMunmap);
  call.core().execute(system_.path().small_call);
  cache_.close(file_id);
  drop_unmapped({{file_id}}, call.core());
}

// shmem_evict_inode(): a file that nobody can open goes with its last mapping.
void Kernel::drop_unmapped(const std::vector<FileRange>& files, cpu::Core& core) {
  for (const FileRange& file : files) {
    const bool mapped = std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& t) {
      return t.second.mm != nullptr && t.second.mm->maps(file.file_id);
    });
    if (mapped) continue;
    drop_file(file, true, core);
    cache_.forget(file.file_id);
  }
}

}  // namespace kpksim::kernel
