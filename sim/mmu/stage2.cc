#include "sim/mmu/stage2.h"

#include <algorithm>

namespace kpksim::mmu {
namespace {

constexpr std::uint64_t kMinT0Sz = 16, kMaxT0Sz = 24;
// VTCR_EL2.SL0 counts levels from 2 upwards with a 4 KB granule: 0b00 level 2, 0b01 1, 0b10 0.
constexpr std::uint64_t kLevelOfSl0Zero = 2;

}  // namespace

Stage2Regime decode_stage2(const Registers& regs) {
  Stage2Regime regime;
  regime.on = hcr::kVm.get(regs.hcr) != 0;
  regime.input_bits =
      static_cast<std::uint8_t>(64 - std::clamp(vtcr::kT0Sz.get(regs.vtcr), kMinT0Sz, kMaxT0Sz));
  regime.start_level = static_cast<std::uint8_t>(
      kLevelOfSl0Zero - std::min(vtcr::kSl0.get(regs.vtcr), kLevelOfSl0Zero));
  regime.pa_bits = pa_bits(vtcr::kPs.get(regs.vtcr));
  const unsigned table_bits = regime.input_bits - kGranules[0].level_shift(regime.start_level) + 3;
  regime.table = PhysAddr(regs.vttbr & Field{47, table_bits}.mask());
  return regime;
}

std::uint8_t stage2_rights(Descriptor d) {
  std::uint8_t rights = 0;
  if (s2_field::kRead.get(d.raw) != 0) rights |= poe::kMayRead;
  if (s2_field::kWrite.get(d.raw) != 0) rights |= poe::kMayWrite;
  if (s2_field::kXn1.get(d.raw) == 0) rights |= poe::kMayExecute;
  return rights;
}

}  // namespace kpksim::mmu
