#pragma once
// What the hot path needs of a cached translation: the distance from virtual to physical address,
// and the rights that need no further thought (poe::FastRights). Made from a leaf and the registers
// when the entry is filled, and again when those registers change; POR_ELx takes no part in it.

#include <array>
#include <cstdint>
#include <type_traits>

#include "sim/mmu/walker.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

// Which of an entry's rights an access uses.
enum class Side : std::uint8_t { kPrivileged, kPrivilegedPan, kUnprivileged };

// What a hot access asks: bits of poe::kMay* for one side.
struct Need {
  Side side = Side::kPrivileged;
  std::uint8_t rights = 0;

  static constexpr Need of(const poe::Access& access, bool pan) {
    const bool unprivileged = access.el == 0 || access.unprivileged;
    return {unprivileged ? Side::kUnprivileged
            : pan        ? Side::kPrivilegedPan
                         : Side::kPrivileged,
            rights_of(access.kind)};
  }
};

// POR_EL1 and POR_EL0 with reserved fields cleared; bits [35:32] grant all, for where no overlay
// applies.
struct Overlays {
  static constexpr std::uint64_t kNone = 7ull << 32;
  static constexpr std::uint8_t kNoneShift = 32;

  std::uint64_t privileged = kNone, unprivileged = kNone;

  static constexpr std::uint64_t of(std::uint64_t por) {
    return kNone | poe::without_reserved(por);
  }
};

// The same for all leaves that differ in their addresses alone.
struct FastAccess {
  std::array<std::uint8_t, 3> rights{};  // by Side, bits as in a POR field
  std::array<std::uint8_t, 3> shift{};   // by Side: where its field lies in Overlays
  std::uint16_t unused = 0;              // no gap: see below

  // True: the access is allowed and changes no descriptor. False: poe::check must say.
  constexpr bool grants(Need need, const Overlays& overlays) const {
    const auto side = static_cast<unsigned>(need.side);
    const std::uint64_t por =
        need.side == Side::kUnprivileged ? overlays.unprivileged : overlays.privileged;
    return (rights[side] & (por >> shift[side]) & need.rights) == need.rights;
  }
};

struct FastLeaf : FastAccess {
  std::uint64_t distance = 0;  // physical minus virtual address
};

// Copied as two whole words, a leaf can be read right after from the host's store buffer.
static_assert(std::has_unique_object_representations_v<FastLeaf>);

// `e0pd`: TCR_EL1.E0PDn of the leaf's half, whose unprivileged accesses fault before any look-up.
FastAccess make_fast(const Leaf& leaf, const poe::PermissionControls& controls, bool e0pd);

}  // namespace kpksim::mmu
