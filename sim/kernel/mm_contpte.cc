// The contiguous bit in user page tables (arch/arm64/mm/contpte.c): 16 aligned entries that map 16
// aligned pages of one large folio alike carry it, and a TLB may hold them as one. To change a part
// of such a run, or to make one, all 16 are cleared, flushed and written again.

#include "sim/kernel/mm.h"

namespace kpksim::kernel {

using mmu::Descriptor;
namespace field = mmu::field;

namespace {

constexpr std::uint64_t kRunBytes = kContiguousEntries * kPageSize;

bool in_run(Descriptor d) { return d.valid() && d.contiguous(); }
Descriptor without_bit(Descriptor d) { return d.with(field::kContiguous, 0); }

PhysAddr run_start(PhysAddr entry) {
  return PhysAddr(align_down(entry.value, kContiguousEntries * 8));
}

}  // namespace

// contpte_convert()
void Mm::convert_run(PhysAddr entry, std::uint64_t va, Descriptor d, cpu::Core& core) {
  const PhysAddr first = run_start(entry);
  const std::uint64_t start = align_down(va, kRunBytes);
  const PhysAddr base(align_down(d.output().value, kRunBytes));
  core.execute(system_.path().convert_run);
  for (unsigned i = 0; i < kContiguousEntries; ++i) {
    system_.tables.get_and_clear(core, first + i * 8);
  }
  system_.flush.range(core, FlushSite::kContpte, space, VirtAddr(start),
                      VirtAddr(start + kRunBytes), kPageSize, true, 3);
  system_.check_broken(space, VirtAddr(start), VirtAddr(start + kRunBytes));
  for (unsigned i = 0; i < kContiguousEntries; ++i) {
    const Descriptor page = d.with(field::kOutputAddress, (base.value >> kPageShift) + i);
    system_.tables.set_pte(core, first + i * 8, page, false);
  }
}

// contpte_try_unfold()
inline void Mm::unfold(PhysAddr entry, std::uint64_t va, cpu::Core& core) {
  const Descriptor d = read(core, entry);
  if (in_run(d)) convert_run(entry, va, without_bit(d), core);
}

// contpte_try_unfold_partial(): runs that [va, va + n pages) begins or ends within.
inline void Mm::unfold_edges(PhysAddr entry, std::uint64_t va, unsigned n, cpu::Core& core) {
  if (va % kRunBytes != 0 || n < kContiguousEntries) unfold(entry, va, core);
  const std::uint64_t last = va + (n - 1) * kPageSize;
  if ((last + kPageSize) % kRunBytes != 0) unfold(entry + (n - 1) * 8, last, core);
}

// contpte_try_fold(): after the last entry of a run was written
inline void Mm::fold(PhysAddr entry, std::uint64_t va, Descriptor d, cpu::Core& core) {
  if ((va + kPageSize) % kRunBytes != 0 || !d.valid() || d.contiguous()) return;
  if ((d.pfn().value + 1) % kContiguousEntries != 0) return;
  const Page& page = system_.page(d.pfn());
  if (page.reserved || (1u << page.order) < kContiguousEntries) return;
  const PhysAddr first = run_start(entry);
  constexpr std::uint64_t kIgnored =
      field::kAp2.mask() | field::kAccessFlag.mask();  // dirty, young
  for (unsigned i = 0; i < kContiguousEntries; ++i) {
    const Descriptor expected =
        d.with(field::kOutputAddress, d.pfn().value - (kContiguousEntries - 1) + i);
    if (((read(core, first + i * 8).raw ^ expected.raw) & ~kIgnored) != 0) return;
  }
  convert_run(entry, va, d.with(field::kContiguous, 1), core);
}

void Mm::set_one_pte(PhysAddr entry, std::uint64_t va, Descriptor d, cpu::Core& core) {
  unfold(entry, va, core);
  system_.tables.set_pte(core, entry, without_bit(d), false);
  fold(entry, va, without_bit(d), core);
}

void Mm::set_many_ptes(PhysAddr entry, std::uint64_t va, Descriptor d, unsigned n,
                       cpu::Core& core) {
  unfold_edges(entry, va, n, core);
  for (unsigned i = 0; i < n; ++i) {
    const std::uint64_t at = va + i * kPageSize;
    const std::uint64_t run = align_down(at, kRunBytes);
    const bool whole =
        run >= va && run + kRunBytes <= va + n * kPageSize &&
        (d.pfn().value + i) % kContiguousEntries == at / kPageSize % kContiguousEntries;
    const Descriptor page =
        d.with(field::kOutputAddress, d.pfn().value + i).with(field::kContiguous, whole ? 1 : 0);
    system_.tables.set_pte(core, entry + i * 8, page, false);
  }
}

Descriptor Mm::clear_ptes(PhysAddr entry, std::uint64_t va, unsigned n, cpu::Core& core) {
  unfold_edges(entry, va, n, core);
  const Descriptor first = without_bit(system_.tables.get_and_clear(core, entry));
  for (unsigned i = 1; i < n; ++i) system_.tables.get_and_clear(core, entry + i * 8);
  return first;
}

void Mm::wrprotect_ptes(PhysAddr entry, std::uint64_t va, unsigned n, cpu::Core& core) {
  unfold_edges(entry, va, n, core);
  for (unsigned i = 0; i < n; ++i) {
    system_.tables.exchange(core, entry + i * 8, write_protected(read(core, entry + i * 8)));
  }
}

// clear_young_dirty_ptes() of a whole folio: its runs stay runs
void Mm::make_old(PhysAddr entry, std::uint64_t va, unsigned n, bool clean, cpu::Core& core) {
  unfold_edges(entry, va, n, core);
  for (unsigned i = 0; i < n; ++i) {
    const Descriptor old = made_old(read(core, entry + i * 8));
    system_.tables.exchange(core, entry + i * 8, clean ? made_clean(old) : old);
  }
}

// ptep_set_access_flags(), to writable and dirty, and the flush that its callers make
void Mm::set_writable(PhysAddr entry, std::uint64_t va, cpu::Core& core) {
  unfold(entry, va, core);
  system_.tables.exchange(core, entry, made_writable(read(core, entry)));
  system_.flush.gained(core, space, VirtAddr(va));
}

}  // namespace kpksim::kernel
