#include "sim/mmu/fast_leaf.h"

namespace kpksim::mmu {

FastLeaf make_fast(const Leaf& leaf, VirtAddr start, const poe::PermissionControls& controls,
                   bool e0pd) {
  const poe::FastRights rights = poe::fast_rights(leaf.permission(), controls);
  const auto key = static_cast<std::uint8_t>(4 * leaf.descriptor.po_index().value);
  const std::uint8_t privileged = rights.privileged_overlay ? key : Overlays::kNoneShift;
  const std::uint8_t unprivileged = rights.unprivileged_overlay ? key : Overlays::kNoneShift;
  const auto both = [&](std::uint8_t first) {
    return static_cast<std::uint8_t>(first & leaf.stage2_rights);
  };
  return {leaf.base.value - start.value,
          {both(rights.privileged), both(rights.privileged_pan),
           e0pd ? std::uint8_t{0} : both(rights.unprivileged)},
          {privileged, privileged, unprivileged}};
}

}  // namespace kpksim::mmu
