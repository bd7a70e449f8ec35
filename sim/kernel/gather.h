#pragma once
// mmu_gather (include/asm-generic/tlb.h, mm/mmu_gather.c): collects the pages and tables that an
// unmapping frees, flushes the TLB once for a batch, and only then gives them back.

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/kernel/system.h"

namespace kpksim::kernel {

class Gather {
 public:
  // full_mm: the whole address space goes (exit_mmap).
  Gather(System& system, AddressSpace& space, bool full_mm, FlushSite site)
      : system_(system), space_(space), full_mm_(full_mm), site_(site) {}

  // tlb_flush_pte_range() and its like: an entry of `level` at [va, va + size) changed.
  void changed(std::uint64_t va, std::uint64_t size, unsigned level) {
    start_ = std::min(start_, va);
    end_ = std::max(end_, va + size);
    levels_ |= 1u << level;
  }
  // `count` mappings of the folio at `head` are gone; they are dropped after the flush. True: the
  // batch is full, flush now.
  bool remove_folio(Pfn head, unsigned count);
  // The same of a reserved huge page, which one slot stands for.
  bool remove_hugetlb(const HugetlbSize& size, Pfn head) {
    huge_.push_back({&size, head});
    return ++slots_ >= kSlots;
  }
  // tlb_unshare_pmd_ptdesc(): a table that others use too was unhooked from the entry for `va`.
  void unshared(std::uint64_t va) {
    changed(align_down(va, kPudSize), kPudSize, 2);
    unshared_tables_ = true;
  }
  // tlb_flush_unshared_tables(): before anybody may change such a table.
  void flush_unshared(cpu::Core& core) {
    if (unshared_tables_) flush_tlb(core);
  }
  // tlb_remove_table(): the table of `level` + 1 that mapped `va` was unhooked from an entry of
  // `level`; flushes by itself when a page full of them is collected.
  void remove_table(cpu::Core& core, Pfn table, std::uint64_t va, unsigned level);

  // tlb_flush_mmu_tlbonly() and tlb_flush_mmu().
  void flush_tlb(cpu::Core& core);
  void flush(cpu::Core& core);
  // tlb_end_vma(): unless the whole address space goes, ranges do not span VMAs.
  void end_vma(cpu::Core& core) {
    if (!full_mm_) flush_tlb(core);
  }

 private:
  // Batches of pages: one of MMU_GATHER_BUNDLE slots and up to MAX_GATHER_BATCH_COUNT pages of
  // them, each left when only one slot is free (a folio may need two).
  static constexpr std::size_t kBundle = 8;
  static constexpr std::size_t kBatch = (kPageSize - 16) / 8;
  static constexpr std::size_t kBatches = 10000 / kBatch;
  static constexpr std::size_t kSlots = (kBundle - 1) + kBatches * (kBatch - 1);

  struct FolioPages {
    Pfn head;
    unsigned count;
  };

  System& system_;
  AddressSpace& space_;
  bool full_mm_;
  FlushSite site_;
  bool freed_tables_ = false, unshared_tables_ = false;
  unsigned levels_ = 0;  // bit n: entries of level n changed
  std::uint64_t start_ = ~0ull, end_ = 0;
  std::vector<FolioPages> folios_;
  std::vector<std::pair<const HugetlbSize*, Pfn>> huge_;
  std::size_t slots_ = 0;  // of the batches' arrays
  std::vector<Pfn> tables_;
};

}  // namespace kpksim::kernel
