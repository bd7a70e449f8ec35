#pragma once
// Files whose pages may be mapped: the page cache, and who must let go of pages that leave it.

#include <cstdint>
#include <vector>

#include "sim/kernel/task.h"

namespace kpksim::kernel {

class Files {
 public:
  Files(System& system, const Tasks& tasks) : system_(system), tasks_(tasks) {}

  PageCache& cache() { return cache_; }

  // shmem_fallocate(): all mappings of the range first, then the pages. Private copies stay.
  void punch_hole(const FileRange& range, cpu::Core& core);
  // shmem_setattr(), truncate_pagecache(): the file has so many pages from now on. What lies behind
  // them leaves all mappings, private copies too.
  void truncate(std::uint32_t file_id, std::uint64_t pages, cpu::Core& core);
  // shmem_evict_inode(): of these files, which nobody can open, those go that nobody has mapped.
  void drop_unmapped(const std::vector<FileRange>& files, cpu::Core& core);

  // A further file in memory without a name (shmem_zero_setup()).
  std::uint32_t unnamed();
  // hugetlbfs_file_mmap(): reserves the pages of a mapping; returns its length in whole huge pages.
  std::uint64_t reserve_hugetlb(Vma& vma, std::uint64_t length, cpu::Core& core);

 private:
  void unmap_everywhere(const FileRange& range, bool even_copies, cpu::Core& core);
  // `ends`: nothing of the file stays behind the range, so what is reserved there goes too.
  bool drop(const FileRange& range, bool ends, cpu::Core& core);

  System& system_;
  const Tasks& tasks_;
  PageCache cache_;
  std::uint32_t next_unnamed_ = 1u << 22;
};

}  // namespace kpksim::kernel
