#pragma once
// The hardware table walk of EL1&0 stage 1 (Arm ARM D8.2), whose reads stage 2 may translate
// (stage2.h). It reads the same words in
// PhysicalMemory that the kernel model wrote; it knows nothing else. It changes nothing: hardware
// updates of a descriptor are Mmu's, which knows whether the access is allowed.

#include <cstdint>
#include <type_traits>

#include "sim/mmu/descriptor.h"
#include "sim/mmu/fault.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/regime.h"
#include "sim/mmu/stage2.h"
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
  std::uint8_t ap_table = 0;  // APTable, UXNTable and PXNTable of the tables above, accumulated
  bool uxn_table : 1 = false, pxn_table : 1 = false;
  bool global : 1 = false;
  // Stage 1 maps 2^split_bits times as much as stage 2, and the entry is one of that many: a TLBI
  // of any address of the stage 1 mapping drops them all.
  std::uint8_t split_bits = 0;
  std::uint8_t stage2_rights = kAllRights;  // poe::kMay*
  std::uint8_t stage2_level = 0;

  unsigned stage1_bits() const { return page_bits + split_bits; }
  poe::LeafPermission permission() const {
    return {descriptor.raw, ap_table, uxn_table, pxn_table};
  }
};

// What a walk found, if not a fault. After walk_from() the leaf is stage 1's, its base an IPA where
// stage 2 is on.
struct WalkFound : Leaf {
  PhysAddr address;                          // of the last descriptor that was read
  PhysAddr ipa;                              // the same before stage 2
  std::uint8_t address_rights = kAllRights;  // stage 2's of its frame
  std::uint8_t address_level = 0;            // and the level that gives them
  std::uint8_t reads = 0;                    // descriptors read, of both stages
};
struct WalkResult : WalkFound {
  Fault fault;
};

// Where there is no stage 2.
struct NoStage2 {};

// Where a walk stands: the next table and what the tables above it contributed.
struct WalkState {
  PhysAddr table;  // an IPA, if stage 2 is on
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
  return {kind, static_cast<std::uint8_t>(level), false, false, va, false, false, false};
}

// Fills `result`'s leaf part from descriptor `d` of state.level.
void make_leaf(const Half& half, unsigned pa_bits, VirtAddr va, const WalkState& state,
               Descriptor d, Leaf& leaf);

// Walks from `state` to the leaf. `see` is called with each WalkStep (descriptor read) or with each
// WalkState (table found, for a walk cache), whichever it takes. An access flag of 0 is a fault
// only if `hardware_af` is false; else it is the caller's to set. `stage2(ipa, see)` translates the
// address of each descriptor, whose read it may refuse. `fault`: none before. (It is not part of
// the result, as copying what was just written in parts waits for the host's store buffer.)
template <class See, class Stage2 = NoStage2>
WalkFound walk_from(const PhysicalMemory& memory, const Regime& regime, VirtAddr va,
                    WalkState state, bool hardware_af, Fault& fault, See&& see,
                    Stage2&& stage2 = {}) {
  WalkFound result;
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
    if constexpr (!std::is_same_v<std::remove_cvref_t<Stage2>, NoStage2>) {
      result.ipa = result.address;
      const auto second = stage2(result.ipa, see);
      result.reads = static_cast<std::uint8_t>(result.reads + second.reads);
      const bool readable = (second.rights & poe::kMayRead) != 0;
      if (second.fault != FaultKind::kNone || !readable) {
        const FaultKind kind =
            second.fault != FaultKind::kNone ? second.fault : FaultKind::kPermission;
        fault = {kind, second.level, false, false, va, false, true, true};
        return result;
      }
      result.address = second.output(result.ipa);
      result.address_rights = second.rights;
      result.address_level = second.level;
    }
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
        fault = fault_at(FaultKind::kAddressSize, state.level, va);
      } else if (!d.access_flag() && !hardware_af) [[unlikely]] {
        fault = fault_at(FaultKind::kAccessFlag, state.level, va);
      }
      return result;
    }
    if (state.level == kLastLevel || !d.table_or_page()) {
      fault = fault_at(FaultKind::kTranslation, state.level, va);
      return result;
    }
    state.table = d.output(granule.shift);
    if ((state.table.value & beyond_pa) != 0) [[unlikely]] {
      fault = fault_at(FaultKind::kAddressSize, state.level, va);
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

// The IPA that stage 1 leaf `leaf` gives for `va`, from its descriptor.
PhysAddr ipa_of(const Leaf& leaf, VirtAddr va);

// Combines a stage 1 leaf with what stage 2 says of the IPA of `va`: the entry maps the smaller of
// the two sizes, with the output address and the rights of stage 2 beside those of stage 1.
// Returns stage 2's fault, if it maps nothing there; then the leaf stays.
Fault combine(const Stage2Result& second, VirtAddr va, const poe::Access& access, Leaf& leaf);
// The permission fault of a leaf whose stage 2 refuses the access, or none.
Fault stage2_refusal(const Leaf& leaf, VirtAddr va, const poe::Access& access);

// A fresh walk of both stages that uses and fills no cache and checks no permission: the reference
// that cached translations are held to.
template <class See>
WalkResult walk(const PhysicalMemory& memory, const Registers& regs, VirtAddr va,
                const poe::Access& access, See&& see) {
  const Regime regime = decode_regime(regs);
  WalkResult result;
  if (const Fault fault = start_fault(regime, va, access)) {
    result.fault = fault;
    return result;
  }
  const WalkState start = walk_start(regime.half(va));
  const bool hardware_af = tcr::kHa.get(regs.tcr) != 0;
  const Stage2Regime second = decode_stage2(regs);
  WalkFound& found = result;
  if (!second.on) {
    found = walk_from(memory, regime, va, start, hardware_af, result.fault, see);
    return result;
  }
  const FreshStage2 stage2(memory, second);
  found = walk_from(memory, regime, va, start, hardware_af, result.fault, see, stage2);
  if (!result.fault) result.fault = combine(stage2(ipa_of(result, va), see), va, access, result);
  return result;
}
WalkResult walk(const PhysicalMemory& memory, const Registers& regs, VirtAddr va);

}  // namespace kpksim::mmu
