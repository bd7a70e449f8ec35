#pragma once
// MMU faults and their syndrome (ESR_ELx, Arm ARM D24.2).

#include <cstdint>
#include <string_view>

#include "sim/base/types.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

enum class FaultKind : std::uint8_t { kNone, kTranslation, kAccessFlag, kPermission, kAddressSize };
inline constexpr std::string_view kFaultNames[] = {"none", "translation", "access-flag",
                                                   "permission", "address-size"};

struct Fault {
  FaultKind kind = FaultKind::kNone;
  std::uint8_t level = 0;
  bool overlay = false;  // ISS2.Overlay
  bool dirty = false;    // ISS2.DirtyBit
  VirtAddr far{};
  bool write = false;  // ISS.WnR

  explicit operator bool() const { return kind != FaultKind::kNone; }
};

// ESR_EL1 of `fault`: EC, IL, ISS2 and ISS (DFSC or IFSC, WnR).
std::uint64_t esr_of(const Fault& fault, const poe::Access& access);

}  // namespace kpksim::mmu
