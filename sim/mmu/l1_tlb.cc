#include "sim/mmu/l1_tlb.h"

namespace kpksim::mmu {

void L1Tlb::fill(VirtAddr va, Asid asid, const Leaf& leaf, const poe::PermissionControls& controls,
                 bool e0pd) {
  const std::uint32_t i = tlb_.fill(va, asid, leaf);
  hints_[TlbTag::probe(va, asid) % kHints] = i;
  fast_[i].distance = leaf.base - PhysAddr(tlb_[i].va().value);
  set_rights(i, controls, e0pd);
}

void L1Tlb::set_rights(std::uint32_t i, const poe::PermissionControls& controls, bool e0pd) {
  const poe::LeafPermission& leaf = tlb_[i].leaf.permission;
  const poe::FastRights rights = poe::fast_rights(leaf, controls);
  const auto key = static_cast<std::uint8_t>(4 * Descriptor{leaf.descriptor}.po_index().value);
  const std::uint8_t privileged = rights.privileged_overlay ? key : 32;
  const std::uint8_t unprivileged = rights.unprivileged_overlay ? key : 32;
  fast_[i].rights = {rights.privileged, rights.privileged_pan,
                     e0pd ? std::uint8_t{0} : rights.unprivileged};
  fast_[i].shift = {privileged, privileged, unprivileged};
}

}  // namespace kpksim::mmu
