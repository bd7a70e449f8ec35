#pragma once
// The EL1&0 regime as the walker sees it: TCR_EL1, TCR2_EL1 and the TTBRs decoded once, when they
// are written, into the geometry of the two halves of the address space (Arm ARM D8.2).

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/types.h"
#include "sim/mmu/registers.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

inline constexpr unsigned kLastLevel = 3;
inline constexpr unsigned kPaMax = 48;  // no FEAT_LPA, FEAT_LPA2

// One translation granule. Index by (shift - 12) / 2: 4 KB, 16 KB, 64 KB.
struct Granule {
  std::uint8_t shift;              // log2 of the page size
  std::uint8_t first_block_level;  // blocks at this level to 2
  // log2 of the entries in a contiguous run, by level; 0: no run at this level.
  std::array<std::uint8_t, 4> run_bits;

  constexpr unsigned stride() const { return shift - 3u; }  // address bits that one level resolves
  // Number of low address bits that an entry of `level` maps.
  constexpr unsigned level_shift(unsigned level) const {
    return shift + stride() * (kLastLevel - level);
  }
};
inline constexpr std::array<Granule, 3> kGranules = {{
    {12, 1, {0, 4, 4, 4}},
    {14, 2, {0, 0, 5, 7}},
    {16, 2, {0, 0, 5, 5}},
}};

// TTBR0_EL1 (VA[55] = 0) or TTBR1_EL1 (VA[55] = 1) with its fields of TCR_EL1.
struct Half {
  const Granule* granule = &kGranules[0];
  std::uint8_t input_bits = 48;  // 64 - TnSZ
  std::uint8_t start_level = 0;
  bool epd = false, e0pd = false, hpd = false;
  bool ignore_top_byte_data = false, ignore_top_byte_fetch = false;
  bool match_all = false;  // TCMAn: a logical tag that sign-extends VA[55] passes tag checks
  PhysAddr table;          // aligned to the size of the start level's table

  // Does each access to an address in range begin a walk? False: start_fault() must say.
  bool is_walked(unsigned pa_bits) const { return !epd && !e0pd && table.value >> pa_bits == 0; }
  bool operator==(const Half&) const = default;
};

struct Regime {
  std::array<Half, 2> halves;
  std::uint8_t pa_bits = kPaMax;  // TCR_EL1.IPS, at most 48
  // FEAT_MTE2 at EL1: are tags accessible, are accesses checked, and which indices of MAIR_EL1 are
  // Tagged (bit n: AttrIndx n).
  bool tag_access = false, tag_checks = false;
  std::uint8_t tagged_attributes = 0;

  const Half& half(VirtAddr va) const { return halves[bit(va.value, 55) ? 1 : 0]; }
};

// Reserved values act as the model chooses (docs/model.md): TnSZ is clamped to 16..39, a reserved
// TGn is 4 KB, a reserved IPS 48 bits. For input from users, see illegal_fields().
Regime decode_regime(const Registers& regs);
// Bits of a physical address by TCR_EL1.IPS or VTCR_EL2.PS.
std::uint8_t pa_bits(std::uint64_t size);

// What of the registers takes part in permission checks.
poe::PermissionControls permission_controls(const Registers& regs);

// One message for each field that software must not program so, with the legal values; empty if the
// registers are fine. A half whose EPDn is 1 is never walked, so its TGn and TnSZ are not judged,
// and neither half is while stage 1 is off.
std::vector<std::string> illegal_fields(const Registers& regs);

constexpr bool upper_half(VirtAddr va) { return bit(va.value, 55); }
// The address with VA[63:56] as VA[55]: what the TLB compares.
constexpr VirtAddr without_tag(VirtAddr va) {
  return VirtAddr(static_cast<std::uint64_t>(static_cast<std::int64_t>(va.value << 8) >> 8));
}
// Are the bits above the input size, down from bit 63 (or 55, if the top byte is ignored), all as
// VA[55]?
constexpr bool in_range(const Half& half, VirtAddr va, bool fetch) {
  const bool ignore_top = fetch ? half.ignore_top_byte_fetch : half.ignore_top_byte_data;
  const auto extended = static_cast<std::int64_t>(ignore_top ? without_tag(va).value : va.value);
  return extended >> half.input_bits == (upper_half(va) ? -1 : 0);
}

}  // namespace kpksim::mmu
