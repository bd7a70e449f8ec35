#pragma once
// Stage 2 of the EL1&0 regime (Arm ARM D8): what EL1 takes for physical is an intermediate physical
// address (IPA), which the hypervisor's tables translate and restrict. Rights at stage 2 belong to
// the frame, whatever stage 1 mapping leads to it.
//
// 4 KB granule, blocks of 1 GB and 2 MB, 40 to 48 bits of IPA. Not modelled: FEAT_XNX (XN[1] alone
// takes execution, at EL1 and EL0 alike), hardware updates of stage 2 descriptors (VTCR_EL2.HA and
// HD are taken as 0), several VMIDs (TLB entries carry none: one virtual machine, the kernel).

#include <cstdint>
#include <type_traits>

#include "sim/mmu/descriptor.h"
#include "sim/mmu/fault.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/regime.h"
#include "sim/mmu/registers.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

inline constexpr std::uint8_t kAllRights = poe::kMayRead | poe::kMayWrite | poe::kMayExecute;

namespace s2_field {  // of a stage 2 block or page descriptor
inline constexpr Field kMemAttr{5, 2};
inline constexpr Field kRead{6, 6};   // S2AP[0]
inline constexpr Field kWrite{7, 7};  // S2AP[1]
inline constexpr Field kXn1{54, 54};  // XN[1]
}  // namespace s2_field

// What an access of a kind needs.
constexpr std::uint8_t rights_of(poe::AccessKind kind) {
  constexpr std::uint8_t kRights[] = {poe::kMayRead, poe::kMayWrite, poe::kMayRead | poe::kMayWrite,
                                      poe::kMayExecute};
  return kRights[static_cast<unsigned>(kind)];
}

// VTCR_EL2 and VTTBR_EL2 decoded.
struct Stage2Regime {
  bool on = false;  // HCR_EL2.VM
  std::uint8_t input_bits = 48;
  std::uint8_t start_level = 0;
  std::uint8_t pa_bits = 48;
  PhysAddr table;  // up to 16 tables side by side at the start level
};
Stage2Regime decode_stage2(const Registers& regs);

// One stage 2 descriptor that a walk read.
struct Stage2Step {
  std::uint8_t level = 0;
  PhysAddr address;
  Descriptor descriptor;
};

// What stage 2 says of an IPA: a leaf whose base is the output address, or a fault.
struct Stage2Result {
  FaultKind fault = FaultKind::kNone;
  std::uint8_t level = 0;      // of the leaf or the fault
  std::uint8_t rights = 0;     // poe::kMay*
  std::uint8_t page_bits = 0;  // log2 of the bytes mapped
  std::uint8_t reads = 0;      // descriptors read
  PhysAddr base;
  Descriptor descriptor;

  PhysAddr output(PhysAddr ipa) const { return base + (ipa.value & ((1ull << page_bits) - 1)); }
};

// The rights that a stage 2 descriptor gives.
std::uint8_t stage2_rights(Descriptor d);

// A fresh walk that uses no cache. `see` is called with each Stage2Step, if it takes one.
template <class See>
Stage2Result walk_stage2(const PhysicalMemory& memory, const Stage2Regime& regime, PhysAddr ipa,
                         See&& see) {
  Stage2Result result;
  if (ipa.value >> regime.input_bits != 0) {
    result.fault = FaultKind::kTranslation;
    return result;
  }
  const Granule& granule = kGranules[0];
  // At the start level the tables side by side are one with more entries.
  std::uint64_t index = ipa.value >> granule.level_shift(regime.start_level);
  PhysAddr table = regime.table;
  for (result.level = regime.start_level;; ++result.level) {
    const PhysAddr address = table + index * 8;
    const Descriptor d{memory.read64(address)};
    ++result.reads;
    if constexpr (std::is_invocable_v<See, const Stage2Step&>) {
      see(Stage2Step{result.level, address, d});
    }
    const bool leaf = result.level == kLastLevel
                          ? d.table_or_page()
                          : d.block() && result.level >= granule.first_block_level;
    if (!leaf && (result.level == kLastLevel || !d.table_or_page())) {
      result.fault = FaultKind::kTranslation;
      return result;
    }
    const unsigned shift = granule.level_shift(result.level);
    const PhysAddr output = d.output(leaf ? shift : granule.shift);
    if (output.value >> regime.pa_bits != 0) {
      result.fault = FaultKind::kAddressSize;
      return result;
    }
    if (leaf) {
      result.base = output;
      result.descriptor = d;
      result.page_bits = static_cast<std::uint8_t>(shift);
      result.rights = stage2_rights(d);
      if (!d.access_flag()) result.fault = FaultKind::kAccessFlag;
      return result;
    }
    table = output;
    index = (ipa.value >> granule.level_shift(result.level + 1u)) & ((1u << granule.stride()) - 1);
  }
}

// Stage 2 as a walk uses it that leaves no trace.
class FreshStage2 {
 public:
  FreshStage2(const PhysicalMemory& memory, const Stage2Regime& regime)
      : memory_(memory), regime_(regime) {}
  template <class See>
  Stage2Result operator()(PhysAddr ipa, See&& see) const {
    return walk_stage2(memory_, regime_, ipa, see);
  }

 private:
  const PhysicalMemory& memory_;
  const Stage2Regime& regime_;
};

// A stage 2 fault of an access to `va`. `table_walk`: ESR_EL2.S1PTW.
constexpr Fault stage2_fault(FaultKind kind, unsigned level, VirtAddr va, bool write,
                             bool table_walk) {
  return {kind, static_cast<std::uint8_t>(level), false, false, va, write, true, table_walk};
}

}  // namespace kpksim::mmu
