// Guard pages (MADV_GUARD_INSTALL and _REMOVE of mm/madvise.c, from Linux 6.13 on): page-table
// entries that say SIGSEGV, without VMAs of their own.

#include "sim/kernel/cause.h"
#include "sim/kernel/gather.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;

// guard_install_pte_entry(): an entry that is neither empty nor a guard.
bool Mm::anything_mapped(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  bool any = false;
  for_pmds(start, end, core, [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
    const Descriptor d = read(core, pmd);
    any |= is_huge(d);
    for (; !any && va < next; va += kPageSize) {
      const Descriptor page = read(core, pte(d.pfn(), va));
      any = !is_none(page) && !is_guard(page);
    }
  });
  return any;
}

// guard_install_set_pte(): one by one, in no lazy MMU section; tables come where there are none.
void Mm::install_guards(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  for (std::uint64_t va = start; va < end; va += kPageSize) {
    const PhysAddr entry = system_.find_entry(core, root_, VirtAddr(va), 3, true);
    const PageTableLock lock = lock_of(entry, core);
    if (is_none(read(core, entry))) system_.tables.set_pte(core, entry, kGuard, false);
  }
}

bool Mm::guard_install(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(system_.path().madvise);
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    Vma& vma = it->second;
    if (vma.special || vma.locked || vma.hugetlb != 0) return false;  // is_valid_guard_vma()
    prepare_anon_vma(vma);                                            // so that fork copies them
    const std::uint64_t from = std::max(start, vma.start), to = std::min(end, vma.end);
    if (anything_mapped(from, to, core)) {  // zap_page_range_single()
      Gather gather(system_, space, false, FlushSite::kUnmap);
      zap(gather, vma, from, to, core, Zap::kKeepGuards);
      gather.flush(core);
    }
    install_guards(from, to, core);
  }
  return true;
}

bool Mm::guard_remove(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(system_.path().madvise);
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    const Vma& vma = it->second;
    if (vma.special || vma.hugetlb != 0) return false;
    for_pmds(std::max(start, vma.start), std::min(end, vma.end), core,
             [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
               const Descriptor d = read(core, pmd);
               if (is_huge(d)) return;
               const PageTableLock lock = lock_of(address_of(d.pfn()), core);
               for (; va < next; va += kPageSize) {
                 const PhysAddr entry = pte(d.pfn(), va);
                 if (is_guard(read(core, entry))) {
                   system_.tables.set_pte(core, entry, Descriptor{0}, false);
                 }
               }
             });
  }
  return true;
}

}  // namespace kpksim::kernel
