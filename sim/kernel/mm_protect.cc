// mprotect() and madvise() (mm/mprotect.c, mm/madvise.c).

#include "sim/kernel/cause.h"
#include "sim/kernel/gather.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;
namespace field = mmu::field;

namespace {

// Advice about a folio that others map too is not followed (folio_likely_mapped_shared()).
bool folio_shared(const Page& folio) {
  return folio.reserved || folio.mapcount != 1u << folio.order;
}

}  // namespace

// pte_modify() and can_change_pte_writable()
Descriptor Mm::changed_protection(const Vma& vma, Descriptor old, unsigned level) {
  const Page& folio = system_.page(system_.head_of(old.pfn()));
  const bool dirty = field::kAp2.get(old.raw) == 0 || field::kSoftware.get(old.raw) != 0;
  const bool writable = vma.write && (vma.shared ? vma.shmem || dirty : dirty && folio.exclusive);
  Descriptor d = user_leaf(old.output(), level, writable, vma.exec);
  // A page that was written stays dirty, whether it may be written now or not; one that was not
  // stays clean.
  if (!writable && dirty) d = d.with(field::kSoftware, kSoftwareDirty);
  if (writable && !dirty) d = made_clean(d);
  const bool none = !vma.read && !vma.write && !vma.exec;
  return d.with(field::kValid, none ? 0 : 1);
}

// change_protection(): one lazy MMU section per page table, each entry cleared, then set.
void Mm::change_protection(Gather& gather, const Vma& vma, std::uint64_t start, std::uint64_t end,
                           cpu::Core& core) {
  if (vma.hugetlb != 0) return hugetlb_protect(vma, core);
  for_pmds(start, end, core, [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
    if (is_huge(read(core, pmd))) {
      if (next - va == kPmdSize) return protect_huge(gather, vma, pmd, va, core);
      split_huge(pmd, align_down(va, kPmdSize), core);
    }
    const Pfn table = read(core, pmd).pfn();
    flush_batched(FlushSite::kMprotect, core);
    const PageTableLock lock(system_.tables, core, Target(table));
    const LazySection lazy(system_.tables, core, Target(table),
                           system_.path().protect_section_open);
    for (; va < next; va += kPageSize) {
      const PhysAddr entry = pte(table, va);
      if (const Descriptor d = read(core, entry); is_none(d) || is_guard(d)) {
        core.execute_loop(system_.path().protect_none);
        continue;
      }
      core.execute_loop(system_.path().protect_page +
                        (vma.write ? system_.path().protect_writable : 0));
      const Descriptor old = clear_ptes(entry, va, 1, core);          // ptep_modify_prot_start()
      set_ptes(entry, va, changed_protection(vma, old, 3), 1, core);  // and _commit()
      gather.changed(va, kPageSize, 3);
    }
  });
  gather.end_vma(core);
}

// vma_modify(): VMAs that are alike now become one, also with their neighbours outside.
void Mm::merge_within(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  for (auto at = vmas_.start_above(start); at && *at <= end; at = vmas_.start_above(*at + 1)) {
    const std::size_t before = vmas_.all().size();
    vmas_.merge(*at);
    const std::size_t gone = before - vmas_.all().size();
    if (gone == 0) continue;
    core.execute(system_.path().vma_merge * gone);
    system_.rcu.call(core, gone);  // vm_area_free()
    const Vma& merged = *vmas_.find(*at);
    stored(merged.start, merged.end, core);
  }
}

bool Mm::mprotect(std::uint64_t start, std::uint64_t end, bool r, bool w, bool x, cpu::Core& core) {
  const Because because(core, Cause::kMprotect);
  core.execute(system_.path().mprotect);
  isolate(start, end, core);
  bool any = false;
  Gather gather(system_, space, false, FlushSite::kMprotect);
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end;
       it = vmas_.first_above(std::max(start, it->second.end))) {
    any = true;
    Vma& vma = it->second;
    if (vma.read == r && vma.write == w && vma.exec == x) continue;
    vma.read = r;
    vma.write = w;
    vma.exec = x;
    change_protection(gather, vma, vma.start, vma.end, core);
  }
  gather.flush(core);
  merge_within(start, end, core);
  return any;
}

bool Mm::madvise_dontneed(std::uint64_t start, std::uint64_t end, bool locked_too,
                          cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(system_.path().madvise);
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    if (it->second.special || (it->second.locked && !locked_too)) return false;
    Gather gather(system_, space, false, FlushSite::kUnmap);  // zap_page_range_single()
    const std::uint64_t from = std::max(start, it->second.start);
    std::uint64_t to = std::min(end, it->second.end);
    if (it->second.hugetlb != 0) {  // madvise_dontneed_free_valid_vma()
      if (!is_aligned(from, 1ull << it->second.hugetlb)) return false;
      to = align_down(to, 1ull << it->second.hugetlb);
      if (from >= to) continue;
    }
    zap(gather, it->second, from, to, core, Zap::kKeepGuards);
    gather.flush(core);
  }
  return true;
}

void Mm::for_folios(const Vma& vma, std::uint64_t start, std::uint64_t end, cpu::Core& core,
                    const OnHuge& on_huge, const OnEntries& on_entries) {
  const auto head_at = [&](Descriptor d, std::uint64_t va) {
    return va - system_.page(d.pfn()).offset * kPageSize;
  };
  for_pmds(std::max(start, vma.start), std::min(end, vma.end), core,
           [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
             const Descriptor block = read(core, pmd);
             if (is_huge(block)) {
               if (folio_shared(system_.page(block.pfn()))) return;
               if (next - va == kPmdSize) return on_huge(pmd, va);
               if (!split_folio(block.pfn(), align_down(va, kPmdSize), core)) return;
             }
             const Pfn table = read(core, pmd).pfn();
             while (va < next) {
               std::optional<Descriptor> split;
               flush_batched(FlushSite::kMadviseCold, core);
               {
                 const PageTableLock lock(system_.tables, core, Target(table));
                 const LazySection lazy(system_.tables, core, Target(table));
                 for (unsigned n = 1; va < next; va += n * kPageSize) {
                   const PhysAddr entry = pte(table, va);
                   const Descriptor d = read(core, entry);
                   n = 1;
                   if (!d.valid() || system_.page(d.pfn()).reserved) continue;
                   const auto left = static_cast<unsigned>((next - va) >> kPageShift);
                   n = folio_batch(core, entry, d, left);
                   const Page& folio = system_.page(system_.head_of(d.pfn()));
                   if (n == 1u << folio.order) {
                     on_entries(entry, va, n, folio);
                   } else if (!folio.file && folio.mapcount <= 1u << folio.order) {
                     split = d;
                     break;
                   }
                 }
               }
               if (!split) break;
               if (!split_folio(system_.head_of(split->pfn()), head_at(*split, va), core))
                 va += kPageSize;
             }
           });
}

// madvise_free_single_vma(): anonymous pages become clean and old; they go when memory is short,
// unless they are written before.
bool Mm::madvise_free(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(system_.path().madvise);
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    const Vma& vma = it->second;
    if (vma.file || vma.special || vma.shared || vma.locked || vma.hugetlb != 0) return false;
    Gather gather(system_, space, false, FlushSite::kMadviseFree);
    for_folios(
        vma, start, end, core,
        [&](PhysAddr pmd, std::uint64_t va) { free_huge(gather, pmd, va, core); },
        [&](PhysAddr entry, std::uint64_t va, unsigned n, const Page&) {
          const Descriptor d = read(core, entry);
          if (!is_dirty(d) && !is_young(d)) return;
          core.execute_loop(system_.path().lazy_free_page * n);
          make_old(entry, va, n, true, core);
          gather.changed(va, n * kPageSize, 3);
        });
    gather.end_vma(core);
    gather.flush(core);
  }
  return true;
}

void Mm::madvise_collapse(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(system_.path().madvise);
  const Vma* vma = vmas_.find(start);
  if (vma == nullptr || vma->huge == HugeAdvice::kNoHugepage || vma->hugetlb != 0) return;
  for (std::uint64_t va = align_up(start, kPmdSize); va + kPmdSize <= std::min(end, vma->end);
       va += kPmdSize) {
    collapse(*vma, va, core);
  }
}

// madvise_cold_or_pageout_pte_range(): what was used lately becomes old, unless others map it too.
bool Mm::madvise_cold(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(system_.path().madvise);
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    const Vma& vma = it->second;
    if (vma.special || vma.locked || vma.hugetlb != 0) return false;  // can_madv_lru_vma()
    Gather gather(system_, space, false, FlushSite::kMadviseCold);
    for_folios(
        vma, start, end, core,
        [&](PhysAddr pmd, std::uint64_t va) {
          const Descriptor block = read(core, pmd);
          if (!is_young(block)) return;
          core.execute(system_.path().cold_huge);
          const PageTableLock lock = lock_of(pmd, core);
          system_.tables.exchange(core, pmd, made_old(block));
          gather.changed(va, kPmdSize, 2);
        },
        [&](PhysAddr entry, std::uint64_t va, unsigned n, const Page& folio) {
          if (folio_shared(folio) || !is_young(read(core, entry))) return;
          core.execute_lists(system_.path().cold_folio);
          core.execute((n - 1) * system_.path().cold_page);
          make_old(entry, va, n, false, core);
          gather.changed(va, n * kPageSize, 3);
        });
    gather.end_vma(core);
    gather.flush(core);
  }
  return true;
}

void Mm::change_flags(std::uint64_t start, std::uint64_t end, cpu::Core& core,
                      const std::function<bool(const Vma&)>& differs,
                      const std::function<void(Vma&)>& change) {
  bool any = false;
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    any |= differs(it->second);
  }
  if (!any) return;
  isolate(start, end, core);
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    change(it->second);
  }
  merge_within(start, end, core);
}

void Mm::madvise_huge(std::uint64_t start, std::uint64_t end, HugeAdvice advice, cpu::Core& core) {
  change_flags(
      start, end, core, [&](const Vma& vma) { return vma.huge != advice; },
      [&](Vma& vma) { vma.huge = advice; });
}

void Mm::madvise_fork(std::uint64_t start, std::uint64_t end, bool dont_fork, cpu::Core& core) {
  change_flags(
      start, end, core, [&](const Vma& vma) { return vma.dont_fork != dont_fork; },
      [&](Vma& vma) { vma.dont_fork = dont_fork; });
}

bool Mm::madvise_wipe(std::uint64_t start, std::uint64_t end, bool wipe, cpu::Core& core) {
  const auto has_none = [](const Vma& vma) {
    return vma.file || vma.shared || vma.special || vma.hugetlb != 0;
  };
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    if (!wipe || !has_none(it->second)) continue;
    end = std::max(start, it->first);  // -EINVAL: the VMAs before it have the flag
    change_flags(
        start, end, core, [&](const Vma& vma) { return !vma.wipe_on_fork; },
        [&](Vma& vma) { vma.wipe_on_fork = true; });
    return false;
  }
  change_flags(
      start, end, core, [&](const Vma& vma) { return vma.wipe_on_fork != wipe; },
      [&](Vma& vma) { vma.wipe_on_fork = wipe; });
  return true;
}

}  // namespace kpksim::kernel
