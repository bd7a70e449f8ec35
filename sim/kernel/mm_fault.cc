// Page faults (mm/memory.c, mm/huge_memory.c): first touch, copy on write, reuse, file pages with
// fault-around, huge pages and their splits.

#include "sim/kernel/cause.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/path.h"
#include "sim/kernel/prot.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {

using mmu::Descriptor;
namespace field = mmu::field;

namespace {

constexpr std::uint64_t kFaultAroundBytes = 64 << 10;
constexpr unsigned kPmdOrder = 9;

}  // namespace

void Mm::map_page(PhysAddr entry, Pfn pfn, const Vma& vma, bool writable, cpu::Core& core) {
  ++system_.page(pfn).mapcount;
  system_.tables.set_pte(core, entry, user_leaf(address_of(pfn), 3, writable, vma.exec), false);
}

bool Mm::huge_fault(Vma& vma, std::uint64_t va, cpu::Core& core) {
  const std::uint64_t base = align_down(va, kPmdSize);
  if (!vma.huge || vma.file || vma.shared || base < vma.start || base + kPmdSize > vma.end)
    return false;
  const PhysAddr entry = system_.find_entry(core, root_, VirtAddr(base), 2, true);
  if (entry.value == 0 || Descriptor{system_.tables.read(core, entry)}.valid()) return false;
  const auto run = system_.buddy.allocate(kPmdOrder);
  if (!run) return false;  // falls back to small pages
  for (std::uint32_t i = 0; i < kEntriesPerTable; ++i) {
    system_.page(*run + i) = {0, false, kPmdOrder, i};
    core.count_page_zero();
  }
  system_.page(*run).mapcount = kEntriesPerTable;
  core.execute(path::kHugeFault);
  // A page table is deposited for a later split: allocated now, taken then.
  system_.tables.set_pte(core, entry, user_leaf(address_of(*run), 2, vma.write, vma.exec), false);
  return true;
}

void Mm::split_huge_at(std::uint64_t va, cpu::Core& core) {
  if (is_aligned(va, kPmdSize)) return;
  const PhysAddr entry = system_.find_entry(core, root_, VirtAddr(va), 2, false);
  if (entry.value == 0) return;
  if (Descriptor{system_.tables.read(core, entry)}.block()) {
    split_huge(entry, align_down(va, kPmdSize), core);
  }
}

void Mm::split_huge_range(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  for (std::uint64_t va = align_down(start, kPmdSize); va < end; va += kPmdSize) {
    split_huge_at(va + kPageSize, core);
  }
}

// __split_huge_pmd: the block becomes a table of 512 pages of the same folio. Invalidated and
// flushed before the table is hooked in (break before make).
void Mm::split_huge(PhysAddr entry, std::uint64_t va, cpu::Core& core) {
  const Pfn table = system_.allocator->allocate(core);
  const Descriptor block = system_.tables.get_and_clear(core, entry);
  system_.flush.range(core, FlushSite::kThpSplit, asid, VirtAddr(va), VirtAddr(va + kPmdSize),
                      kPmdSize, true, 2);
  for (std::uint64_t i = 0; i < kEntriesPerTable; ++i) {
    const Descriptor page = user_leaf(block.output() + i * kPageSize, 3, is_writable(block),
                                      field::kUxn.get(block.raw) == 0);
    system_.tables.set_pte(core, address_of(table) + i * 8, page, false);
  }
  system_.tables.set_table(core, entry, table_descriptor(table));
}

// do_wp_page(): a private page is written that may be shared.
void Mm::cow(Vma& vma, PhysAddr entry, Descriptor old, std::uint64_t va, cpu::Core& core) {
  const Because because(core, Cause::kCow);
  vma.anon_vma = true;
  const Pfn pfn = old.pfn();
  Page& page = system_.page(pfn);
  Page& folio = system_.page(pfn - page.head);
  const bool ours = !page.file && folio.mapcount == (page.order == 0 ? 1u : 1u << page.order);
  if (vma.shared || ours) {  // wp_page_reuse: ptep_set_access_flags
    core.execute(path::kCowReuse);
    system_.tables.update(core, entry, old.with(field::kAp2, 0));
    system_.flush.page(core, FlushSite::kWriteReuse, asid, VirtAddr(va));
    return;
  }
  core.execute(path::kCowCopy);
  const Pfn copy = system_.allocate_pages(0);
  if (pfn == system_.zero_page)
    core.count_page_zero();
  else
    core.count_page_copy();
  system_.tables.get_and_clear(core, entry);  // ptep_clear_flush
  system_.flush.page(core, FlushSite::kCowBreak, asid, VirtAddr(va));
  map_page(entry, copy, vma, true, core);
  if (--folio.mapcount == 0 && !folio.file) system_.buddy.free(pfn - page.head, folio.order);
}

void Mm::file_fault(Vma& vma, PhysAddr entry, std::uint64_t va, bool write, cpu::Core& core) {
  core.execute(path::kFileFault);
  const auto index_of = [&](std::uint64_t at) {
    return (at - vma.start + vma.file_offset) >> kPageShift;
  };
  if (write && !vma.shared) {  // do_cow_fault
    cache_.get(system_, core, vma.file_id, index_of(va));
    vma.anon_vma = true;
    core.count_page_copy();
    map_page(entry, system_.allocate_pages(0), vma, true, core);
    return;
  }
  if (write) {  // do_shared_fault
    map_page(entry, cache_.get(system_, core, vma.file_id, index_of(va)), vma, true, core);
    return;
  }
  // do_fault_around(): the aligned 64 KB around the address, within the VMA and the table
  const std::uint64_t from = std::max(vma.start, align_down(va, kFaultAroundBytes));
  const std::uint64_t to = std::min(vma.end, align_down(va, kFaultAroundBytes) + kFaultAroundBytes);
  const PhysAddr table(align_down(entry.value, kPageSize));
  for (std::uint64_t at = from; at < to; at += kPageSize) {
    const PhysAddr slot = table + ((at >> kPageShift) & 511) * 8;
    if (Descriptor{system_.tables.read(core, slot)}.valid()) continue;
    map_page(slot, cache_.get(system_, core, vma.file_id, index_of(at)), vma, false, core);
  }
}

FaultResult Mm::handle_fault(VirtAddr address, bool write, bool exec, cpu::Core& core) {
  const Because because(core, Cause::kFault);
  const std::uint64_t va = align_down(address.value, kPageSize);
  Vma* vma = find_vma(va);
  if (vma == nullptr || (write && !vma->write) || (exec && !vma->exec) ||
      (!write && !exec && !vma->read && !vma->write)) {
    return FaultResult::kSegv;
  }
  if (huge_fault(*vma, va, core)) {
    vma->anon_vma = true;
    return FaultResult::kHandled;
  }
  const PhysAddr pmd = system_.find_entry(core, root_, VirtAddr(va), 2, true);
  const Descriptor block{system_.tables.read(core, pmd)};
  if (block.block()) split_huge(pmd, align_down(va, kPmdSize), core);  // COW of a huge page
  const PhysAddr entry = system_.find_entry(core, root_, VirtAddr(va), 3, true);
  const Descriptor old{system_.tables.read(core, entry)};
  if (old.valid()) {
    if (write && !is_writable(old)) cow(*vma, entry, old, va, core);
    return FaultResult::kHandled;  // else spurious: another core was first
  }
  if (vma->file) {
    file_fault(*vma, entry, va, write, core);
    return FaultResult::kHandled;
  }
  core.execute(path::kAnonFault);
  vma->anon_vma = true;
  if (!write && !vma->shared) {
    map_page(entry, system_.zero_page, *vma, false, core);
    return FaultResult::kHandled;
  }
  core.count_page_zero();
  map_page(entry, system_.allocate_pages(0), *vma, vma->write, core);
  return FaultResult::kHandled;
}

}  // namespace kpksim::kernel
