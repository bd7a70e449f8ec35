#pragma once
// MMU faults and their syndrome (ESR_ELx, Arm ARM D24.2).

#include <cstdint>
#include <string_view>

#include "sim/base/bits.h"
#include "sim/base/types.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

enum class FaultKind : std::uint8_t {
  kNone,
  kTranslation,
  kAccessFlag,
  kPermission,
  kAddressSize,
  kTagCheck  // synchronous; of no level
};
inline constexpr std::string_view kFaultNames[] = {"none",       "translation",  "access-flag",
                                                   "permission", "address-size", "tag-check"};

struct Fault {
  FaultKind kind = FaultKind::kNone;
  std::uint8_t level = 0;
  bool overlay = false;  // ISS2.Overlay
  bool dirty = false;    // ISS2.DirtyBit
  VirtAddr far{};
  bool write = false;  // ISS.WnR

  explicit operator bool() const { return kind != FaultKind::kNone; }
};

namespace esr {                        // ESR_EL1 of a data or instruction abort
inline constexpr Field kStatus{5, 0};  // DFSC or IFSC
inline constexpr Field kWnr{6, 6};
inline constexpr Field kIl{25, 25};
inline constexpr Field kEc{31, 26};
inline constexpr Field kDirtyBit{37, 37};  // ISS2[5]
inline constexpr Field kOverlay{38, 38};   // ISS2[6]
}  // namespace esr

// The fault status code: DFSC, IFSC and PAR_EL1.FST.
std::uint64_t status_of(const Fault& fault);
// ESR_EL1 of `fault`: EC, IL, ISS2 and ISS (DFSC or IFSC, WnR).
std::uint64_t esr_of(const Fault& fault, const poe::Access& access);

}  // namespace kpksim::mmu
