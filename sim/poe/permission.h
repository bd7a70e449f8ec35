#pragma once
// Stage 1 permissions of EL1&0: direct (AP, UXN, PXN) and indirect (FEAT_S1PIE) base permissions,
// and overlays (FEAT_S1POE). Pure functions (Arm ARM D8.4; held to golden vectors in tests/golden).

#include <array>
#include <cstdint>

#include "sim/base/bits.h"

namespace kpksim::poe {

// How many bits of a leaf are its overlay index. FEAT_S1POE has 3, in [62:60]; the tables of
// FEAT_D128 have 4. What lies beyond is a hypothesis for budgets of up to 128 keys: further bits
// stand where a 64-bit descriptor with addresses of 48 bits has none that mean anything ([59], then
// [63], [49] and [48]).
inline constexpr unsigned kArchitectedIndexBits = 3, kMostIndexBits = 7;
inline constexpr Field kPoIndex{62, 60};

constexpr unsigned overlay_index(std::uint64_t descriptor, unsigned bits) {
  std::uint64_t index = kPoIndex.get(descriptor);
  if (bits > 3) index |= (descriptor >> 59 & 1) << 3;
  if (bits > 4) index |= (descriptor >> 63 & 1) << 4 | (descriptor >> 48 & 3) << 5;
  return static_cast<unsigned>(index & ((1u << bits) - 1));
}
// The bits of a descriptor that hold this index.
constexpr std::uint64_t overlay_index_bits(unsigned index) {
  const std::uint64_t i = index;
  return kPoIndex.set(0, i & 7) | (i >> 3 & 1) << 59 | (i >> 4 & 1) << 63 | (i >> 5 & 3) << 48;
}
// Fields of one register, and how many more registers the most keys need.
inline constexpr unsigned kFieldsOfPor = 16;
inline constexpr std::size_t kMorePors = (1u << kMostIndexBits) / kFieldsOfPor - 1;

enum class AccessKind : std::uint8_t { kRead, kWrite, kReadWrite, kExecute };

struct Access {
  AccessKind kind;
  std::uint8_t el;    // 0 or 1: the level that makes the access
  bool unprivileged;  // LDTR or STTR at EL1: checked as EL0, with POR_EL0
};

// What of the registers and PSTATE takes part in a permission check.
struct PermissionControls {
  bool pie = false, poe = false, e0poe = false;  // TCR2_EL1
  bool wxn = false, epan = false;                // SCTLR_EL1
  bool pan = false;                              // PSTATE.PAN
  bool hw_access_flag = false;                   // TCR_EL1.HA
  bool hw_dirty = false;                         // TCR_EL1.HA and HD
  bool hpd = false;                              // hierarchical permissions disabled
  bool write_protect = true;                     // CR0.WP of x86-64; AArch64 has no such bit
  std::uint64_t pir = 0, pire0 = 0, por_el1 = 0, por_el0 = 0;
  unsigned index_bits = kArchitectedIndexBits;
  std::array<std::uint64_t, kMorePors> more_por_el1{};  // of keys 16 and above
};

// The permission fields of a leaf as a TLB entry caches them.
struct LeafPermission {
  std::uint64_t descriptor = 0;
  std::uint8_t ap_table = 0;  // APTable of the tables above, accumulated
  bool uxn_table = false, pxn_table = false;
};

struct Rights {
  bool r = false, w = false, x = false;
  bool operator==(const Rights&) const = default;
};

// The base permission of one side (privileged or unprivileged).
struct Base {
  Rights rights;
  bool overlay_applies = true;
  bool gcs = false;         // guarded control stack page
  bool wxn_choice = false;  // writable and executable: WXN removes one, by the overlay
};
struct Composition {
  Base privileged, unprivileged;
};
Composition compose(const LeafPermission& leaf, const PermissionControls& controls);

// Field `index` of a POR as rights.
Rights overlay_rights(std::uint64_t por, unsigned index);

struct Verdict {
  bool allowed = false;
  bool overlay = false;            // ISS2.Overlay
  bool dirty = false;              // ISS2.DirtyBit
  bool write = false;              // ISS.WnR: it was a write that was refused
  bool update_descriptor = false;  // hardware marks the page dirty
  std::uint64_t updated_descriptor = 0;
};
Verdict check(const LeafPermission& leaf, const PermissionControls& controls, const Access& access);

// What a TLB may decide by itself with one AND: bits as in a POR field (R, X, W), so that an
// overlay field masks them. A bit is set only if check() would allow it without a descriptor update
// under any overlay that grants it; a clear bit means: ask check().
inline constexpr std::uint8_t kMayRead = 1, kMayExecute = 2, kMayWrite = 4;
struct FastRights {
  std::uint8_t privileged = 0;      // PSTATE.PAN = 0
  std::uint8_t privileged_pan = 0;  // PSTATE.PAN = 1
  std::uint8_t unprivileged = 0;
  bool privileged_overlay = false;  // does the overlay apply to that side?
  bool unprivileged_overlay = false;
};
// These are rights with CR0.WP set. Clear, it only adds rights to privileged writes, and those are
// left to check(): so no TLB entry ever holds a right that ends when WP is set again.
FastRights fast_rights(const LeafPermission& leaf, const PermissionControls& controls);

// POR fields 0 to 7 with the reserved encodings (1xxx) as none.
constexpr std::uint64_t without_reserved(std::uint64_t por) {
  const std::uint64_t reserved = (por & 0x88888888) >> 3;
  return por & 0xffffffff & ~(reserved * 0xf);
}

}  // namespace kpksim::poe
