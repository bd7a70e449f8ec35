#pragma once
// The hardware table walk of EL1&0 stage 1 (Arm ARM D8.2). It reads the same words in
// PhysicalMemory that the kernel model wrote; it knows nothing else. It changes nothing: hardware
// updates of a descriptor are Mmu's, which knows whether the access is allowed.

#include <cstdint>
#include <type_traits>

#include "sim/mmu/descriptor.h"
#include "sim/mmu/fault.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/regime.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

// Number of low address bits that an entry of `level` maps with a 4 KB granule: 39, 30, 21, 12.
constexpr unsigned level_shift(unsigned level) { return kGranules[0].level_shift(level); }

// A page, block or contiguous run: what a TLB entry holds.
struct Leaf {
  Descriptor descriptor;
  PhysAddr base;  // output address of the mapping's first byte
  std::uint8_t level = 0;
  std::uint8_t page_bits = 0;  // log2 of the bytes mapped, the whole of a contiguous run
  std::uint8_t granule_shift = kPageShift;
  bool global = false;
  std::uint8_t ap_table = 0;  // APTable, UXNTable and PXNTable of the tables above, accumulated
  bool uxn_table = false, pxn_table = false;

  poe::LeafPermission permission() const {
    return {descriptor.raw, ap_table, uxn_table, pxn_table};
  }
};

// What a walk found: a leaf, or a fault.
struct WalkResult : Leaf {
  Fault fault;
  PhysAddr address;        // of the last descriptor that was read
  std::uint8_t reads = 0;  // descriptors read
};

// Where a walk stands: the next table and what the tables above it contributed.
struct WalkState {
  PhysAddr table;
  std::uint8_t level = 0;
  std::uint8_t ap_table = 0;
  bool uxn_table = false;
  bool pxn_table = false;

  bool operator==(const WalkState&) const = default;
};

// One descriptor that a walk read.
struct WalkStep {
  std::uint8_t level = 0;
  PhysAddr address;
  Descriptor descriptor;
};

// The faults that hit or miss alike, as they need neither tables nor TLB: VA out of range, E0PD.
Fault address_fault(const Regime& regime, VirtAddr va, const poe::Access& access);
// Those, and the faults of a walk before its first read: EPD, table base beyond IPS.
Fault start_fault(const Regime& regime, VirtAddr va, const poe::Access& access);

// Stage 1 switched off (AArch64.S1DisabledOutput()): the address without the top byte is physical,
// and an address size fault at level 0 if a bit of PAMax or above is set; the top byte counts
// unless it is ignored. The tables and TCR_EL1.IPS have no part in it.
Fault disabled_fault(const Regime& regime, VirtAddr va, const poe::Access& access);
constexpr PhysAddr disabled_output(VirtAddr va) { return PhysAddr(va.value & ((1ull << 56) - 1)); }

// The state before the first lookup for `va`.
inline WalkState walk_start(const Half& half) {
  WalkState state;
  state.table = half.table;
  state.level = half.start_level;
  return state;
}

constexpr Fault fault_at(FaultKind kind, unsigned level, VirtAddr va) {
  return {kind, static_cast<std::uint8_t>(level), false, false, va, false};
}

// Fills `result`'s leaf part from descriptor `d` of state.level.
void make_leaf(const Half& half, unsigned pa_bits, VirtAddr va, const WalkState& state,
               Descriptor d, Leaf& leaf);

// Walks from `state` to the leaf. `see` is called with each WalkStep (descriptor read) or with each
// WalkState (table found, for a walk cache), whichever it takes. An access flag of 0 is a fault
// only if `hardware_af` is false; else it is the caller's to set.
template <class See>
WalkResult walk_from(const PhysicalMemory& memory, const Regime& regime, VirtAddr va,
                     WalkState state, bool hardware_af, See&& see) {
  WalkResult result;
  const Half& half = regime.half(va);
  const Granule& granule = *half.granule;
  const std::uint64_t beyond_pa = ~0ull << regime.pa_bits;
  unsigned input_bits = half.input_bits;  // of an index: the start level's table may be smaller
  for (;; ++state.level) {
    const unsigned shift = granule.level_shift(state.level);
    const unsigned index_bits =
        input_bits - shift < granule.stride() ? input_bits - shift : granule.stride();
    const std::uint64_t index = (va.value >> shift) & ((1ull << index_bits) - 1);
    result.address = state.table + index * 8;
    const Descriptor d{memory.read64(result.address)};
    ++result.reads;
    if constexpr (std::is_invocable_v<See, const WalkStep&>) {
      see(WalkStep{state.level, result.address, d});
    }
    const bool leaf = state.level == kLastLevel
                          ? d.table_or_page()
                          : d.block() && state.level >= granule.first_block_level;
    if (leaf) {
      make_leaf(half, regime.pa_bits, va, state, d, result);
      if ((result.base.value & beyond_pa) != 0) [[unlikely]] {
        result.fault = fault_at(FaultKind::kAddressSize, state.level, va);
      } else if (!d.access_flag() && !hardware_af) [[unlikely]] {
        result.fault = fault_at(FaultKind::kAccessFlag, state.level, va);
      }
      return result;
    }
    if (state.level == kLastLevel || !d.table_or_page()) {
      result.fault = fault_at(FaultKind::kTranslation, state.level, va);
      return result;
    }
    state.table = d.output(granule.shift);
    if ((state.table.value & beyond_pa) != 0) [[unlikely]] {
      result.fault = fault_at(FaultKind::kAddressSize, state.level, va);
      return result;
    }
    if (!half.hpd) {
      state.ap_table |= static_cast<std::uint8_t>(field::kApTable.get(d.raw));
      state.uxn_table |= field::kUxnTable.get(d.raw) != 0;
      state.pxn_table |= field::kPxnTable.get(d.raw) != 0;
    }
    if constexpr (std::is_invocable_v<See, const WalkState&>) {
      WalkState next = state;
      ++next.level;
      see(next);
    }
  }
}

// A fresh walk that uses and fills no cache and checks no permission: the reference that cached
// translations are held to.
template <class See>
WalkResult walk(const PhysicalMemory& memory, const Registers& regs, VirtAddr va,
                const poe::Access& access, See&& see) {
  const Regime regime = decode_regime(regs);
  if (const Fault fault = start_fault(regime, va, access)) {
    WalkResult result;
    result.fault = fault;
    return result;
  }
  return walk_from(memory, regime, va, walk_start(regime.half(va)), tcr::kHa.get(regs.tcr) != 0,
                   see);
}
WalkResult walk(const PhysicalMemory& memory, const Registers& regs, VirtAddr va);

}  // namespace kpksim::mmu
