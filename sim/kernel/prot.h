#pragma once
// The descriptors that the kernel builds (arch/arm64/include/asm/pgtable-prot.h), direct permission
// scheme: AP[2:1], UXN, PXN, DBM. A leaf may be written by software's rules if DBM is set
// (PTE_WRITE); AP[2] (PTE_RDONLY) of such a leaf says that it is clean. A leaf of a PROT_NONE range
// is not valid, but not zero either.

#include "sim/mmu/descriptor.h"
#include "sim/mmu/registers.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {

constexpr mmu::Descriptor table_descriptor(Pfn table) { return {address_of(table).value | 3}; }

constexpr mmu::Descriptor leaf_descriptor(PhysAddr pa, unsigned level) {
  mmu::Descriptor d{pa.value | (level == 3 ? 3u : 1u)};
  d = d.with(mmu::field::kAccessFlag, 1);
  return d.with(mmu::field::kShareability, 3);
}

// Where the entry for `va` lies in this table, which is of `level`.
constexpr PhysAddr entry_of(Pfn table, VirtAddr va, unsigned level) {
  return address_of(table) + ((va.value >> mmu::level_shift(level)) & (kEntriesPerTable - 1)) * 8;
}

constexpr mmu::Descriptor kernel_leaf(PhysAddr pa, unsigned level, bool contiguous) {
  mmu::Descriptor d = leaf_descriptor(pa, level).with(mmu::field::kPxn, 1);
  d = d.with(mmu::field::kDbm, 1);
  return d.with(mmu::field::kUxn, 1).with(mmu::field::kContiguous, contiguous ? 1 : 0);
}

// Indices of MAIR_EL1, and what it has there from boot on: without FEAT_MTE2 MT_NORMAL_TAGGED is
// ordinary memory too. The linear map always has it, as user pages with PROT_MTE are tagged by it.
enum class MemoryType : std::uint8_t { kNormal, kNormalTagged };  // MT_NORMAL, MT_NORMAL_TAGGED
constexpr std::uint64_t boot_attributes(bool mte) {
  constexpr auto of = [](MemoryType type) {
    return mmu::mair::attribute(static_cast<unsigned>(type));
  };
  const std::uint64_t tagged = mte ? mmu::mair::kNormalTagged : mmu::mair::kNormal;
  return of(MemoryType::kNormalTagged)
      .set(of(MemoryType::kNormal).set(0, mmu::mair::kNormal), tagged);
}
constexpr mmu::Descriptor linear_leaf(PhysAddr pa, unsigned level, bool contiguous) {
  return kernel_leaf(pa, level, contiguous)
      .with(mmu::field::kAttrIndx, static_cast<std::uint64_t>(MemoryType::kNormalTagged));
}

// A user page or block; a writable one is dirty.
constexpr mmu::Descriptor user_leaf(PhysAddr pa, unsigned level, bool writable, bool executable) {
  mmu::Descriptor d = leaf_descriptor(pa, level).with(mmu::field::kNotGlobal, 1);
  d = d.with(mmu::field::kAp1, 1).with(mmu::field::kAp2, writable ? 0 : 1);
  d = d.with(mmu::field::kDbm, writable ? 1 : 0);
  return d.with(mmu::field::kPxn, 1).with(mmu::field::kUxn, executable ? 0 : 1);
}

// Value of the software bits: the page was written, though its entry cannot be written now.
inline constexpr std::uint64_t kSoftwareDirty = 1;  // PTE_DIRTY, bit 55

constexpr bool is_none(mmu::Descriptor d) { return d.raw == 0; }  // pte_none()
// PTE_MARKER_GUARD as a swap entry (make_pte_marker()): not valid, and no page; a use is SIGSEGV.
inline constexpr mmu::Descriptor kGuard{31ull << 6 | 4ull << 12};
constexpr bool is_guard(mmu::Descriptor d) { return d.raw == kGuard.raw; }
// pmd_trans_huge(): a block, also one that is not valid (PROT_NONE).
constexpr bool is_huge(mmu::Descriptor pmd) { return !is_none(pmd) && (pmd.raw & 2) == 0; }
constexpr bool is_writable(mmu::Descriptor d) { return mmu::field::kDbm.get(d.raw) != 0; }
constexpr bool is_dirty(mmu::Descriptor d) {
  return is_writable(d) && mmu::field::kAp2.get(d.raw) == 0;
}
constexpr mmu::Descriptor write_protected(mmu::Descriptor d) {
  return d.with(mmu::field::kDbm, 0).with(mmu::field::kAp2, 1);
}
constexpr mmu::Descriptor made_writable(mmu::Descriptor d) {
  return d.with(mmu::field::kDbm, 1).with(mmu::field::kAp2, 0).with(mmu::field::kAccessFlag, 1);
}
constexpr bool is_young(mmu::Descriptor d) { return mmu::field::kAccessFlag.get(d.raw) != 0; }
// pte_mkold(): the next use marks it again.
constexpr mmu::Descriptor made_old(mmu::Descriptor d) { return d.with(mmu::field::kAccessFlag, 0); }
// pte_mkclean(): the next write marks it again.
constexpr mmu::Descriptor made_clean(mmu::Descriptor d) { return d.with(mmu::field::kAp2, 1); }

}  // namespace kpksim::kernel
