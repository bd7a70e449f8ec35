// Page tables of reserved huge pages (mm/hugetlb.c, arch/arm64/mm/hugetlbpage.c). A page of 2 MB or
// 1 GB is a block; one of 64 KB or 32 MB is a run of 16 entries with the contiguous bit, of which
// none may change without all being broken, flushed and made again. There are no lazy MMU sections
// here: each entry written is a guarded section of its own.

#include "sim/kernel/cause.h"
#include "sim/kernel/gather.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;
namespace field = mmu::field;

namespace {

// make_huge_pte()
Descriptor leaf(const HugetlbSize& size, Pfn pfn, bool writable, bool executable) {
  return user_leaf(address_of(pfn), size.level, writable, executable)
      .with(field::kContiguous, size.entries > 1 ? 1 : 0);
}

Descriptor with_marks_of(Descriptor d, Descriptor other) {
  if (is_dirty(other)) d = d.with(field::kAp2, 0);
  if (is_young(other)) d = d.with(field::kAccessFlag, 1);
  return d;
}

// huge_pte_modify(): what was written stays dirty. A private page becomes writable by a fault only.
Descriptor changed(const HugetlbSize& size, const Vma& vma, Descriptor old) {
  const bool dirty = is_dirty(old) || field::kSoftware.get(old.raw) != 0;
  const bool writable = vma.write && vma.shared;
  Descriptor d = leaf(size, old.pfn(), writable, vma.exec);
  if (!writable && dirty) d = d.with(field::kSoftware, kSoftwareDirty);
  if (writable && !dirty) d = made_clean(d);
  return d.with(field::kValid, vma.read || vma.write || vma.exec ? 1 : 0);
}

// Beyond it the next table begins (hugetlb_mask_last_page()).
std::uint64_t table_end(const HugetlbSize& size, std::uint64_t va) {
  const std::uint64_t bytes = 1ull << mmu::level_shift(size.level - 1);
  return align_down(va, bytes) + bytes;
}

}  // namespace

// Calls fn(its first entry, va) for each huge page of the range that has a table; true: the table
// is no longer ours.
template <class OnPage>
void Mm::for_hugetlb(const HugetlbSize& size, std::uint64_t start, std::uint64_t end,
                     cpu::Core& core, OnPage&& on_page) {
  for (std::uint64_t va = start; va < end;) {
    const PhysAddr entry = system_.find_entry(core, root_, VirtAddr(va), size.level, false);
    const bool skip = entry.value == 0 || on_page(entry, va);
    if (entry.value == 0) core.execute_loop(system_.path().pmd_none);
    va = skip ? table_end(size, va) : va + size.bytes();
  }
}

// Over the entries of a run.
void Mm::pass(const HugetlbSize& size, cpu::Core& core) const {
  if (size.entries > 1) core.execute_loop(system_.path().hugetlb_entry * size.entries);
}

// huge_ptep_get()
Descriptor Mm::hugetlb_entry(const HugetlbSize& size, PhysAddr entry, cpu::Core& core) {
  Descriptor d = read(core, entry);
  if (is_none(d)) return d;
  pass(size, core);
  for (unsigned i = 1; i < size.entries; ++i) d = with_marks_of(d, read(core, entry + i * 8));
  return d;
}

// huge_ptep_get_and_clear()
Descriptor Mm::hugetlb_clear(const HugetlbSize& size, PhysAddr entry, cpu::Core& core) {
  Descriptor d = system_.tables.get_and_clear(core, entry);
  pass(size, core);
  for (unsigned i = 1; i < size.entries; ++i) {
    d = with_marks_of(d, system_.tables.get_and_clear(core, entry + i * 8));
  }
  return d;
}

// get_clear_contig_flush() and clear_flush(): the whole run, by pages of 4 KB and without a hint of
// the level, as flush_tlb_range() knows no other.
Descriptor Mm::hugetlb_break(const HugetlbSize& size, PhysAddr entry, std::uint64_t va,
                             FlushSite site, cpu::Core& core) {
  const Descriptor d = hugetlb_clear(size, entry, core);
  system_.flush.range(core, site, space, VirtAddr(va), VirtAddr(va + size.bytes()), kPageSize,
                      false, 0);
  system_.check_broken(space, VirtAddr(va), VirtAddr(va + size.bytes()));
  return d;
}

void Mm::hugetlb_store(const HugetlbSize& size, PhysAddr entry, Descriptor d, cpu::Core& core) {
  pass(size, core);
  for (unsigned i = 0; i < size.entries; ++i) {
    const std::uint64_t pfn = d.pfn().value + i * (size.entry_bytes() >> kPageShift);
    system_.tables.set_pte(core, entry + i * 8, d.with(field::kOutputAddress, pfn), false);
  }
}

// set_huge_pte_at(): a run is broken first, also where nothing was.
void Mm::hugetlb_set(const HugetlbSize& size, PhysAddr entry, std::uint64_t va, Descriptor d,
                     cpu::Core& core) {
  if (size.entries > 1) hugetlb_break(size, entry, va, FlushSite::kContpte, core);
  hugetlb_store(size, entry, d, core);
}

// huge_ptep_set_access_flags()
void Mm::hugetlb_set_access(const HugetlbSize& size, PhysAddr entry, std::uint64_t va, Descriptor d,
                            bool write, cpu::Core& core) {
  if (size.entries == 1) {
    if (read(core, entry) == d) return;
    system_.tables.exchange(core, entry, d);
    if (write) system_.flush.gained(core, space, VirtAddr(va));
    return;
  }
  const auto same = [&](Descriptor old) {
    return is_dirty(old) == is_dirty(d) && is_young(old) == is_young(d);
  };
  pass(size, core);
  bool all = is_writable(read(core, entry)) == is_writable(d);
  for (unsigned i = 0; i < size.entries; ++i) all &= same(read(core, entry + i * 8));
  if (all) return;
  const Descriptor old = hugetlb_break(size, entry, va, FlushSite::kContpte, core);
  hugetlb_store(size, entry, with_marks_of(d, old), core);
}

// want_pmd_share() and page_table_shareable(): the table that another mapping of the same whole
// gigabyte of the file has.
std::optional<Pfn> Mm::shared_table(const Vma& vma, std::uint64_t va, cpu::Core& core) {
  const std::uint64_t base = align_down(va, kPudSize);
  if (!vma.shared || base < vma.start || base + kPudSize > vma.end) return std::nullopt;
  const std::uint64_t offset = va - vma.start + vma.file_offset;
  const auto usable = [&](const Vma& other) {
    if (!other.file || other.file_id != vma.file_id || !other.shared) return false;
    if (offset < other.file_offset || offset - other.file_offset >= other.length()) return false;
    const std::uint64_t there = offset - other.file_offset + other.start;
    const std::uint64_t there_base = align_down(there, kPudSize);
    return there % kPudSize == va % kPudSize && other.read == vma.read &&
           other.write == vma.write && other.exec == vma.exec && other.dont_fork == vma.dont_fork &&
           other.huge == vma.huge && there_base >= other.start &&
           there_base + kPudSize <= other.end;
  };
  for (const Mm* mm : system_.hugetlb.spaces) {
    for (const auto& [start, other] : mm->vmas_.all()) {
      if ((mm == this && start == vma.start) || !usable(other)) continue;
      const VirtAddr there(offset - other.file_offset + other.start);
      const PhysAddr pud = system_.find_entry(core, mm->root_, there, 1, false);
      if (pud.value != 0 && read(core, pud).valid()) return read(core, pud).pfn();
    }
  }
  return std::nullopt;
}

// huge_pte_alloc()
PhysAddr Mm::hugetlb_alloc(const HugetlbSize& size, const Vma& vma, std::uint64_t va,
                           cpu::Core& core) {
  if (size.shift == kPmdShift && vma.shared) {
    const PhysAddr pud = system_.find_entry(core, root_, VirtAddr(va), 1, true);
    if (is_none(read(core, pud))) {
      if (const auto table = shared_table(vma, va, core)) {  // huge_pmd_share()
        ++system_.hugetlb.sharers[*table];
        const PageTableLock lock = lock_of(pud, core);
        system_.tables.set_table(core, pud, table_descriptor(*table), 1);
      }
    }
  }
  return system_.find_entry(core, root_, VirtAddr(va), size.level, true);
}

// huge_pmd_unshare(): the table stays, with those who use it too.
bool Mm::hugetlb_unshare(Gather& gather, const HugetlbSize& size, std::uint64_t va,
                         cpu::Core& core) {
  if (size.shift != kPmdShift || system_.hugetlb.sharers.empty()) return false;
  const PhysAddr pud = system_.find_entry(core, root_, VirtAddr(va), 1, false);
  const auto it = system_.hugetlb.sharers.find(read(core, pud).pfn());
  if (it == system_.hugetlb.sharers.end()) return false;
  system_.tables.set_table(core, pud, Descriptor{0}, 1);
  gather.unshared(va);
  if (--it->second == 0) system_.hugetlb.sharers.erase(it);
  return true;
}

// hugetlb_no_page()
void Mm::hugetlb_no_page(const HugetlbSize& size, Vma& vma, PhysAddr entry, std::uint64_t va,
                         bool write, cpu::Core& core) {
  core.execute(system_.path().hugetlb_fault);
  auto pfn = vma.file ? system_.hugetlb.find(vma.file_id, vma.hugetlb_index(va)) : std::nullopt;
  if (!pfn) {
    if (!vma.shared) prepare_anon_vma(vma);
    pfn = vma.shared ? system_.hugetlb.allocate_for_file(size, vma.file_id, vma.hugetlb_index(va))
                     : system_.hugetlb.allocate(size, vma.reservation, vma.hugetlb_index(va));
    for (std::uint64_t i = 0; i < size.pages(); ++i) core.count_page_zero();
    core.execute_loop(system_.path().hugetlb_clear_page * size.pages());  // folio_zero_user()
    if (vma.shared) core.execute(system_.path().hugetlb_add);
    Page& fresh = system_.page(*pfn);
    fresh = {};
    fresh.order = static_cast<std::uint8_t>(size.order());
    fresh.file = vma.shared;
    fresh.exclusive = !vma.shared;
    fresh.refs = vma.shared ? 1 : 0;  // the file's
  }
  Page& page = system_.page(*pfn);
  ++page.mapcount;
  ++page.refs;
  const PageTableLock lock = lock_of(entry, core);
  hugetlb_set(size, entry, va, leaf(size, *pfn, vma.write && vma.shared, vma.exec), core);
  if (write && !vma.shared) hugetlb_write(size, vma, entry, va, core);
}

// hugetlb_wp()
void Mm::hugetlb_write(const HugetlbSize& size, Vma& vma, PhysAddr entry, std::uint64_t va,
                       cpu::Core& core) {
  const Descriptor old = hugetlb_entry(size, entry, core);
  Page& page = system_.page(old.pfn());
  if (vma.shared || (!page.file && page.mapcount == 1)) {
    core.execute(system_.path().hugetlb_write);
    page.exclusive |= !vma.shared;
    const PageTableLock lock = lock_of(entry, core);
    return hugetlb_set_access(size, entry, va, made_writable(old), true, core);
  }
  core.execute(system_.path().hugetlb_cow);
  // Who made the reservation has used it for this page, unless it is the file's.
  const std::uint32_t reservation = page.file ? vma.reservation : 0;
  const Pfn copy = system_.hugetlb.allocate(size, reservation, vma.hugetlb_index(va));
  prepare_anon_vma(vma);
  for (std::uint64_t i = 0; i < size.pages(); ++i) core.count_page_copy();
  core.execute_loop(system_.path().hugetlb_copy_page * size.pages());
  const PageTableLock lock = lock_of(entry, core);
  if (size.entries > 1) {  // huge_ptep_clear_flush()
    hugetlb_break(size, entry, va, FlushSite::kCowBreak, core);
  } else {
    system_.tables.get_and_clear(core, entry);
    system_.flush.page(core, FlushSite::kCowBreak, space, VirtAddr(va));
    system_.check_broken(space, VirtAddr(va), VirtAddr(va + size.bytes()));
  }
  Page& fresh = system_.page(copy);
  fresh = {};
  fresh.order = static_cast<std::uint8_t>(size.order());
  fresh.exclusive = true;
  fresh.mapcount = fresh.refs = 1;
  hugetlb_set(size, entry, va, leaf(size, copy, true, vma.exec), core);
  --page.mapcount;
  system_.put_hugetlb(size, old.pfn());
}

void Mm::hugetlb_fault(Vma& vma, std::uint64_t address, bool write, cpu::Core& core) {
  const HugetlbSize& size = hugetlb_size(vma.hugetlb);
  const std::uint64_t va = align_down(address, size.bytes());
  std::optional<Holding> mutex;
  if (system_.interleaving) {  // a file and a reservation may have the same one
    SleepingLock& one = system_.interleaving->hugetlb_fault(
        vma.file ? vma.file_id : vma.reservation, vma.hugetlb_index(va));
    mutex.emplace(system_.locks(), one, core);
  }
  const PhysAddr entry = hugetlb_alloc(size, vma, va, core);
  const Descriptor old = hugetlb_entry(size, entry, core);
  if (is_none(old)) return hugetlb_no_page(size, vma, entry, va, write, core);
  core.execute(system_.path().hugetlb_present);
  if (write && !is_writable(old)) {
    const Because because(core, Cause::kCow);
    return hugetlb_write(size, vma, entry, va, core);
  }
  const PageTableLock lock = lock_of(entry, core);
  Descriptor d = old.with(field::kAccessFlag, 1);
  if (write) d = d.with(field::kAp2, 0);
  hugetlb_set_access(size, entry, va, d, write, core);
}

// copy_hugetlb_page_range()
void Mm::hugetlb_copy(Mm& child, const Vma& vma, cpu::Core& core) {
  const HugetlbSize& size = hugetlb_size(vma.hugetlb);
  for_hugetlb(size, vma.start, vma.end, core, [&](PhysAddr entry, std::uint64_t va) {
    const PhysAddr to = child.hugetlb_alloc(size, vma, va, core);
    Descriptor d = hugetlb_entry(size, entry, core);
    if (is_none(d)) return false;
    core.execute(system_.path().hugetlb_fork);
    const PageTableLock lock = lock_of(to, core);
    const PageTableLock nested = lock_of(entry, core);
    Page& page = system_.page(d.pfn());
    ++page.mapcount;
    ++page.refs;
    page.exclusive = false;
    d = write_protected(d);
    if (size.entries > 1) {  // huge_ptep_set_wrprotect()
      hugetlb_break(size, entry, va, FlushSite::kContpte, core);
      hugetlb_store(size, entry, d, core);
    } else {
      system_.tables.exchange(core, entry, d);
    }
    child.hugetlb_set(size, to, va, d, core);
    return false;
  });
}

// __unmap_hugepage_range()
void Mm::hugetlb_zap(Gather& gather, const Vma& vma, std::uint64_t start, std::uint64_t end,
                     cpu::Core& core, Zap which) {
  const HugetlbSize& size = hugetlb_size(vma.hugetlb);
  for_hugetlb(size, start, end, core, [&](PhysAddr entry, std::uint64_t va) {
    if (hugetlb_unshare(gather, size, va, core)) return true;
    const Descriptor mapped = read(core, entry);
    if (is_none(mapped)) return false;
    Page& page = system_.page(mapped.pfn());
    if (which == Zap::kFilePages && !page.file) return false;
    const PageTableLock lock = lock_of(entry, core);
    hugetlb_clear(size, entry, core);
    core.execute(system_.path().hugetlb_zap);
    gather.changed(va, size.bytes(), size.level);
    --page.mapcount;
    if (vma.reservation != 0 && !page.file && page.mapcount == 0) {
      system_.hugetlb.restore(size, vma.reservation, vma.hugetlb_index(va));
    }
    if (gather.remove_hugetlb(size, mapped.pfn())) gather.flush(core);
    return false;
  });
  gather.end_vma(core);
  gather.flush_unshared(core);
}

// hugetlb_vm_op_close()
void Mm::hugetlb_close(const Vma& vma) {
  if (vma.reservation == 0) return;
  system_.hugetlb.close(hugetlb_size(vma.hugetlb), vma.reservation, vma.hugetlb_index(vma.start),
                        vma.hugetlb_index(vma.end));
}

// hugetlb_change_protection(). Its gather is a second one within mprotect()'s: tlb_finish_mmu()
// takes that for another thread's unmapping, which it may have missed, and flushes the address
// space.
void Mm::hugetlb_protect(const Vma& vma, cpu::Core& core) {
  const HugetlbSize& size = hugetlb_size(vma.hugetlb);
  Gather gather(system_, space, false, FlushSite::kMprotect);
  for_hugetlb(size, vma.start, vma.end, core, [&](PhysAddr entry, std::uint64_t va) {
    if (hugetlb_unshare(gather, size, va, core)) return true;
    if (is_none(read(core, entry))) return false;
    core.execute(system_.path().hugetlb_protect);
    const Descriptor old = hugetlb_clear(size, entry, core);
    hugetlb_set(size, entry, va, changed(size, vma, old), core);
    gather.changed(va, size.bytes(), size.level);
    return false;
  });
  gather.flush(core);
  system_.flush.mm(core, FlushSite::kMprotect, space);
}

// move_hugetlb_page_tables()
void Mm::hugetlb_move(const Vma& vma, const Vma& target, std::uint64_t length, cpu::Core& core) {
  const HugetlbSize& size = hugetlb_size(vma.hugetlb);
  Gather gather(system_, space, false, FlushSite::kMremap);
  for_hugetlb(size, vma.start, vma.start + length, core, [&](PhysAddr entry, std::uint64_t va) {
    if (is_none(read(core, entry))) return false;
    if (hugetlb_unshare(gather, size, va, core)) return true;
    const std::uint64_t to = target.start + (va - vma.start);
    const PhysAddr slot = hugetlb_alloc(size, target, to, core);
    core.execute(system_.path().hugetlb_move);
    hugetlb_set(size, slot, to, hugetlb_clear(size, entry, core), core);
    gather.changed(va, size.bytes(), size.level);
    return false;
  });
  gather.flush(core);
}

// __get_user_pages(), which follows each entry by itself. False: a SIGSEGV.
bool Mm::hugetlb_populate(const Vma& vma, std::uint64_t start, std::uint64_t end, bool write,
                          cpu::Core& core) {
  const HugetlbSize& size = hugetlb_size(vma.hugetlb);
  for (std::uint64_t va = align_down(start, size.bytes()); va < end; va += size.bytes()) {
    const PhysAddr entry = system_.find_entry(core, root_, VirtAddr(va), size.level, false);
    const Descriptor d = entry.value == 0 ? Descriptor{0} : read(core, entry);
    const bool done = d.valid() && (!write || is_writable(d));
    if (!done && handle_fault(VirtAddr(va), write, false, core) == FaultResult::kSegv) return false;
    core.execute_loop(system_.path().hugetlb_follow * size.entries);
  }
  return true;
}

}  // namespace kpksim::kernel
