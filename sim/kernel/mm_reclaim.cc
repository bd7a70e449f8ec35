// MADV_PAGEOUT (madvise_cold_or_pageout_pte_range() and shrink_folio_list()) on a machine without
// swap: pages of files leave the mapping, and the page cache too if nobody has written them; other
// memory has no place to go, but its large folios are split on the way.

#include <utility>

#include "sim/kernel/cause.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;

namespace {

// PAGEVEC_SIZE (31 since Linux 6.10): so many folios shrink_folio_list() frees at once, behind one
// try_to_unmap_flush().
constexpr std::size_t kFolioBatch = 31;

}  // namespace

// try_to_unmap_one() with TTU_BATCH_FLUSH. True: the page had been written through this entry.
bool Mm::unmap_page(PhysAddr entry, std::uint64_t va, cpu::Core& core) {
  core.execute_lists(system_.path().page_out_unmap);
  const PageTableLock lock = lock_of(entry, core);
  const Descriptor old = clear_ptes(entry, va, 1, core);
  flush_later(FlushSite::kUnmap, va, core);
  const Pfn head = system_.head_of(old.pfn());
  --system_.page(head).mapcount;
  system_.put_folio(core, head, 1);
  return is_dirty(old);
}

void Mm::flush_later(FlushSite site, std::uint64_t va, cpu::Core& core) {
  system_.flush.page_pending(core, site, space, VirtAddr(va));
  batched_ = true;
}

void Mm::flush_batched(FlushSite site, cpu::Core& core) {
  if (std::exchange(batched_, false)) system_.flush.mm(core, site, space);
}

// try_to_unmap_flush(), then free_unref_folios() of what nothing can use any more.
void Mm::free_reclaimed(std::vector<Pfn>& folios, bool& pending, cpu::Core& core) {
  if (std::exchange(pending, false)) system_.flush.pending_done(core, FlushSite::kUnmap);
  for (const Pfn head : std::exchange(folios, {})) system_.put_folio(core, head, 1);
}

// reclaim_pages() of one page table's part of a VMA.
void Mm::reclaim(const Vma& vma, const std::vector<std::uint64_t>& pages, cpu::Core& core) {
  bool pending = false;
  std::vector<Pfn> gone;
  for (const std::uint64_t va : pages) {
    core.execute_lists(system_.path().page_out + system_.path().page_out_try);
    const PhysAddr pmd = system_.find_entry(core, root_, VirtAddr(va), 2, false);
    const Descriptor block = read(core, pmd);
    const PhysAddr entry = is_huge(block) ? pmd : pte(block.pfn(), va);
    const Pfn head = system_.head_of(read(core, entry).pfn());
    const Page& page = system_.page(head);
    if (!page.file) {
      if (page.order == 0) continue;
      // add_to_swap() fails; so it does with each of the pages that the folio is split into.
      const std::uint64_t parts = (1u << page.order) - 1;
      if (split_folio(head, va, core)) core.execute_lists(system_.path().page_out_try * parts);
      continue;
    }
    const bool dirty = unmap_page(entry, va, core);
    pending = true;
    const std::uint64_t index = vma.page_index(va);
    if (!vma.shmem && !dirty) {
      ++system_.page(head).refs;
      cache_.drop(system_, core, {vma.file_id, index, index + 1});
      gone.push_back(head);
      if (gone.size() == kFolioBatch) free_reclaimed(gone, pending, core);
    } else if (vma.shmem && dirty) {  // try_to_unmap_flush_dirty(), before shmem_writepage()
      system_.flush.pending_done(core, FlushSite::kUnmap);
      pending = false;
    }
  }
  free_reclaimed(gone, pending, core);
}

bool Mm::madvise_pageout(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(system_.path().madvise);
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    const Vma& vma = it->second;
    if (vma.special || vma.locked || vma.hugetlb != 0) return false;  // can_madv_lru_vma()
    const std::uint64_t to = std::min(end, vma.end);
    for (std::uint64_t from = std::max(start, vma.start); from < to;) {
      const std::uint64_t next = std::min(to, align_down(from, kPmdSize) + kPmdSize);
      std::vector<std::uint64_t> pages;  // where each isolated folio begins
      for_folios(
          vma, from, next, core, [&](PhysAddr, std::uint64_t va) { pages.push_back(va); },
          [&](PhysAddr, std::uint64_t va, unsigned, const Page& folio) {
            if (folio.mapcount == 1u << folio.order) pages.push_back(va);
          });
      reclaim(vma, pages, core);
      from = next;
    }
  }
  return true;
}

}  // namespace kpksim::kernel
