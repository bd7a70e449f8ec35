#pragma once
// The hardware table walk of EL1&0 stage 1, 4 KB granule, 48-bit (Arm ARM D8.2). It reads the same
// words in PhysicalMemory that the kernel model wrote; it knows nothing else.

#include <cstdint>

#include "sim/mmu/descriptor.h"
#include "sim/mmu/fault.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/registers.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

inline constexpr unsigned kLastLevel = 3;

// Number of low address bits that an entry of `level` maps: 39, 30, 21, 12.
constexpr unsigned level_shift(unsigned level) { return kPageShift + 9 * (kLastLevel - level); }

// What a walk found: a leaf, or a fault. A leaf is what a TLB entry holds.
struct Leaf {
  Fault fault;
  poe::LeafPermission permission;
  Descriptor descriptor;
  std::uint8_t level = 0;
  std::uint8_t page_bits = 0;  // 12, 16 (contiguous), 21, 25 (contiguous), 30
  bool global = false;
  PhysAddr base;  // output address of the mapping's first byte
};

// Where a walk stands: the next table and what the tables above it contributed.
struct WalkState {
  PhysAddr table;
  std::uint8_t level = 0;
  std::uint8_t ap_table = 0;
  bool uxn_table = false;
  bool pxn_table = false;
  bool ng_table = false;
};

// True if VA[63:48] are all equal, i.e. `va` is in one of the two halves.
constexpr bool canonical(VirtAddr va) { return va.value >> 48 == 0 || va.value >> 48 == 0xffff; }
constexpr bool upper_half(VirtAddr va) { return bit(va.value, 55); }

// The state before the first lookup for `va`.
WalkState walk_start(const Registers& regs, VirtAddr va);

// Walks from `state` to the leaf. `visit(level, va, state)` is called with each table found on the
// way, so that a walk cache can keep it; pass a no-op otherwise.
template <class Visit>
Leaf walk_from(const PhysicalMemory& memory, const Registers& regs, VirtAddr va, WalkState state,
               Visit&& visit) {
  Leaf leaf;
  const bool hpd = (upper_half(va) ? tcr::kHpd1 : tcr::kHpd0).get(regs.tcr) != 0 ||
                   tcr2::kPie.get(regs.tcr2) != 0;
  for (;; ++state.level) {
    const unsigned shift = level_shift(state.level);
    const std::uint64_t index = (va.value >> shift) & (kEntriesPerTable - 1);
    const Descriptor d{memory.read64(state.table + index * 8)};
    const bool is_leaf =
        state.level == kLastLevel ? d.table_or_page() : d.block() && state.level >= 1;
    if (is_leaf) {
      if (!d.access_flag()) {
        leaf.fault = {FaultKind::kAccessFlag, state.level, false, false, va, false};
        return leaf;
      }
      leaf.descriptor = d;
      leaf.level = state.level;
      leaf.page_bits =
          static_cast<std::uint8_t>(shift + (d.contiguous() && state.level >= 2 ? 4 : 0));
      leaf.global = !d.not_global() && !state.ng_table;
      leaf.base = PhysAddr(align_down(d.output().value, 1ull << leaf.page_bits));
      leaf.permission = {d.raw, state.ap_table, state.uxn_table, state.pxn_table};
      return leaf;
    }
    if (state.level == kLastLevel || !d.table_or_page()) {
      leaf.fault = {FaultKind::kTranslation, state.level, false, false, va, false};
      return leaf;
    }
    if (!hpd) {
      state.ap_table |= static_cast<std::uint8_t>(field::kApTable.get(d.raw));
      state.uxn_table |= field::kUxnTable.get(d.raw) != 0;
      state.pxn_table |= field::kPxnTable.get(d.raw) != 0;
    }
    state.table = d.output();
    visit(WalkState{state.table, static_cast<std::uint8_t>(state.level + 1), state.ap_table,
                    state.uxn_table, state.pxn_table, state.ng_table});
  }
}

// A fresh walk that uses and fills no cache: the reference that cached translations are held to.
Leaf walk(const PhysicalMemory& memory, const Registers& regs, VirtAddr va);

}  // namespace kpksim::mmu
