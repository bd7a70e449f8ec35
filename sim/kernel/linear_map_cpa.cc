// Changes of the linear map as x86 makes them (arch/x86/mm/pat/set_memory.c: "change page
// attributes"). The range is walked once. A block stays whole if the change alters nothing in it
// (whatever part of it the range has), or if the range has all of it; else it is split one level
// down and looked at again (__should_split_large_page()). There are no contiguous runs.
//
// A block is split in place: its entry becomes a table's, without an invalid one in between, as
// x86 asks for no break before make. But every core drops all that it has cached after each split
// (flush_tlb_all() in __split_large_page()), before any of the new entries is changed, as the SDM
// does not define what a core does that holds the block and a page of other rights (4.10.2.3).
// That is one IPI for each other core and each split, beyond the flush of the range itself.
//
// cpa_lock is held while a leaf is looked at and changed, or split, with that flush; who comes
// second finds the block split (__split_large_page() looks again too).

#include <optional>

#include "sim/kernel/linear_map.h"

namespace kpksim::kernel {

bool LinearMap::cpa_splits(const Entry& leaf, VirtAddr va, VirtAddr end,
                           const Change& change) const {
  if (leaf.level == mmu::kLastLevel) return false;
  if (applied(change, leaf.descriptor).raw == leaf.descriptor.raw) return false;
  const std::uint64_t size = 1ull << mmu::level_shift(leaf.level);
  return !is_aligned(va.value, size) || end - va < size;
}

void LinearMap::cpa_split(cpu::Core& core, FlushSite site, const Entry& block) {
  {
    const LazySection lazy(tables_, core, Target());
    split_block(core, block, table_source_->allocate_for_split(core), false);
  }
  ++(block.level == 1 ? statistics_.split_pud : statistics_.split_pmd);
  flush_.all(core, site);
}

LinearMap::Done LinearMap::cpa(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end,
                               const Change& change) {
  Done done;
  // Only the first and the last leaf can be covered in part. Getting tables ready may itself split
  // here, so that each leaf is looked up again below.
  const VirtAddr last = end - kPageSize;
  done.split = cpa_splits(leaf_of(core, start), start, end, change) ||
               cpa_splits(leaf_of(core, last), last, end, change);
  if (done.split) table_source_->prepare_split(core);
  std::optional<LazySection> lazy;
  for (VirtAddr va = start; va < end;) {
    const Spinning held(locks_, cpa_lock_, core, LockKind::kCpa);
    const Entry leaf = leaf_of(core, va);
    if (cpa_splits(leaf, va, end, change)) {
      lazy.reset();  // no window stays open while others are waited for
      cpa_split(core, site, leaf);
      continue;
    }
    const mmu::Descriptor now = applied(change, leaf.descriptor);
    if (now.raw != leaf.descriptor.raw) {
      if (!lazy) lazy.emplace(tables_, core, Target());
      tables_.set_pte(core, leaf.address, now, true);
      done.changed = true;
    }
    const std::uint64_t size = 1ull << mmu::level_shift(leaf.level);
    va = VirtAddr(align_down(va.value, size) + size);
  }
  return done;
}

}  // namespace kpksim::kernel
