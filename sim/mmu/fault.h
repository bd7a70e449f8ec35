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
  bool write = false;       // ISS.WnR
  bool stage2 = false;      // taken to EL2; the IPA is Mmu::fault_ipa()
  bool table_walk = false;  // ISS.S1PTW: stage 2 refused what a stage 1 walk read or wrote

  explicit operator bool() const { return kind != FaultKind::kNone; }
};

namespace esr {                        // ESR_ELx of a data or instruction abort
inline constexpr Field kStatus{5, 0};  // DFSC or IFSC
inline constexpr Field kWnr{6, 6};
inline constexpr Field kS1Ptw{7, 7};  // ESR_EL2
inline constexpr Field kIl{25, 25};
inline constexpr Field kEc{31, 26};
inline constexpr Field kDirtyBit{37, 37};  // ISS2[5]
inline constexpr Field kOverlay{38, 38};   // ISS2[6]
}  // namespace esr

// The fault status code: DFSC, IFSC and PAR_EL1.FST.
std::uint64_t status_of(const Fault& fault);
// ESR_EL1 of `fault`, or of a stage 2 fault ESR_EL2: EC, IL, ISS2 and ISS (DFSC or IFSC, WnR,
// S1PTW).
std::uint64_t esr_of(const Fault& fault, const poe::Access& access);
// The error code of a page fault of a privileged write on x86-64 (Intel SDM volume 3, 4.7): P, W/R,
// PK.
std::uint64_t page_fault_code(const Fault& fault);

}  // namespace kpksim::mmu
