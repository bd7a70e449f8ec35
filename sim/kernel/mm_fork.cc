// fork's copy of an address space (dup_mmap() and copy_page_range()).

#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"
#include "sim/kernel/span.h"

namespace kpksim::kernel {

using mmu::Descriptor;

void Mm::fork_into(Mm& child, cpu::Core& core) {
  const Span span(system_.taps, core, Work::kForkMm);
  core.execute(system_.path().fork);
  start_write(0, kUserEnd, core);
  child.brk_start = brk_start;
  child.brk = brk;
  child.placement = placement;
  child.vmas_.set_mmap_base(vmas_.mmap_base());
  for (const auto& [start, vma] : vmas_.all()) {
    core.execute(system_.path().fork_vma);
    if (vma.dont_fork) continue;
    Vma copy = vma;
    copy.locked = copy.lock_on_fault = false;
    copy.reservation = 0;
    if (vma.wipe_on_fork) {
      copy.anon_vma = 0;
      copy.anon_vma_chained = false;
    } else if (vma.anon_vma != 0) {  // anon_vma_fork()
      copy.anon_vma = ++system_.last_anon_vma;
      copy.anon_vma_chained = true;
    }
    child.vmas_.insert_alone(copy);
    // vma_needs_copy(): what a fault can fill in again is left to faults
    if (copy.anon_vma == 0 && !vma.special) continue;
    if (vma.hugetlb != 0) {
      hugetlb_copy(child, vma, core);
    } else {
      copy_range(child, vma, core);
    }
  }
  child.maple_ = maple_;  // __mt_dup()
  for (const auto& [start, vma] : vmas_.all()) {
    if (vma.dont_fork) child.maple_.store(child.vmas_, start, vma.end);
  }
  child.forked_vmas_ = child.anon_vmas();
  for (std::uint64_t n = system_.vma_slabs.take(child.forked_vmas_); n != 0; --n) {
    system_.taps.injector.at(core, FaultSite::kIsbFork, [](cpu::Core& on) { on.isb(); });
  }
  system_.flush.mm(core, FlushSite::kForkParent, space);
}

void Mm::copy_range(Mm& child, const Vma& vma, cpu::Core& core) {
  const auto copy_ptes = [&](PhysAddr from, PhysAddr to, std::uint64_t va, std::uint64_t end) {
    const PageTableLock lock(system_.tables, core, Target(frame_of(to)));
    const PageTableLock nested(system_.tables, core, Target(frame_of(from)));
    const LazySection lazy(system_.tables, core, Target(frame_of(to), frame_of(from)));
    while (va < end) {
      Descriptor d = read(core, from);
      const bool page = !is_none(d) && !is_guard(d);
      const unsigned n =
          page ? folio_batch(core, from, d, static_cast<unsigned>((end - va) >> kPageShift)) : 1;
      if (is_guard(d)) system_.tables.set_pte(core, to, d, false);  // copy_nonpresent_pte()
      if (page) {
        Page& folio = system_.page(system_.head_of(d.pfn()));
        if (!folio.reserved) {
          folio.mapcount += n;
          folio.refs += n;
          // folio_ref_add(), and for each page its _mapcount and PG_anon_exclusive
          system_.atomic_page(core, d.pfn(), 1);
          for (unsigned i = 0; i < n; ++i) {
            system_.atomic_page(core, d.pfn() + i, folio.exclusive ? 2 : 1);
          }
          if (!folio.file) folio.exclusive = false;
        }
        if (!vma.shared && is_writable(d)) {
          wrprotect_ptes(from, va, n, core);
          d = write_protected(d);
        }
        child.set_ptes(to, va, d, n, core);
        core.execute_loop(system_.path().fork_folio + system_.path().fork_page * n);
      }
      va += n * kPageSize;
      from += n * 8;
      to += n * 8;
    }
  };
  for_pmds(vma.start, vma.end, core, [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
    const Descriptor d = read(core, pmd);
    if (is_huge(d)) {
      copy_huge(child, pmd, va, core);
      return;
    }
    const PhysAddr to = system_.find_entry(core, child.root_, VirtAddr(va), 3, true);
    copy_ptes(pte(d.pfn(), va), to, va, next);
  });
}

}  // namespace kpksim::kernel
