// Transparent huge pages (mm/huge_memory.c): anonymous memory mapped by 2 MB blocks. Each block has
// a page table deposited, which its split will need.

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/gather.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;
namespace field = mmu::field;

Pfn Mm::withdraw_table() {
  if (deposited_.empty()) throw ModelError("no page table was deposited for this huge page");
  const Pfn table = deposited_.back();
  deposited_.pop_back();
  return table;
}

// thp_vma_allowable_order() and thp_vma_suitable_order()
bool Mm::folio_allowed(const Vma& vma, std::uint64_t va, unsigned order) const {
  if (vma.file || vma.special || vma.grows_down) return false;
  switch (vma.huge) {
    case HugeAdvice::kNoHugepage:
      return false;
    case HugeAdvice::kHugepage:
      if (system_.huge_pages(order) == HugePages::kNever) return false;
      break;
    case HugeAdvice::kDefault:
      if (system_.huge_pages(order) != HugePages::kAlways) return false;
      break;
  }
  const std::uint64_t size = kPageSize << order, base = align_down(va, size);
  return base >= vma.start && base + size <= vma.end;
}

// alloc_anon_folio(): the largest size that is allowed, fits into the VMA and finds no entry in its
// way; 0: a page.
unsigned Mm::folio_order(const Vma& vma, PhysAddr entry, std::uint64_t va, cpu::Core& core) {
  for (unsigned order = kPmdShift - kPageShift - 1; order >= 2; --order) {
    if (!folio_allowed(vma, va, order)) continue;
    const unsigned pages = 1u << order;
    const PhysAddr first = entry - ((va - align_down(va, pages * kPageSize)) >> kPageShift) * 8;
    unsigned empty = 0;
    while (empty < pages && is_none(read(core, first + empty * 8))) ++empty;
    if (empty == pages) return order;
  }
  return 0;
}

// do_huge_pmd_anonymous_page(); false: with small pages, then.
bool Mm::huge_fault(Vma& vma, std::uint64_t va, bool write, cpu::Core& core) {
  const std::uint64_t base = align_down(va, kPmdSize);
  if (!folio_allowed(vma, va, kPmdShift - kPageShift)) return false;
  const auto folio = write ? system_.try_allocate_folio(core, kPmdShift - kPageShift)
                           : system_.huge_zero_folio(core);
  if (!folio) return false;
  const std::uint64_t before = system_.changes();
  core.execute(system_.path().large_fault);
  const Pfn table = system_.allocate_table(core, root_, TableKind::kUserLeaf);
  if (write) {
    prepare_anon_vma(vma);
    for (unsigned i = 0; i < kEntriesPerTable; ++i) core.count_page_zero();
    core.execute_loop(system_.path().clear_page * kEntriesPerTable);
    Page& page = system_.page(*folio);
    page.mapcount = page.refs = kEntriesPerTable;
    page.exclusive = true;
  }
  deposited_.push_back(table);
  const PhysAddr pmd = system_.find_entry(core, root_, VirtAddr(base), 2, true);
  std::optional<PageTableLock> lock;
  lock.emplace(system_.tables, core, Target(frame_of(pmd)));
  if (overtaken(pmd, Descriptor{0}, before, core)) {
    lock.reset();
    if (write) {
      system_.page(*folio).mapcount = 0;
      system_.put_folio(core, *folio, kEntriesPerTable);
    }
    system_.free_table(core, withdraw_table());
    return true;
  }
  system_.tables.set_pte(core, pmd, user_leaf(address_of(*folio), 2, write && vma.write, vma.exec),
                         false);
  return true;
}

// huge_pmd_set_accessed(), where hardware does not
void Mm::huge_set_accessed(PhysAddr pmd, Descriptor old, std::uint64_t va, bool write,
                           cpu::Core& core) {
  const bool dirtied = write && !is_dirty(old);
  if (is_young(old) && !dirtied) return;
  const std::uint64_t before = system_.changes();
  const PageTableLock lock = lock_of(pmd, core);
  if (overtaken(pmd, old, before, core)) return;
  system_.tables.exchange(core, pmd, write ? made_writable(old) : old.with(field::kAccessFlag, 1));
  // pmdp_set_access_flags() flushes a stale entry that was clean.
  if (dirtied) {
    system_.flush.gained(core, space, VirtAddr(align_down(va, kPmdSize)));
  }
}

// do_huge_pmd_wp_page(); false: the block was split, the page is copied by itself.
bool Mm::huge_write_fault(Vma& vma, PhysAddr pmd, std::uint64_t va, cpu::Core& core) {
  const Because because(core, Cause::kCow);
  const Descriptor old = read(core, pmd);
  Page& folio = system_.page(old.pfn());
  const bool ours = folio.exclusive || folio.refs == kEntriesPerTable;
  if (!folio.reserved && !vma.shared && ours) {  // pmdp_set_access_flags()
    folio.exclusive = true;
    core.execute(system_.path().cow_reuse);
    const std::uint64_t before = system_.changes();
    const PageTableLock lock = lock_of(pmd, core);
    if (overtaken(pmd, old, before, core)) return true;
    system_.tables.exchange(core, pmd, made_writable(old));
    system_.flush.gained(core, space, VirtAddr(align_down(va, kPmdSize)));
    return true;
  }
  split_huge(pmd, align_down(va, kPmdSize), core);
  return false;
}

// collapse_huge_page(): a table's pages are copied into a huge page, whose table it then is. The
// translations go first, whole: small and large ones must not be cached together.
void Mm::collapse(const Vma& vma, std::uint64_t va, cpu::Core& core) {
  if (vma.file || vma.special) return;
  const PhysAddr pmd = system_.find_entry(core, root_, VirtAddr(va), 2, false);
  const Descriptor old = pmd.value == 0 ? Descriptor{0} : read(core, pmd);
  if (!old.valid() || is_huge(old)) return;
  const PhysAddr first = address_of(old.pfn());
  bool writable = false;  // hpage_collapse_scan_pmd(): SCAN_PAGE_RO
  for (unsigned i = 0; i < kEntriesPerTable; ++i) {
    const Descriptor d = read(core, first + i * 8);
    if (!is_none(d) && !d.valid()) return;
    writable |= d.valid() && is_writable(d);
  }
  if (!writable) return;
  const auto folio = system_.try_allocate_folio(core, kPmdShift - kPageShift);
  if (!folio) return;
  core.execute(system_.path().large_fault);
  {
    const PageTableLock lock = lock_of(pmd, core);
    system_.tables.get_and_clear(core, pmd);  // pmdp_collapse_flush()
    system_.flush.range(core, FlushSite::kThpCollapse, space, VirtAddr(va), VirtAddr(va + kPmdSize),
                        kPageSize, false, 0);
  }
  system_.check_broken(space, VirtAddr(va), VirtAddr(va + kPmdSize));
  for (unsigned i = 0; i < kEntriesPerTable; ++i) {
    const PhysAddr entry = first + i * 8;
    core.execute_loop(system_.path().collapse_page);
    if (is_none(read(core, entry))) {
      core.count_page_zero();
      continue;
    }
    core.count_page_copy();
    const PageTableLock lock = lock_of(entry, core);  // __collapse_huge_page_copy_succeeded()
    const Pfn head = system_.head_of(clear_ptes(entry, va + i * kPageSize, 1, core).pfn());
    if (system_.page(head).reserved) continue;
    --system_.page(head).mapcount;
    system_.put_folio(core, head, 1);
  }
  Page& page = system_.page(*folio);
  page.mapcount = page.refs = kEntriesPerTable;
  page.exclusive = true;
  deposited_.push_back(old.pfn());
  const PageTableLock lock = lock_of(pmd, core);
  system_.tables.set_pte(core, pmd, user_leaf(address_of(*folio), 2, vma.write, vma.exec), false);
}

void Mm::split_huge_at(std::uint64_t va, cpu::Core& core) {
  if (is_aligned(va, kPmdSize)) return;
  const PhysAddr pmd = system_.find_entry(core, root_, VirtAddr(va), 2, false);
  if (pmd.value != 0 && is_huge(read(core, pmd))) split_huge(pmd, align_down(va, kPmdSize), core);
}

// __split_huge_pmd_locked(): the block becomes the deposited table of 512 pages of the same folio.
// Invalid and flushed first: small and large entries for one address must not be cached together.
// `migrating`: to entries that nobody can use until the folio is split too (freeze).
void Mm::split_huge(PhysAddr pmd, std::uint64_t va, cpu::Core& core, bool migrating) {
  core.execute(system_.path().split_huge);
  const std::uint64_t before = system_.changes();
  const PageTableLock lock = lock_of(pmd, core);
  if (system_.changes() != before && !is_huge(read(core, pmd))) return;  // another core was first
  const Descriptor block = system_.tables.get_and_clear(core, pmd);      // pmdp_invalidate()
  system_.flush.range(core, FlushSite::kThpSplit, space, VirtAddr(va), VirtAddr(va + kPmdSize),
                      kPmdSize, false, 2);
  system_.check_broken(space, VirtAddr(va), VirtAddr(va + kPmdSize));
  const Pfn table = withdraw_table();
  const PageTableLock mapped = lock_of(address_of(table), core);  // pte_offset_map(), no lock
  // pmd_populate() of a local variable, for pte_offset_map()
  system_.tables.set_table(core, address_of(system_.kernel_data), table_descriptor(table), 2);
  const bool executable = field::kUxn.get(block.raw) == 0;
  const bool zero = system_.page(block.pfn()).reserved;
  // As written, used and protected as the block was.
  const Descriptor first{block.raw | (block.valid() ? 2u : 0u)};
  if (migrating) {
    for (unsigned i = 0; i < kEntriesPerTable; ++i) {
      const Descriptor entry = first.with(field::kValid, 0);
      system_.tables.set_pte(core, address_of(table) + i * 8,
                             entry.with(field::kOutputAddress, entry.pfn().value + i), false);
    }
  } else if (!zero) {
    set_ptes(address_of(table), va, first, kEntriesPerTable, core);
  } else {
    const Descriptor page = user_leaf(address_of(system_.zero_page), 3, false, executable)
                                .with(field::kValid, block.valid() ? 1 : 0);
    for (std::uint64_t i = 0; i < kEntriesPerTable; ++i) {
      system_.tables.set_pte(core, address_of(table) + i * 8, page, false);
    }
  }
  system_.tables.set_table(core, pmd, table_descriptor(table), 2);
}

// split_folio(): the folio's pages become folios of their own. What is mapped goes through
// migration entries: a block as a whole, pages one by one, with a flush each that is waited for
// once (TTU_BATCH_FLUSH). What is not mapped is free. `va` is where its first page would be. False:
// not all of it is mapped there (it was moved by pieces), and it stays whole.
bool Mm::split_folio(Pfn head, std::uint64_t va, cpu::Core& core) {
  const Page folio = system_.page(head);
  const unsigned pages = 1u << folio.order;
  const auto pmd_of = [&](std::uint64_t at) {
    return system_.find_entry(core, root_, VirtAddr(at), 2, false);
  };
  bool block = false, accessible = true;
  if (const PhysAddr pmd = pmd_of(va); pmd.value != 0 && is_huge(read(core, pmd))) {
    block = true;
    accessible = read(core, pmd).valid();
    split_huge(pmd, va, core, true);
  }
  std::vector<PhysAddr> entries(pages);  // 0: not mapped
  std::uint32_t found = 0;
  for (unsigned i = 0; i < pages; ++i) {
    const std::uint64_t at = va + i * kPageSize;
    const PhysAddr pmd = pmd_of(at);
    if (pmd.value == 0 || is_none(read(core, pmd)) || is_huge(read(core, pmd))) continue;
    const PhysAddr entry = pte(read(core, pmd).pfn(), at);
    const Descriptor d = read(core, entry);
    if (is_none(d) || d.pfn() != head + i) continue;
    entries[i] = entry;
    ++found;
  }
  if (found != folio.mapcount) return false;
  std::vector<Descriptor> old(pages);
  bool pending = false;
  for (unsigned i = 0; i < pages; ++i) {
    if (entries[i].value == 0) continue;
    const VirtAddr at(va + i * kPageSize);
    old[i] = read(core, entries[i]).with(field::kContiguous, 0);
    if (!old[i].valid()) {
      if (block && accessible) old[i] = old[i].with(field::kValid, 1);
      continue;
    }
    const PageTableLock lock = lock_of(entries[i], core);
    clear_ptes(entries[i], at.value, 1, core);
    flush_later(FlushSite::kThpSplit, at.value, core);
    pending = true;
  }
  if (pending) system_.flush.pending_done(core, FlushSite::kThpSplit);
  core.execute_lists(system_.path().split_folio_page * pages);
  for (unsigned i = 0; i < pages; ++i) {
    Page& page = system_.page(head + i);
    page = {};
    if (entries[i].value == 0) {
      system_.buddy.free(core, head + i, 0);
      continue;
    }
    page.mapcount = page.refs = 1;
    page.exclusive = folio.exclusive;
    const PageTableLock lock = lock_of(entries[i], core);  // remove_migration_pte()
    set_ptes(entries[i], va + i * kPageSize, old[i], 1, core);
  }
  return true;
}

// copy_huge_pmd()
void Mm::copy_huge(Mm& child, PhysAddr pmd, std::uint64_t va, cpu::Core& core) {
  const PhysAddr to = system_.find_entry(core, child.root_, VirtAddr(va), 2, true);
  core.execute(system_.path().fork_huge);
  child.deposited_.push_back(system_.allocate_table(core, child.root_, TableKind::kUserLeaf));
  const PageTableLock lock = lock_of(to, core);
  const PageTableLock nested = lock_of(pmd, core);
  Descriptor d = read(core, pmd);
  Page& folio = system_.page(d.pfn());
  if (!folio.reserved) {
    folio.mapcount += kEntriesPerTable;
    folio.refs += kEntriesPerTable;
    folio.exclusive = false;
    d = write_protected(d);
    system_.tables.exchange(core, pmd, d);  // pmdp_set_wrprotect()
  }
  system_.tables.set_pte(core, to, d, false);
}

// change_huge_pmd()
void Mm::protect_huge(Gather& gather, const Vma& vma, PhysAddr pmd, std::uint64_t va,
                      cpu::Core& core) {
  const PageTableLock lock = lock_of(pmd, core);
  const Descriptor old = system_.tables.get_and_clear(core, pmd);  // pmdp_invalidate_ad()
  system_.flush.range(core, FlushSite::kMprotect, space, VirtAddr(va), VirtAddr(va + kPmdSize),
                      kPmdSize, false, 2);
  core.execute(system_.path().protect_huge);
  system_.tables.set_pte(core, pmd, changed_protection(vma, old, 2), false);
  gather.changed(va, kPmdSize, 2);
}

// madvise_free_huge_pmd()
void Mm::free_huge(Gather& gather, PhysAddr pmd, std::uint64_t va, cpu::Core& core) {
  core.execute(system_.path().lazy_free_huge);
  const Descriptor d = read(core, pmd);
  if (!is_dirty(d) && !is_young(d)) return;
  const PageTableLock lock = lock_of(pmd, core);
  system_.tables.get_and_clear(core, pmd);  // pmdp_invalidate()
  system_.flush.range(core, FlushSite::kMadviseFree, space, VirtAddr(va), VirtAddr(va + kPmdSize),
                      kPmdSize, false, 2);
  system_.tables.set_pte(core, pmd, made_clean(made_old(d)), false);
  gather.changed(va, kPmdSize, 2);
}

}  // namespace kpksim::kernel
