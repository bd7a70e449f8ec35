#pragma once
// The address translation instructions of EL1&0 stage 1 and their result, PAR_EL1 (Arm ARM C5.4,
// D24.2). They may use TLB entries; they leave none, and update no descriptor.

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/base/bits.h"
#include "sim/base/types.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

class Mmu;

enum class AtOp : std::uint8_t { kS1E1R, kS1E1W, kS1E0R, kS1E0W, kS1E1Rp, kS1E1Wp };

struct AtInfo {
  std::string_view name;
  poe::Access access;
  bool uses_pan;  // the P forms (FEAT_PAN2) check under PSTATE.PAN
};
inline constexpr std::array<AtInfo, 6> kAtInfo = {{
    {"S1E1R", {poe::AccessKind::kRead, 1, false}, false},
    {"S1E1W", {poe::AccessKind::kWrite, 1, false}, false},
    {"S1E0R", {poe::AccessKind::kRead, 0, false}, false},
    {"S1E0W", {poe::AccessKind::kWrite, 0, false}, false},
    {"S1E1RP", {poe::AccessKind::kRead, 1, false}, true},
    {"S1E1WP", {poe::AccessKind::kWrite, 1, false}, true},
}};
constexpr const AtInfo& info(AtOp op) { return kAtInfo[static_cast<unsigned>(op)]; }

namespace par {
inline constexpr Field kF{0, 0};
inline constexpr Field kRes1{11, 11};
// F = 0
inline constexpr Field kSh{8, 7};
inline constexpr Field kPa{47, 12};
inline constexpr Field kAttr{63, 56};
// F = 1
inline constexpr Field kFst{6, 1};
inline constexpr Field kOverlay{14, 14};
inline constexpr Field kDirtyBit{15, 15};
}  // namespace par

// PAR_EL1 after AT `op` of `va`.
std::uint64_t par_of(const Mmu& mmu, AtOp op, VirtAddr va, bool pan);

}  // namespace kpksim::mmu
