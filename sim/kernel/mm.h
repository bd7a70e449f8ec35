#pragma once
// An address space (mm_struct): its VMAs, page tables and ASID, and the operations that change them
// as mm/ does: faults, fork's copy, zapping through the mmu_gather, mprotect, mremap.

#include <cstdint>
#include <map>
#include <unordered_map>

#include "sim/kernel/system.h"

namespace kpksim::kernel {

struct Vma {
  std::uint64_t start = 0, end = 0;  // page-aligned, [start, end)
  bool read = false, write = false, exec = false;
  bool shared = false, file = false;
  bool huge = false;      // MADV_HUGEPAGE
  bool anon_vma = false;  // private pages may exist: fork must copy
  std::uint32_t file_id = 0;
  std::uint64_t file_offset = 0;  // bytes, of `start`
};

// The page cache: which page holds which page of which file.
class PageCache {
 public:
  // The page, allocated at the first use ("read from disk").
  Pfn get(System& system, cpu::Core& core, std::uint32_t file, std::uint64_t index);

 private:
  std::unordered_map<std::uint64_t, Pfn> pages_;
};

enum class FaultResult : std::uint8_t { kHandled, kSegv };

class Mm {
 public:
  Mm(System& system, PageCache& cache, cpu::Core& core);

  // Address-space calls. Ranges are page-aligned by the caller.
  std::uint64_t mmap(Vma vma, std::uint64_t length, std::uint64_t address, cpu::Core& core);
  // False if nothing was mapped there.
  bool munmap(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  bool mprotect(std::uint64_t start, std::uint64_t end, bool r, bool w, bool x, cpu::Core& core);
  void madvise_dontneed(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  void madvise_free(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  void set_huge(std::uint64_t start, std::uint64_t end, bool huge, cpu::Core& core);
  std::uint64_t mremap(std::uint64_t start, std::uint64_t length, std::uint64_t new_length,
                       std::uint64_t new_address, cpu::Core& core);
  // dup_mmap(): copies VMAs and page tables into `child`, then flushes this address space.
  void fork_into(Mm& child, cpu::Core& core);
  // exit_mmap(): everything goes, in one gather of the full mm.
  void exit(cpu::Core& core);

  FaultResult handle_fault(VirtAddr va, bool write, bool exec, cpu::Core& core);

  Pfn root() const { return root_; }
  const std::map<std::uint64_t, Vma>& vmas() const { return vmas_; }

  // ASID allocation (arch/arm64/mm/context.c).
  Asid asid;
  std::uint64_t asid_generation = 0;
  std::uint64_t brk_start = 0, brk = 0;
  unsigned users = 1;  // tasks

 private:
  friend class Gather;

  Vma* find_vma(std::uint64_t va);
  void split_vma(std::uint64_t at);
  // Calls fn(table entries' address, va, end) for each PTE table in [start, end) and
  // block(entry, va) for each block at level 2.
  template <class OnTable, class OnBlock>
  void for_tables(std::uint64_t start, std::uint64_t end, cpu::Core& core, OnTable&& on_table,
                  OnBlock&& on_block);
  void zap(class Gather& gather, std::uint64_t start, std::uint64_t end, cpu::Core& core);
  void free_tables(class Gather& gather, std::uint64_t start, std::uint64_t end, cpu::Core& core);
  void split_huge(PhysAddr entry, std::uint64_t va, cpu::Core& core);
  void split_huge_at(std::uint64_t va, cpu::Core& core);
  void split_huge_range(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  void unmap_range(std::uint64_t start, std::uint64_t end, bool tables, cpu::Core& core);
  bool huge_fault(Vma& vma, std::uint64_t va, cpu::Core& core);
  void map_page(PhysAddr entry, Pfn pfn, const Vma& vma, bool writable, cpu::Core& core);
  void cow(Vma& vma, PhysAddr entry, mmu::Descriptor old, std::uint64_t va, cpu::Core& core);
  void file_fault(Vma& vma, PhysAddr entry, std::uint64_t va, bool write, cpu::Core& core);
  void copy_range(Mm& child, const Vma& vma, cpu::Core& core);
  std::uint64_t find_gap(std::uint64_t length) const;

  System& system_;
  PageCache& cache_;
  Pfn root_;
  std::map<std::uint64_t, Vma> vmas_;
};

}  // namespace kpksim::kernel
