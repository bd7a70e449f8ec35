// mremap() (mm/mremap.c): in place where there is room, else whole page tables are moved where both
// addresses allow it, and single entries elsewhere.

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/gather.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;

// move_normal_pmd() and move_huge_pmd()
bool Mm::move_pmd(std::uint64_t from, std::uint64_t to, cpu::Core& core) {
  const PhysAddr old_pmd = system_.find_entry(core, root_, VirtAddr(from), 2, false);
  const Descriptor d = read(core, old_pmd);
  const PhysAddr new_pmd = system_.find_entry(core, root_, VirtAddr(to), 2, true);
  if (!is_none(read(core, new_pmd))) return false;
  const PageTableLock lock(system_.tables, core, Target(frame_of(old_pmd)));
  const PageTableLock nested(system_.tables, core, Target(frame_of(new_pmd)));
  if (is_huge(d)) {
    core.execute(system_.path().move_huge);
    system_.tables.get_and_clear(core, old_pmd);
    system_.tables.set_pte(core, new_pmd, d, false);
    system_.flush.range(core, FlushSite::kMremap, space, VirtAddr(from), VirtAddr(from + kPmdSize),
                        kPmdSize, false, 2);
    return true;
  }
  core.execute(system_.path().move_table);
  system_.tables.set_table(core, old_pmd, Descriptor{0}, 2);
  system_.tables.set_table(core, new_pmd, d, 2);
  system_.flush.range(core, FlushSite::kMremap, space, VirtAddr(from), VirtAddr(from + kPmdSize),
                      kPageSize, false, 0);
  return true;
}

// can_align_down(): nothing else lies between `at` and the 2 MB boundary below it.
bool Mm::may_align_down(std::uint64_t at, bool stack) {
  const Vma* vma = vmas_.find(at);
  if (vma == nullptr || (!stack && vma->start != at)) return false;
  const std::uint64_t down = align_down(at, kPmdSize);
  return (stack && down >= vma->start) || vmas_.end_below(vma->start) <= down;
}

// move_page_tables()
void Mm::move_tables(std::uint64_t from, std::uint64_t to, std::uint64_t length, bool stack,
                     cpu::Core& core) {
  // try_realign_addr(): a whole table moves faster than its entries.
  const std::uint64_t beyond = from % kPmdSize;
  if (beyond != 0 && beyond == to % kPmdSize && length >= kPmdSize - beyond &&
      may_align_down(from, stack) && may_align_down(to, stack)) {
    from -= beyond;
    to -= beyond;
    length += beyond;
  }
  const auto move_ptes = [&](Pfn table, std::uint64_t va, std::uint64_t end) {
    const PhysAddr target = system_.find_entry(core, root_, VirtAddr(to + (va - from)), 3, true);
    bool flush = false;
    flush_batched(FlushSite::kMremap, core);
    {
      const PageTableLock lock(system_.tables, core, Target(table));
      const PageTableLock nested(system_.tables, core, Target(frame_of(target)));
      const LazySection lazy(system_.tables, core, Target(table, frame_of(target)));
      PhysAddr slot = target;
      for (std::uint64_t at = va; at < end; at += kPageSize, slot += 8) {
        const PhysAddr entry = pte(table, at);
        if (is_none(read(core, entry))) continue;
        core.execute_loop(system_.path().move_page);
        set_ptes(slot, to + (at - from), clear_ptes(entry, at, 1, core), 1, core);
        flush = true;
      }
    }
    if (flush) {
      system_.flush.range(core, FlushSite::kMremap, space, VirtAddr(va), VirtAddr(end), kPageSize,
                          false, 0);
    }
  };
  for_pmds(from, from + length, core, [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
    const bool whole = next - va == kPmdSize && is_aligned(to + (va - from), kPmdSize);
    if (whole && move_pmd(va, to + (va - from), core)) return;
    if (is_huge(read(core, pmd))) split_huge(pmd, align_down(va, kPmdSize), core);
    const Pfn table = read(core, pmd).pfn();
    while (va < next) {  // up to the next boundary of either table
      const std::uint64_t target = to + (va - from);
      const std::uint64_t end = std::min(next, va + (kPmdSize - target % kPmdSize));
      move_ptes(table, va, end);
      va = end;
    }
  });
}

// relocate_vma_down() (shift_arg_pages()): exec's new stack goes down to where `top` is its end.
void Mm::move_stack(std::uint64_t top, cpu::Core& core) {
  Vma vma = vmas_.all().rbegin()->second;
  const std::uint64_t old_start = vma.start, old_end = vma.end, length = vma.length();
  vmas_.erase(old_start);
  vma.start = top - length;
  vmas_.insert(vma);  // the old range and the new
  stored(vma.start, old_end, core);
  move_tables(old_start, vma.start, length, true, core);
  Gather gather(system_, space, false, FlushSite::kMremap);
  free_range(gather, std::max(top, old_start), old_end, top, 0, core);
  gather.flush(core);
  vmas_.resize(vma.start, top);
  stored(vma.start, old_end, core);
}

// vma_expand(): there is room behind it.
void Mm::grow_in_place(const Remap& remap, cpu::Core& core) {
  const Vma& vma = *vmas_.find(remap.start);
  const std::uint64_t old_end = vma.end, end = remap.start + remap.new_length;
  if (end > old_end) vmas_.resize(vma.start, end);
  vmas_.merge(vma.start);
  const Vma merged = *vmas_.find(remap.start);
  stored(merged.start, merged.end, core);
  if (merged.locked) populate_mapping(old_end, end, core);
}

std::uint64_t Mm::move_vma(const Remap& remap, cpu::Core& core) {
  start_write(remap.start, remap.start + remap.length, core);
  const std::uint64_t end = remap.start + remap.length;
  Vma moved = *vmas_.find(remap.start);
  if (moved.file) moved.file_offset += remap.start - moved.start;
  const std::uint64_t target =
      remap.new_address != 0 ? remap.new_address : unmapped_area(moved, remap.new_length);
  moved.moved_by = moved.anon_vma == 0 ? 0 : moved.moved_by + (target - remap.start);
  mmap(moved, remap.new_length, target, core);  // copy_vma()
  if (moved.hugetlb != 0) {
    hugetlb_move(moved, *vmas_.find(target), remap.length, core);
    vmas_.find(remap.start)->reservation = 0;  // clear_vma_resv_huge_pages()
  } else {
    move_tables(remap.start, target, remap.length, false, core);
  }
  if (remap.dont_unmap) {
    Vma& old = *vmas_.find(remap.start);
    old.locked = old.lock_on_fault = false;
    if (old.start == remap.start && old.end == end) {  // unlink_anon_vmas()
      old.anon_vma = 0;
      old.anon_vma_chained = false;
      old.moved_by = 0;
    }
  } else if (remap.length != 0) {
    munmap(remap.start, end, core);
  }
  if (moved.locked) populate_mapping(target + remap.length, target + remap.new_length, core);
  return target;
}

std::uint64_t Mm::mremap(const Remap& asked, cpu::Core& core) {
  Remap remap = asked;
  const Vma* const vma = vmas_.find(remap.start);
  if (vma == nullptr) return 0;
  const Because because(core, Cause::kMremap);
  if (remap.length == 0 && !vma->shared) return 0;  // private pages have one place
  if (remap.dont_unmap && (remap.length != remap.new_length || vma->special)) return 0;
  if (vma->hugetlb != 0) {
    const std::uint64_t page = 1ull << vma->hugetlb;
    remap.length = align_up(remap.length, page);
    remap.new_length = align_up(remap.new_length, page);
    if (remap.dont_unmap || remap.new_length > remap.length) return 0;  // VM_DONTEXPAND
    if (!is_aligned(remap.start | remap.new_address, page)) return 0;
  }
  if (remap.new_length < remap.length) {
    munmap(remap.start + remap.new_length, remap.start + remap.length, core);
    remap.length = remap.new_length;
  }
  core.execute(system_.path().mremap);
  if (remap.length == 0 || (remap.dont_unmap && !vma->locked)) return move_vma(remap, core);
  isolate(remap.start, remap.start + remap.length, core);
  const Vma* const part = vmas_.find(remap.start);
  remap.length = std::min(remap.length, part->end - remap.start);
  if (remap.dont_unmap) return move_vma(remap, core);
  const auto above = vmas_.start_above(remap.start + remap.length);
  const bool room = !above || *above >= remap.start + remap.new_length;
  if (remap.new_address == remap.start ||
      (remap.new_address == 0 && (room || remap.new_length == remap.length))) {
    grow_in_place(remap, core);
    return remap.start;
  }
  return move_vma(remap, core);
}

}  // namespace kpksim::kernel
