#pragma once
// mmu_gather (mm/mmu_gather.c): collects pages and tables that an unmapping frees, flushes the TLB
// once for a batch, and only then gives them back.

#include <algorithm>
#include <vector>

#include "sim/kernel/mm.h"

namespace kpksim::kernel {

class Gather {
 public:
  Gather(System& system, Mm& mm, bool full_mm, FlushSite site)
      : system_(system), mm_(mm), full_mm_(full_mm), site_(site) {}

  // An entry of 2^shift bytes at va was cleared.
  void cleared(std::uint64_t va, unsigned shift) {
    grow(va, va + (1ull << shift));
    shift_ = std::min(shift_, shift);
  }
  // A page is to be freed after the flush. True: the batch is full, flush now.
  bool remove_page(Pfn pfn) {
    pages_.push_back(pfn);
    return pages_.size() >= kBatch;
  }
  // A table that mapped [va, va + size) was unhooked.
  void remove_table(Pfn table, std::uint64_t va, std::uint64_t size) {
    grow(va, va + size);
    tables_.push_back(table);
    freed_tables_ = true;
  }

  // tlb_flush_mmu()
  void flush(cpu::Core& core);

 private:
  // MMU_GATHER_BUNDLE + MAX_GATHER_BATCH_COUNT batches of (4096 - 16) / 8 pages
  static constexpr std::size_t kBatch = 8 + 19 * 510;

  void grow(std::uint64_t start, std::uint64_t end) {
    start_ = std::min(start_, start);
    end_ = std::max(end_, end);
  }

  System& system_;
  Mm& mm_;
  bool full_mm_;
  FlushSite site_;
  bool freed_tables_ = false;
  unsigned shift_ = 64;
  std::uint64_t start_ = ~0ull, end_ = 0;
  std::vector<Pfn> pages_;
  std::vector<Pfn> tables_;
};

}  // namespace kpksim::kernel
