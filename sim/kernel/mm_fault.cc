// Page faults (mm/memory.c): first touch, copy on write, reuse, pages of files with fault-around.

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
  const bool ours = anonymous && (folio.exclusive || folio.refs == 1);
  if (vma.shared || ours) {  // wp_page_shared(), wp_page_reuse(): ptep_set_access_flags()
    folio.exclusive |= ours;
    core.execute(system_.path().cow_reuse);
    set_writable(entry, va, core);
    return;
  }
  // wp_page_copy()
  core.execute(folio.reserved ? system_.path().cow_zero : system_.path().cow_copy);
  prepare_anon_vma(vma);
  const Pfn copy = system_.allocate_page();
  system_.page(copy).exclusive = true;
  if (folio.reserved) {
    core.count_page_zero();
  } else {
    core.count_page_copy();
  }
  clear_ptes(entry, va, 1, core);  // ptep_clear_flush()
  system_.flush.page(core, FlushSite::kCowBreak, asid, VirtAddr(va));
  system_.check_broken(asid, VirtAddr(va), VirtAddr(va + kPageSize));
  map_page(entry, va, copy, vma, Rights::kDirty, core);
  if (folio.reserved) return;
  --folio.mapcount;
  system_.put_folio(head, 1);
}

void Mm::anonymous_fault(Vma& vma, std::uint64_t va, bool write, cpu::Core& core) {
  const PhysAddr entry = system_.find_entry(core, root_, VirtAddr(va), 3, true);
  core.execute(write ? system_.path().anon_fault : system_.path().zero_fault);
  if (!write) {
    map_page(entry, va, system_.zero_page, vma, Rights::kReadOnly, core);
    return;
  }
  prepare_anon_vma(vma);
  const Pfn pfn = system_.allocate_page();
  system_.page(pfn).exclusive = true;
  core.count_page_zero();
  map_page(entry, va, pfn, vma, Rights::kDirty, core);
}

void Mm::file_fault(Vma& vma, std::uint64_t va, bool write, cpu::Core& core) {
  core.execute(system_.path().file_fault);
  const std::uint64_t index = vma.page_index(va);
  if (write && !vma.shared) {  // do_cow_fault()
    prepare_anon_vma(vma);
    cache_.get(system_, core, vma, index);
    const Pfn copy = system_.allocate_page();
    system_.page(copy).exclusive = true;
    core.count_page_copy();
    map_page(system_.find_entry(core, root_, VirtAddr(va), 3, true), va, copy, vma, Rights::kDirty,
             core);
    return;
  }
  if (!write && !vma.special) {
    // do_fault_around(): the cached pages of the aligned window, within the VMA and the table
    const std::uint64_t window = system_.profile.fault_around_pages * kPageSize;
    const std::uint64_t from = std::max(vma.start, align_down(va, window));
    const std::uint64_t to = std::min(vma.end, align_down(va, window) + window);
    const PhysAddr around = system_.find_entry(core, root_, VirtAddr(va), 3, true);
    const PhysAddr table(align_down(around.value, kPageSize));
    bool mapped = false;
    for (std::uint64_t at = from; at < to; at += kPageSize) {
      const auto pfn = cache_.find(system_, core, vma, vma.page_index(at));
      const PhysAddr entry = pte(frame_of(table), at);
      if (!pfn || !is_none(read(core, entry))) continue;
      core.execute(system_.path().map_file_page);
      map_page(entry, at, *pfn, vma, vma.shmem && vma.write ? Rights::kClean : Rights::kReadOnly,
               core);
      mapped |= at == va;
    }
    if (mapped) return;
  }
  // do_read_fault() of a page that was not there, do_shared_fault()
  const Pfn pfn = vma.special ? system_.zero_page : cache_.get(system_, core, vma, index);
  const Rights rights = write                    ? Rights::kDirty
                        : vma.shmem && vma.write ? Rights::kClean
                                                 : Rights::kReadOnly;
  map_page(system_.find_entry(core, root_, VirtAddr(va), 3, true), va, pfn, vma, rights, core);
}

FaultResult Mm::handle_fault(VirtAddr address, bool write, bool exec, cpu::Core& core) {
  const Because because(core, Cause::kFault);
  core.execute(system_.path().fault);
  const std::uint64_t va = align_down(address.value, kPageSize);
  Vma* vma = vmas_.find(va);
  if (vma == nullptr || (write && !vma->write) || (exec && !vma->exec) ||
      (!write && !exec && !vma->read && !vma->write)) {
    return FaultResult::kSegv;
  }
  const PhysAddr pmd = system_.find_entry(core, root_, VirtAddr(va), 2, true);
  Descriptor d = read(core, pmd);
  if (is_none(d) && huge_fault(*vma, va, write, core)) return FaultResult::kHandled;
  if (d.block()) {
    if (!write || is_writable(d)) return FaultResult::kHandled;  // another core was first
    if (huge_write_fault(*vma, pmd, va, core)) return FaultResult::kHandled;
    d = read(core, pmd);
  }
  if (!is_none(d)) {
    const PhysAddr entry = pte(d.pfn(), va);
    const Descriptor old = read(core, entry);
    if (!is_none(old)) {
      if (write && !is_writable(old)) {
        write_fault(*vma, entry, old, va, core);
      } else if (write && !is_dirty(old)) {  // ptep_set_access_flags()
        set_writable(entry, va, core);
      }
      return FaultResult::kHandled;  // or another core was first
    }
  }
  if (vma->file || vma->special) {
    file_fault(*vma, va, write, core);
  } else {
    anonymous_fault(*vma, va, write, core);
  }
  return FaultResult::kHandled;
}

}  // namespace kpksim::kernel
