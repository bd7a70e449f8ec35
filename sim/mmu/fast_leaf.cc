#include "sim/mmu/fast_leaf.h"

namespace kpksim::mmu {

FastAccess make_fast(const Leaf& leaf, const poe::PermissionControls& controls, bool e0pd) {
  const poe::FastRights rights = poe::fast_rights(leaf.permission(), controls);
  const unsigned index = leaf.descriptor.po_index(controls.index_bits).value;
  // Overlays has the architected keys. An access by another one asks poe::check(), each time.
  const bool beyond = index >= 1u << poe::kArchitectedIndexBits;
  const auto shift = [&](bool applies) {
    return static_cast<std::uint8_t>(applies && !beyond ? 4 * index : Overlays::kNoneShift);
  };
  const std::uint8_t privileged = shift(rights.privileged_overlay);
  const std::uint8_t unprivileged = shift(rights.unprivileged_overlay);
  const auto both = [&](std::uint8_t first) {
    return static_cast<std::uint8_t>(beyond ? 0 : first & leaf.stage2_rights);
  };
  return {{both(rights.privileged), both(rights.privileged_pan),
           e0pd ? std::uint8_t{0} : both(rights.unprivileged)},
          {privileged, privileged, unprivileged}};
}

}  // namespace kpksim::mmu
