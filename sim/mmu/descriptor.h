#pragma once
// VMSAv8-64 stage 1 descriptors (Arm ARM D8.3): the fields of table, block and page descriptors as
// a table of bit ranges, and a value type over the 64-bit word. The word itself is the truth.

#include <cstdint>

#include "sim/base/bits.h"
#include "sim/base/types.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

namespace field {
inline constexpr Field kValid{0, 0};
inline constexpr Field kTable{1, 1};     // table (levels 0-2) or page (level 3)
inline constexpr Field kAttrIndx{4, 2};  // MAIR_EL1 index
inline constexpr Field kAp1{6, 6};       // AP[1]: unprivileged access (PIIndex[0] with PIE)
inline constexpr Field kAp2{7, 7};       // AP[2]: read-only (nDirty with PIE)
inline constexpr Field kShareability{9, 8};
inline constexpr Field kAccessFlag{10, 10};
inline constexpr Field kNotGlobal{11, 11};
inline constexpr Field kOutputAddress{47, 12};
inline constexpr Field kDbm{51, 51};  // dirty bit modifier (PIIndex[1] with PIE)
inline constexpr Field kContiguous{52, 52};
inline constexpr Field kPxn{53, 53};       // (PIIndex[2] with PIE)
inline constexpr Field kUxn{54, 54};       // (PIIndex[3] with PIE)
inline constexpr Field kSoftware{58, 55};  // ignored by hardware
inline constexpr Field kPxnTable{59, 59};
inline constexpr Field kUxnTable{60, 60};
inline constexpr Field kApTable{62, 61};
inline constexpr Field kPoIndex = poe::kPoIndex;  // overlay index of a block or page
}  // namespace field

struct Descriptor {
  std::uint64_t raw = 0;

  constexpr bool valid() const { return field::kValid.get(raw) != 0; }
  // Bits[1:0] = 0b11: a table at levels 0-2, a page at level 3.
  constexpr bool table_or_page() const { return (raw & 3) == 3; }
  constexpr bool block() const { return (raw & 3) == 1; }
  constexpr bool contiguous() const { return field::kContiguous.get(raw) != 0; }
  constexpr bool not_global() const { return field::kNotGlobal.get(raw) != 0; }
  constexpr bool access_flag() const { return field::kAccessFlag.get(raw) != 0; }
  constexpr PhysAddr output() const { return PhysAddr(raw & field::kOutputAddress.mask()); }
  // Of a table, page or block whose address field starts at bit `low`. (Bits below it are not
  // address bits: with a 64 KB granule [15:12] are, with FEAT_LPA only, bits [51:48].)
  constexpr PhysAddr output(unsigned low) const { return PhysAddr(raw & Field{47, low}.mask()); }
  constexpr Pfn pfn() const { return frame_of(output()); }
  // `bits`: of the index, as poe::overlay_index() has them.
  constexpr PkeyIndex po_index(unsigned bits = poe::kArchitectedIndexBits) const {
    return PkeyIndex(static_cast<std::uint8_t>(poe::overlay_index(raw, bits)));
  }
  constexpr Descriptor with(Field f, std::uint64_t v) const { return {f.set(raw, v)}; }
  constexpr bool operator==(const Descriptor&) const = default;
};

}  // namespace kpksim::mmu
