#pragma once
// Tag checks (FEAT_MTE2, Arm ARM D10): a data access that is checked faults unless the pointer's
// logical tag is the allocation tag of each granule that it touches (SCTLR_EL1.TCF = synchronous;
// the other modes note it somewhere, and are not modelled).
//
// Checked are accesses with
// - SCTLR_EL1.ATA and TCF: those of EL1. Unprivileged ones have ATA0 and TCF0, which stay 0 here,
// - TCR_EL1.TBIn: else the top byte is part of the address,
// - TCR_EL1.TCMAn = 0, or a logical tag that is not the match-all tag of its half: 0b1111 of the
//   upper one, 0b0000 of the lower one,
// - a Tagged mapping: an attribute of MAIR_EL1, so of a mapping. The allocation tag is the
// memory's,
//   the same through every mapping.
// PSTATE.TCO is 0. Fetches, table walks, and the instructions that load and store tags are not
// checked.

#include "sim/base/bits.h"
#include "sim/mmu/allocation_tags.h"
#include "sim/mmu/regime.h"
#include "sim/mmu/walker.h"

namespace kpksim::mmu {

// Is `leaf`'s memory Tagged?
inline bool is_tagged(const Regime& regime, const Leaf& leaf) {
  return bit(regime.tagged_attributes,
             static_cast<unsigned>(field::kAttrIndx.get(leaf.descriptor.raw)));
}

// Is a privileged data access through `va` checked, if its memory is Tagged?
bool is_checked(const Regime& regime, VirtAddr va);

}  // namespace kpksim::mmu
