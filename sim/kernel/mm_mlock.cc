// mlock() and its like (mm/mlock.c): VMAs whose pages stay. What is there goes to the list of pages
// that stay, what is not there is brought, or will stay once a fault has brought it.

#include "sim/kernel/mm.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {
namespace {

Lock lock_of(const Vma& vma) {
  if (!vma.locked) return Lock::kNone;
  return vma.lock_on_fault ? Lock::kOnFault : Lock::kNow;
}

// vma_supports_mlock(): the kernel's own pages and reserved huge pages never leave.
bool differs(const Vma& vma, Lock lock) {
  return !vma.special && vma.hugetlb == 0 && lock_of(vma) != lock;
}

}  // namespace

// mlock_pte_range(): each page that is there is locked, or is no more.
void Mm::mlock_walk(const Vma& vma, cpu::Core& core) {
  const std::uint64_t page = vma.locked ? system_.path().mlock_page : system_.path().munlock_page;
  for_pmds(vma.start, vma.end, core, [&](PhysAddr pmd, std::uint64_t va, std::uint64_t next) {
    const mmu::Descriptor d = read(core, pmd);
    if (is_huge(d)) return core.execute_lists(page);
    for (; va < next; va += kPageSize) {
      if (read(core, pte(d.pfn(), va)).valid()) core.execute_lists(page);
    }
  });
}

// mlock_fixup()
void Mm::set_lock(Vma& vma, Lock lock, cpu::Core& core) {
  if (!differs(vma, lock)) return;
  const bool was = vma.locked;
  vma.locked = lock != Lock::kNone;
  vma.lock_on_fault = lock == Lock::kOnFault;
  if (vma.locked != was) mlock_walk(vma, core);
}

void Mm::populate_mapping(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  for (auto it = vmas_.first_above(start); it != vmas_.end() && it->first < end; ++it) {
    const Vma vma = it->second;
    if (vma.special || vma.lock_on_fault) continue;
    populate(std::max(start, vma.start), std::min(end, vma.end), vma.write && !vma.shared, core);
  }
}

// do_mlock() and munlock()
void Mm::mlock(std::uint64_t start, std::uint64_t end, Lock lock, cpu::Core& core) {
  core.execute(system_.path().mlock);
  change_flags(
      start, end, core, [&](const Vma& vma) { return differs(vma, lock); },
      [&](Vma& vma) { set_lock(vma, lock, core); });
  if (lock != Lock::kNone) populate_mapping(start, end, core);
}

// apply_mlockall_flags()
void Mm::mlock_all(Lock lock, bool current, bool future, cpu::Core& core) {
  core.execute(system_.path().mlock);
  future_ = future ? lock : Lock::kNone;
  if (future && !current) return;
  change_flags(
      0, kUserEnd, core, [&](const Vma& vma) { return differs(vma, lock); },
      [&](Vma& vma) { set_lock(vma, lock, core); });
  if (lock != Lock::kNone) populate_mapping(0, kUserEnd, core);
}

void Mm::lock_if_asked(Vma& vma) const {
  if (future_ == Lock::kNone) return;
  vma.locked = true;
  vma.lock_on_fault = future_ == Lock::kOnFault;
}

}  // namespace kpksim::kernel
