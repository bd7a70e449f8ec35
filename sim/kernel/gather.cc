#include "sim/kernel/gather.h"

#include "sim/kernel/path.h"

namespace kpksim::kernel {

void Gather::flush(cpu::Core& core) {
  if (end_ != 0) {
    // tlb_flush() of arm64: a full mm needs no per-page work, and none at all if no table goes
    if (full_mm_) {
      if (freed_tables_) system_.flush.mm(core, FlushSite::kExitMm, mm_.asid);
    } else {
      const unsigned shift = shift_ == 64 ? kPageShift : shift_;
      // The TTL hint holds only if entries of one level alone were cleared.
      const unsigned level = freed_tables_ ? 0 : 3 - (shift - kPageShift) / 9;
      system_.flush.range(core, site_, mm_.asid, VirtAddr(start_), VirtAddr(end_), 1ull << shift,
                          !freed_tables_, level);
    }
  }
  core.execute(path::kFreePage * pages_.size());
  for (const Pfn pfn : pages_) system_.buddy.free(pfn, system_.page(pfn).order);
  for (const Pfn table : tables_) system_.free_table_rcu(table);
  pages_.clear();
  tables_.clear();
  freed_tables_ = false;
  shift_ = 64;
  start_ = ~0ull;
  end_ = 0;
}

}  // namespace kpksim::kernel
