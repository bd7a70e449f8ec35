// Page faults (mm/memory.c): first touch, copy on write, reuse, pages of files with fault-around.

#include <algorithm>

#include "sim/kernel/cause.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;
void Mm::map_page(PhysAddr entry, std::uint64_t va, Pfn pfn, const Vma& vma, Rights rights,
                  cpu::Core& core) {
  Page& head = system_.page(system_.head_of(pfn));
  if (!head.reserved) {
    ++head.mapcount;
    ++head.refs;
    // A new anonymous page's counts are plain stores, those of a page of a file are atomic.
    system_.atomic_page(core, pfn, head.file ? 2 : 0);
    system_.touch_page(core, pfn);
  }
  Descriptor d = user_leaf(address_of(pfn), 3, rights != Rights::kReadOnly, vma.exec);
  if (rights == Rights::kClean) d = made_clean(d);
  set_ptes(entry, va, d, 1, core);
}

// do_wp_page(): a write to a page that the entry does not let be written.
void Mm::write_fault(Vma& vma, PhysAddr entry, Descriptor old, std::uint64_t va, cpu::Core& core) {
  const Because because(core, Cause::kCow);
  const Pfn head = system_.head_of(old.pfn());
  Page& folio = system_.page(head);
  const bool anonymous = !folio.file && !folio.reserved;
  const std::uint64_t before = system_.changes();
  const bool ours = anonymous && (folio.exclusive || folio.refs == 1);
  if (vma.shared || ours) {  // wp_page_shared(), wp_page_reuse(): ptep_set_access_flags()
    folio.exclusive |= ours;
    core.execute(system_.path().cow_reuse);
    const PageTableLock lock = lock_of(entry, core);
    if (overtaken(entry, old, before, core)) return;
    set_writable(entry, va, core);
    return;
  }
  // wp_page_copy()
  core.execute(folio.reserved ? system_.path().cow_zero : system_.path().cow_copy);
  prepare_anon_vma(vma);
  const Pfn copy = system_.allocate_page(core);
  system_.page(copy).exclusive = true;
  if (folio.reserved) {
    core.count_page_zero();
  } else {
    core.count_page_copy();
  }
  {
    const PageTableLock lock = lock_of(entry, core);
    if (overtaken(entry, old, before, core)) {
      system_.buddy.free(core, copy, 0);
      return;
    }
    clear_ptes(entry, va, 1, core);  // ptep_clear_flush()
    system_.flush.page(core, FlushSite::kCowBreak, space, VirtAddr(va));
    system_.check_broken(space, VirtAddr(va), VirtAddr(va + kPageSize));
    map_page(entry, va, copy, vma, Rights::kDirty, core);
  }
  if (folio.reserved) return;
  --folio.mapcount;
  system_.put_folio(core, head, 1);
}

void Mm::anonymous_fault(Vma& vma, PhysAddr pmd, std::uint64_t va, bool write, cpu::Core& core) {
  const std::uint64_t before = system_.changes();
  const PhysAddr entry = pte_alloc(pmd, va, core);
  if (entry.value == 0) return;  // another core has mapped a huge page there
  core.execute(write ? system_.path().anon_fault : system_.path().zero_fault);
  if (!write) {
    const PageTableLock lock = lock_of(entry, core);
    if (overtaken(entry, Descriptor{0}, before, core)) return;
    map_page(entry, va, system_.zero_page, vma, Rights::kReadOnly, core);
    return;
  }
  prepare_anon_vma(vma);
  const unsigned order = system_.has_large_folios() ? folio_order(vma, entry, va, core) : 0;
  const auto folio = order == 0 ? std::nullopt : system_.try_allocate_folio(core, order);
  if (!folio) {
    const Pfn pfn = system_.allocate_page(core);
    system_.page(pfn).exclusive = true;
    core.count_page_zero();
    const PageTableLock lock = lock_of(entry, core);
    if (overtaken(entry, Descriptor{0}, before, core)) {
      system_.buddy.free(core, pfn, 0);
      return;
    }
    map_page(entry, va, pfn, vma, Rights::kDirty, core);
    return;
  }
  const unsigned pages = 1u << order;
  Page& head = system_.page(*folio);
  head.exclusive = true;
  head.mapcount = head.refs = pages;
  for (unsigned i = 0; i < pages; ++i) core.count_page_zero();
  core.execute(system_.path().large_fault);
  core.execute_loop(system_.path().clear_page * (pages - 1));
  const std::uint64_t base = align_down(va, pages * kPageSize);
  const Descriptor d = user_leaf(address_of(*folio), 3, true, vma.exec);
  const PageTableLock lock = lock_of(entry, core);
  if (system_.changes() != before && folio_order(vma, entry, va, core) < order) {
    head.mapcount = 0;
    system_.put_folio(core, *folio, pages);
    return;
  }
  set_ptes(entry - ((va - base) >> kPageShift) * 8, base, d, pages, core);
}

// expand_stack(): down to `va`, if the limit allows it.
bool Mm::grow_stack(std::uint64_t va, cpu::Core& core) {
  const auto above = vmas_.first_above(va);
  if (above == vmas_.end() || !above->second.grows_down) return false;
  Vma vma = above->second;
  if (va >= vma.start || vma.end - va > kStackLimit) return false;
  core.execute(system_.path().grow_stack);
  vmas_.erase(vma.start);
  vma.start = va;
  vmas_.insert(vma);
  stored(vma.start, vma.end, core);
  return true;
}

void Mm::file_fault(Vma& vma, PhysAddr pmd, std::uint64_t va, bool write, cpu::Core& core) {
  core.execute(system_.path().file_fault);
  const std::uint64_t before = system_.changes();
  const std::uint64_t index = vma.page_index(va);
  // vma_wants_writenotify(): only a file on a disk needs to know of the first write.
  const Rights untouched =
      vma.shared && vma.shmem && vma.write ? Rights::kClean : Rights::kReadOnly;
  if (write && !vma.shared) {  // do_cow_fault()
    core.execute(system_.path().cow_file);
    prepare_anon_vma(vma);
    cache_.get(system_, core, vma, index);
    const Pfn copy = system_.allocate_page(core);
    system_.page(copy).exclusive = true;
    core.count_page_copy();
    const PhysAddr entry = pte_alloc(pmd, va, core);
    const PageTableLock lock = lock_of(entry, core);
    if (overtaken(entry, Descriptor{0}, before, core)) {
      system_.buddy.free(core, copy, 0);
      return;
    }
    map_page(entry, va, copy, vma, Rights::kDirty, core);
    return;
  }
  if (!write && !vma.special && !vma.single) {
    // do_fault_around(): the cached pages of the aligned window, within the VMA and the table
    const std::uint64_t window = system_.profile.fault_around_pages * kPageSize;
    const std::uint64_t from = std::max(vma.start, align_down(va, window));
    const std::uint64_t in_file = cache_.pages_of(vma.file_id) - index;  // from va on
    const std::uint64_t to =
        std::min({vma.end, align_down(va, window) + window,
                  va + std::min<std::uint64_t>(in_file, kEntriesPerTable) * kPageSize});
    const PhysAddr around = pte_alloc(pmd, va, core);
    const PhysAddr table(align_down(around.value, kPageSize));
    bool mapped = false;
    const PageTableLock lock = lock_of(around, core);
    for (std::uint64_t at = from; at < to; at += kPageSize) {
      const auto pfn = cache_.find(system_, core, vma, vma.page_index(at));
      const PhysAddr entry = pte(frame_of(table), at);
      if (!pfn || !is_none(read(core, entry))) continue;
      core.execute_loop(system_.path().map_file_page);
      if (system_.page(*pfn).mapcount == 0) core.execute_lists(system_.path().file_mapped);
      map_page(entry, at, *pfn, vma, untouched, core);
      mapped |= at == va;
    }
    if (mapped) return;
  }
  // do_read_fault() of a page that was not there, do_shared_fault()
  const Pfn pfn = vma.special ? system_.zero_page : cache_.get(system_, core, vma, index);
  const PhysAddr entry = pte_alloc(pmd, va, core);
  const PageTableLock lock = lock_of(entry, core);
  if (overtaken(entry, Descriptor{0}, before, core)) return;
  // The file has lost the page since (folio->mapping): the access faults once more.
  if (system_.changes() != before && !vma.special && !cache_.has(vma, index, pfn)) return;
  map_page(entry, va, pfn, vma, write ? Rights::kDirty : untouched, core);
}

// faultin_page_range()
void Mm::populate(std::uint64_t start, std::uint64_t end, bool write, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(system_.path().madvise);
  for (std::uint64_t va = start; va < end;) {
    const Vma* vma = vmas_.find(va);
    const std::uint64_t stop = vma == nullptr ? end : std::min(end, vma->end);
    const bool fine = vma != nullptr && vma->hugetlb != 0
                          ? hugetlb_populate(*vma, va, stop, write, core)
                          : populate_pages(va, stop, write, core);
    if (!fine) return;
    va = stop;
  }
}

// Of a range that has no reserved huge pages; false: a SIGSEGV.
bool Mm::populate_pages(std::uint64_t start, std::uint64_t end, bool write, cpu::Core& core) {
  const auto done = [&](Descriptor d) { return d.valid() && (!write || is_writable(d)); };
  for (std::uint64_t va = start; va < end; va += kPageSize) {
    for (int attempt = 0; attempt < 2; ++attempt) {
      const PhysAddr pmd = system_.find_entry(core, root_, VirtAddr(va), 2, false);
      const Descriptor d = pmd.value == 0 ? Descriptor{0} : read(core, pmd);
      if (is_huge(d) && done(d)) {
        va = align_down(va, kPmdSize) + kPmdSize - kPageSize;
        break;
      }
      if (d.valid() && !is_huge(d) && done(read(core, pte(d.pfn(), va)))) {  // follow_page_mask()
        if (attempt == 0) core.execute(system_.path().populate_page);
        break;
      }
      if (handle_fault(VirtAddr(va), write, false, core) == FaultResult::kSegv) return false;
    }
  }
  return true;
}

// VM_FAULT_SIGBUS
bool Mm::behind_the_end(const Vma& vma, std::uint64_t va) const {
  return vma.file && vma.page_index(va) >= cache_.pages_of(vma.file_id);
}

FaultResult Mm::handle_fault(VirtAddr address, bool write, bool exec, cpu::Core& core) {
  const Because because(core, Cause::kFault);
  core.execute(system_.path().fault);
  const std::uint64_t va = align_down(address.value, kPageSize);
  Vma* vma = vmas_.find(va);
  if (vma == nullptr && grow_stack(va, core)) vma = vmas_.find(va);
  if (vma == nullptr || (write && !vma->write) || (exec && !vma->exec) ||
      (!write && !exec && !vma->read && !vma->write)) {
    return FaultResult::kSegv;
  }
  if (vma->hugetlb != 0) {
    if (behind_the_end(*vma, va)) return FaultResult::kSegv;
    hugetlb_fault(*vma, va, write, core);
    return FaultResult::kHandled;
  }
  const PhysAddr pmd = system_.find_entry(core, root_, VirtAddr(va), 2, true);
  Descriptor d = read(core, pmd);
  if (is_none(d) && huge_fault(*vma, va, write, core)) return FaultResult::kHandled;
  if (is_huge(d)) {
    if (!write || is_writable(d)) {  // or another core was first
      huge_set_accessed(pmd, d, va, write, core);
      return FaultResult::kHandled;
    }
    if (huge_write_fault(*vma, pmd, va, core)) return FaultResult::kHandled;
    d = read(core, pmd);
  }
  if (!is_none(d)) {
    const PhysAddr entry = pte(d.pfn(), va);
    const Descriptor old = read(core, entry);
    if (is_guard(old)) return FaultResult::kSegv;  // handle_pte_marker()
    if (!is_none(old)) {
      const std::uint64_t before = system_.changes();
      if (write && !is_writable(old)) {
        write_fault(*vma, entry, old, va, core);
      } else if (write && !is_dirty(old)) {  // ptep_set_access_flags()
        const PageTableLock lock = lock_of(entry, core);
        if (!overtaken(entry, old, before, core)) set_writable(entry, va, core);
      } else if (mmu::field::kAccessFlag.get(old.raw) == 0) {  // pte_mkyoung(): nothing to flush
        const PageTableLock lock = lock_of(entry, core);
        if (overtaken(entry, old, before, core)) return FaultResult::kHandled;
        system_.tables.exchange(core, entry, old.with(mmu::field::kAccessFlag, 1));
      }
      return FaultResult::kHandled;  // or another core was first
    }
  }
  if (behind_the_end(*vma, va)) return FaultResult::kSegv;
  if (vma->file || vma->special) {
    file_fault(*vma, pmd, va, write, core);
  } else {
    anonymous_fault(*vma, pmd, va, write, core);
  }
  return FaultResult::kHandled;
}

}  // namespace kpksim::kernel
