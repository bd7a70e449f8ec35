#pragma once
// The system registers that govern the translation of EL1&0, and their fields.

#include <array>
#include <cstdint>

#include "sim/base/bits.h"
#include "sim/base/types.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

namespace tcr {  // TCR_EL1
inline constexpr Field kT0Sz{5, 0};
inline constexpr Field kEpd0{7, 7};
inline constexpr Field kTg0{15, 14};  // 0b00 4K, 0b01 64K, 0b10 16K
inline constexpr Field kT1Sz{21, 16};
inline constexpr Field kA1{22, 22};
inline constexpr Field kEpd1{23, 23};
inline constexpr Field kTg1{31, 30};  // 0b01 16K, 0b10 4K, 0b11 64K
inline constexpr Field kIps{34, 32};
inline constexpr Field kAs{36, 36};
inline constexpr Field kTbi0{37, 37};
inline constexpr Field kTbi1{38, 38};
inline constexpr Field kHa{39, 39};
inline constexpr Field kHd{40, 40};
inline constexpr Field kHpd0{41, 41};
inline constexpr Field kHpd1{42, 42};
inline constexpr Field kTbid0{51, 51};
inline constexpr Field kTbid1{52, 52};
inline constexpr Field kE0Pd0{55, 55};
inline constexpr Field kE0Pd1{56, 56};
inline constexpr Field kTcma0{57, 57};  // FEAT_MTE2
inline constexpr Field kTcma1{58, 58};
}  // namespace tcr
namespace tcr2 {  // TCR2_EL1
inline constexpr Field kPie{1, 1};
inline constexpr Field kE0Poe{2, 2};
inline constexpr Field kPoe{3, 3};
}  // namespace tcr2
namespace sctlr {  // SCTLR_EL1
inline constexpr Field kM{0, 0};
inline constexpr Field kWxn{19, 19};
inline constexpr Field kTcf{41, 40};  // FEAT_MTE2: what a failed tag check of EL1 does
inline constexpr std::uint64_t kTcfSynchronous = 0b01;
inline constexpr Field kAta{43, 43};  // FEAT_MTE2: EL1 can use allocation tags
inline constexpr Field kEpan{57, 57};
}  // namespace sctlr
namespace ttbr {  // TTBRn_EL1
inline constexpr Field kAsid{63, 48};
inline constexpr Field kBaddr{47, 1};
}  // namespace ttbr
namespace mair {  // MAIR_EL1: an attribute of memory in each of its 8 bytes
inline constexpr unsigned kAttributes = 8;
constexpr Field attribute(unsigned index) { return {8 * index + 7, 8 * index}; }
inline constexpr std::uint64_t kNormal = 0xff;        // write-back
inline constexpr std::uint64_t kNormalTagged = 0xf0;  // the same, Tagged (FEAT_MTE2)
}  // namespace mair
namespace cr0 {                      // CR0 of x86-64
inline constexpr Field kWp{16, 16};  // privileged writes obey read-only leaves
}  // namespace cr0
namespace hcr {                    // HCR_EL2
inline constexpr Field kVm{0, 0};  // stage 2
}  // namespace hcr
namespace vtcr {  // VTCR_EL2; TG0 = 0b00 (4 KB), HA = HD = 0
inline constexpr Field kT0Sz{5, 0};
inline constexpr Field kSl0{7, 6};
inline constexpr Field kPs{18, 16};
}  // namespace vtcr

struct Registers {
  std::uint64_t tcr = 0;
  std::uint64_t tcr2 = 0;
  std::uint64_t sctlr = 0;
  std::uint64_t ttbr0 = 0;
  std::uint64_t ttbr1 = 0;
  std::uint64_t pir = 0;
  std::uint64_t pire0 = 0;
  std::uint64_t por_el1 = 0;
  std::uint64_t por_el0 = 0;
  std::uint64_t mair = 0;  // MAIR_EL1: PAR_EL1.ATTR shows it, and what is Tagged is checked
  std::uint64_t hcr = 0, vtcr = 0, vttbr = 0;  // of EL2
  std::uint64_t cr0 = cr0::kWp.mask();         // of x86-64; AArch64 acts as if WP were always set
  // Of a leaf's overlay index, and the registers of keys 16 and above (poe::overlay_index()).
  unsigned index_bits = poe::kArchitectedIndexBits;
  std::array<std::uint64_t, poe::kMorePors> more_por_el1{};

  // TTBRn.ASID as A1 selects; with TCR_EL1.AS = 0 only its low 8 bits count.
  Asid asid() const {
    const std::uint64_t field = ttbr::kAsid.get(tcr::kA1.get(tcr) != 0 ? ttbr1 : ttbr0);
    return Asid(static_cast<std::uint16_t>(tcr::kAs.get(tcr) != 0 ? field : field & 0xff));
  }
  bool operator==(const Registers&) const = default;
};

// Those that a window changes: the key register, or CR0.WP.
struct WindowRegisters {
  std::uint64_t por_el1 = 0;
  bool write_protect = true;

  bool operator==(const WindowRegisters&) const = default;
};

}  // namespace kpksim::mmu
