// Unmapping (mm/memory.c): entries are cleared and their pages collected, then tables that no VMA
// needs any more are unhooked.

#include <algorithm>

#include "sim/kernel/gather.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;

// unmap_page_range() of one VMA
void Mm::zap(Gather& gather, const Vma& vma, std::uint64_t start, std::uint64_t end,
             cpu::Core& core, Zap which) {
  if (vma.hugetlb != 0) return hugetlb_zap(gather, vma, start, end, core, which);
  for_pmds(start, end, core, [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
    if (is_huge(read(core, pmd))) {
      if (next - va != kPmdSize) {
        split_huge(pmd, align_down(va, kPmdSize), core);
      } else if (zap_huge(gather, pmd, va, core)) {
        return;
      }
    }
    const Descriptor now = read(core, pmd);
    if (is_none(now)) return;  // another core was first
    const Pfn table = now.pfn();
    while (va < next) va = zap_ptes(gather, vma, table, va, next, which, core);
  });
  gather.end_vma(core);
}

// zap_pte_range(): one lazy MMU section; ends early when the gather is full. Returns where to go
// on.
std::uint64_t Mm::zap_ptes(Gather& gather, const Vma& vma, Pfn table, std::uint64_t va,
                           std::uint64_t end, Zap which, cpu::Core& core) {
  bool flush = false, full = false;
  std::uint64_t none = 0;
  flush_batched(FlushSite::kUnmap, core);
  {
    const PageTableLock lock(system_.tables, core, Target(table));
    LazySection lazy(system_.tables, core, Target(table));
    while (va < end && !full) {
      const PhysAddr entry = pte(table, va);
      const Descriptor d = read(core, entry);
      if (is_none(d)) {
        va += kPageSize;
        ++none;
        continue;
      }
      if (is_guard(d)) {  // zap_drop_markers()
        if (which == Zap::kAll) system_.tables.set_pte(core, entry, Descriptor{0}, false);
        va += kPageSize;
        continue;
      }
      const Page& page = system_.page(d.pfn());
      if (which == Zap::kFilePages && !page.file) {  // should_zap_folio()
        va += kPageSize;
        continue;
      }
      const unsigned n =
          folio_batch(core, entry, d, static_cast<unsigned>((end - va) >> kPageShift));
      // A dirty page of a file: its mapping must be flushed before anyone cleans the page.
      flush |= page.file && vma.shared && is_dirty(d);
      // contpte_clear_full_ptes() is a function of its own.
      if (!d.contiguous()) lazy.look(system_.path().zap_section_open);
      clear_ptes(entry, va, n, core);
      lazy.look({});
      gather.changed(va, n * kPageSize, 3);
      core.execute_lists(system_.path().zap_folio);
      core.execute_loop(system_.path().zap_page * n);
      if (page.file) core.execute_lists(system_.path().zap_file * n);
      if (vma.locked) core.execute_lists(system_.path().mlock_page * n);
      if (!vma.special && !page.reserved) {
        const Pfn head = system_.head_of(d.pfn());
        if (!page.file) core.execute_lists(system_.path().zap_rmap);
        system_.page(head).mapcount -= n;
        if (page.file && page.mapcount == 0) core.execute_lists(system_.path().file_mapped);
        for (unsigned i = 0; i < n; ++i) system_.atomic_page(core, d.pfn() + i, 1);  // _mapcount
        full = gather.remove_folio(head, n);
      }
      va += n * kPageSize;
    }
  }
  core.execute_loop(system_.path().zap_none * none);
  if (flush) ++system_.forced_flushes;
  if (flush || full) gather.flush(core);
  return va;
}

std::optional<FileRange> Mm::file_range(std::uint64_t start, std::uint64_t length) {
  const Vma* vma = vmas_.find(start);
  if (vma == nullptr || !vma->file) return std::nullopt;
  const std::uint64_t first = vma->page_index(start);
  return FileRange{vma->file_id, first, first + (length >> kPageShift)};
}

std::vector<FileRange> Mm::anonymous_files(std::uint64_t start, std::uint64_t end) const {
  std::vector<FileRange> files;
  for (const auto& [at, vma] : vmas_.all()) {
    if (vma.file && cache_.closed(vma.file_id) && vma.end > start && at < end) {
      files.push_back({vma.file_id});
    }
  }
  return files;
}

bool Mm::maps(std::uint32_t file_id) const {
  return std::any_of(vmas_.all().begin(), vmas_.all().end(), [&](const auto& at) {
    return at.second.file && at.second.file_id == file_id;
  });
}

void Mm::unmap_file(const FileRange& range, bool even_copies, cpu::Core& core) {
  std::vector<Vma> mapped;  // others may map and unmap meanwhile
  for (const auto& [start, vma] : vmas_.all()) {
    if (vma.file && vma.file_id == range.file_id) mapped.push_back(vma);
  }
  for (const Vma& vma : mapped) {
    const std::uint64_t start = vma.start;
    const std::uint64_t first = vma.file_offset >> kPageShift;
    const std::uint64_t from = std::max(range.first, first);
    const std::uint64_t to = std::min(range.last, first + (vma.length() >> kPageShift));
    if (from >= to) continue;
    std::uint64_t va = start + ((from - first) << kPageShift);
    std::uint64_t end = start + ((to - first) << kPageShift);
    if (vma.hugetlb != 0) {  // of a page that is hit in part, that part is cleared
      va = align_up(va, 1ull << vma.hugetlb);
      end = align_down(end, 1ull << vma.hugetlb);
      if (va >= end) continue;
    }
    Gather gather(system_, space, false, FlushSite::kUnmap);  // zap_page_range_single()
    zap(gather, vma, va, end, core, even_copies ? Zap::kKeepGuards : Zap::kFilePages);
    gather.flush(core);
  }
}

// False: another core was first, and it is huge no longer.
bool Mm::zap_huge(Gather& gather, PhysAddr pmd, std::uint64_t va, cpu::Core& core) {
  const std::uint64_t before = system_.changes();
  const PageTableLock lock = lock_of(pmd, core);
  if (system_.changes() != before && !is_huge(read(core, pmd))) return false;
  const Descriptor old = system_.tables.get_and_clear(core, pmd);
  gather.changed(va, kPmdSize, 2);
  core.execute(system_.path().zap_folio);
  system_.free_table(core, withdraw_table());  // zap_deposited_table()
  Page& folio = system_.page(old.pfn());
  if (folio.reserved) return true;
  folio.mapcount -= kEntriesPerTable;
  if (gather.remove_folio(old.pfn(), kEntriesPerTable)) gather.flush(core);
  return true;
}

namespace {

// May the table that maps the aligned range of `size` bytes around `start` go, given where the
// neighbouring VMAs end and begin? (free_pmd_range() and its like; a ceiling of 0 is the top.)
bool table_unused(std::uint64_t start, std::uint64_t end, std::uint64_t size, std::uint64_t floor,
                  std::uint64_t ceiling) {
  if (align_down(start, size) < floor) return false;
  if (ceiling != 0) {
    ceiling = align_down(ceiling, size);
    if (ceiling == 0) return false;
  }
  return end - 1 <= ceiling - 1;
}

}  // namespace

// free_p4d_range() to free_pte_range(): below `table`, whose entries are of `level`.
bool Mm::free_level(Gather& gather, Pfn table, unsigned level, std::uint64_t start,
                    std::uint64_t end, std::uint64_t floor, std::uint64_t ceiling,
                    cpu::Core& core) {
  const std::uint64_t size = 1ull << mmu::level_shift(level);
  for (std::uint64_t va = start; va < end;) {
    const std::uint64_t next = std::min(align_down(va, size) + size, end);
    const PhysAddr entry = entry_of(table, VirtAddr(va), level);
    const Descriptor d = read(core, entry);
    if (!is_none(d)) {
      const bool below_empty =
          level == 2 || free_level(gather, d.pfn(), level + 1, va, next, floor, ceiling, core);
      if (below_empty) {
        system_.tables.set_table(core, entry, Descriptor{0}, level);
        gather.remove_table(core, d.pfn(), level == 2 ? va : align_down(va, size), level);
      }
    } else {
      core.execute_loop(system_.path().pmd_none);
    }
    va = next;
  }
  return level != 0 &&
         table_unused(start, end, 1ull << mmu::level_shift(level - 1), floor, ceiling);
}

// unlink_file_vma(): nobody who truncates the file looks at its tables any more.
void Mm::unlink_file(const Vma& vma, cpu::Core& core) {
  if (!vma.file || locks.off()) return;
  const Holding mapping(system_.locks(), system_.interleaving->file_mapping(vma.file_id), core);
}

// free_pgtables(): VMAs that are at most 2 MB apart go in one call of free_pgd_range(), unless they
// are of reserved huge pages.
void Mm::free_tables(Gather& gather, const VmaTree::Map& vmas, std::uint64_t floor,
                     std::uint64_t ceiling, cpu::Core& core) {
  for (const auto& [start, vma] : vmas) unlink_file(vma, core);
  for (auto it = vmas.begin(); it != vmas.end();) {
    const std::uint64_t addr = it->second.start;
    std::uint64_t last = it->second.end;
    const auto joins = [&](const Vma& next) {
      return next.start <= last + kPmdSize && next.hugetlb == 0;
    };
    const bool alone = it->second.hugetlb != 0;
    for (++it; !alone && it != vmas.end() && joins(it->second); ++it) last = it->second.end;
    const std::uint64_t top = it != vmas.end() ? it->first : ceiling;
    free_range(gather, addr, last, floor, top, core);
  }
}

// free_pgd_range(); a ceiling of 0 is the top.
void Mm::free_range(Gather& gather, std::uint64_t start, std::uint64_t end, std::uint64_t floor,
                    std::uint64_t ceiling, cpu::Core& core) {
  start = align_down(start, kPmdSize);
  if (start < floor) start += kPmdSize;
  if (ceiling != 0) {
    ceiling = align_down(ceiling, kPmdSize);
    if (ceiling == 0) return;
  }
  if (end - 1 > ceiling - 1) end -= kPmdSize;
  if (start > end - 1) return;
  free_level(gather, root_, 0, start, end, floor, ceiling, core);
}

}  // namespace kpksim::kernel
