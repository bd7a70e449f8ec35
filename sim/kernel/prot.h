#pragma once
// The descriptors that the kernel builds (arch/arm64/include/asm/pgtable-prot.h), direct permission
// scheme: AP[2:1], UXN, PXN.

#include "sim/mmu/descriptor.h"

namespace kpksim::kernel {

// Software bit 55: the page may be written (PTE_WRITE), while AP[2] says whether it can be now.
constexpr mmu::Descriptor table_descriptor(Pfn table) { return {address_of(table).value | 3}; }

constexpr mmu::Descriptor leaf_descriptor(PhysAddr pa, unsigned level) {
  mmu::Descriptor d{pa.value | (level == 3 ? 3u : 1u)};
  d = d.with(mmu::field::kAccessFlag, 1);
  return d.with(mmu::field::kShareability, 3);
}

constexpr mmu::Descriptor kernel_leaf(PhysAddr pa, unsigned level, bool contiguous) {
  mmu::Descriptor d = leaf_descriptor(pa, level).with(mmu::field::kPxn, 1);
  return d.with(mmu::field::kUxn, 1).with(mmu::field::kContiguous, contiguous ? 1 : 0);
}

constexpr mmu::Descriptor user_leaf(PhysAddr pa, unsigned level, bool writable, bool executable) {
  mmu::Descriptor d = leaf_descriptor(pa, level).with(mmu::field::kNotGlobal, 1);
  d = d.with(mmu::field::kAp1, 1).with(mmu::field::kAp2, writable ? 0 : 1);
  return d.with(mmu::field::kPxn, 1).with(mmu::field::kUxn, executable ? 0 : 1);
}

constexpr bool is_writable(mmu::Descriptor d) { return mmu::field::kAp2.get(d.raw) == 0; }

}  // namespace kpksim::kernel
