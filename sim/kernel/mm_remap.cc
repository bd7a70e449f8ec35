// mremap() (mm/mremap.c): in place where there is room, else whole page tables are moved where both
// addresses allow it, and single entries elsewhere.

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
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
  if (d.block()) {
    system_.tables.get_and_clear(core, old_pmd);
    system_.tables.set_pte(core, new_pmd, d, false);
    system_.flush.range(core, FlushSite::kMremap, asid, VirtAddr(from), VirtAddr(from + kPmdSize),
                        kPmdSize, false, 2);
    return true;
  }
  core.execute(system_.path().move_table);
  system_.tables.set_table(core, old_pmd, Descriptor{0}, 2);
  system_.tables.set_table(core, new_pmd, d, 2);
  system_.flush.range(core, FlushSite::kMremap, asid, VirtAddr(from), VirtAddr(from + kPmdSize),
                      kPageSize, false, 0);
  return true;
}

// move_page_tables()
void Mm::move_tables(std::uint64_t from, std::uint64_t to, std::uint64_t length, cpu::Core& core) {
  const auto move_ptes = [&](Pfn table, std::uint64_t va, std::uint64_t end) {
    const PhysAddr target = system_.find_entry(core, root_, VirtAddr(to + (va - from)), 3, true);
    bool flush = false;
    {
      const LazySection lazy(system_.tables, core);
      PhysAddr slot = target;
      for (std::uint64_t at = va; at < end; at += kPageSize, slot += 8) {
        const PhysAddr entry = pte(table, at);
        if (is_none(read(core, entry))) continue;
        core.execute(system_.path().move_page);
        set_ptes(slot, to + (at - from), clear_ptes(entry, at, 1, core), 1, core);
        flush = true;
      }
    }
    if (flush) {
      system_.flush.range(core, FlushSite::kMremap, asid, VirtAddr(va), VirtAddr(end), kPageSize,
                          false, 0);
    }
  };
  for_pmds(from, from + length, core, [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
    const bool whole = next - va == kPmdSize && is_aligned(to + (va - from), kPmdSize);
    if (whole && move_pmd(va, to + (va - from), core)) return;
    if (read(core, pmd).block()) split_huge(pmd, align_down(va, kPmdSize), core);
    const Pfn table = read(core, pmd).pfn();
    while (va < next) {  // up to the next boundary of either table
      const std::uint64_t target = to + (va - from);
      const std::uint64_t end = std::min(next, va + (kPmdSize - target % kPmdSize));
      move_ptes(table, va, end);
      va = end;
    }
  });
}

std::uint64_t Mm::mremap(std::uint64_t start, std::uint64_t length, std::uint64_t new_length,
                         std::uint64_t new_address, cpu::Core& core) {
  if (vmas_.find(start) == nullptr) return 0;
  const Because because(core, Cause::kMremap);
  if (new_length < length) {
    munmap(start + new_length, start + length, core);
    length = new_length;
  }
  core.execute(system_.path().mremap);
  isolate(start, start + length, core);
  const Vma* vma = vmas_.find(start);
  if (vma == nullptr) return 0;
  length = std::min(length, vma->end - start);
  const auto above = vmas_.start_above(start + length);
  const bool room = !above || *above >= start + new_length;
  if (new_address == start || (new_address == 0 && (room || new_length == length))) {
    if (new_length > length) vmas_.resize(start, start + new_length);
    vmas_.merge(start);
    return start;
  }
  // move_vma()
  Vma moved = *vma;
  const std::uint64_t target = mmap(moved, new_length, new_address, core);
  system_.rcu.call();  // nodes of the maple tree
  move_tables(start, target, length, core);
  munmap(start, start + length, core);
  return target;
}

}  // namespace kpksim::kernel
