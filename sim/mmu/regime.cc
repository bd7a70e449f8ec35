#include "sim/mmu/regime.h"

#include <fmt/core.h>

#include <algorithm>

namespace kpksim::mmu {
namespace {

constexpr unsigned kReserved = 3;  // not an index of kGranules
// Index of kGranules by TCR_EL1.TG0 and TG1, which encode differently.
constexpr std::array<unsigned, 4> kTg0 = {0, 2, 1, kReserved};
constexpr std::array<unsigned, 4> kTg1 = {kReserved, 1, 0, 2};
constexpr std::array<std::uint8_t, 8> kPaBits = {32, 36, 40, 42, 44, 48, kPaMax, kPaMax};
constexpr unsigned kReservedIps = 7;
constexpr std::uint64_t kMinTnSz = 16, kMaxTnSz = 39;

// The fields of TCR_EL1 that one half has.
struct HalfFields {
  Field tsz, tg, epd, e0pd, hpd, tbi, tbid, tcma;
  const std::array<unsigned, 4>& granules;
};
constexpr std::array<HalfFields, 2> kHalfFields = {{
    {tcr::kT0Sz, tcr::kTg0, tcr::kEpd0, tcr::kE0Pd0, tcr::kHpd0, tcr::kTbi0, tcr::kTbid0,
     tcr::kTcma0, kTg0},
    {tcr::kT1Sz, tcr::kTg1, tcr::kEpd1, tcr::kE0Pd1, tcr::kHpd1, tcr::kTbi1, tcr::kTbid1,
     tcr::kTcma1, kTg1},
}};

Half decode_half(const Registers& regs, unsigned n) {
  const HalfFields& f = kHalfFields[n];
  Half half;
  const unsigned granule = f.granules[f.tg.get(regs.tcr)];
  half.granule = &kGranules[granule == kReserved ? 0 : granule];
  const Granule& g = *half.granule;
  half.input_bits =
      static_cast<std::uint8_t>(64 - std::clamp(f.tsz.get(regs.tcr), kMinTnSz, kMaxTnSz));
  // The first level whose entries, with those below, resolve all input bits above the page offset.
  const unsigned levels = (half.input_bits - g.shift + g.stride() - 1) / g.stride();
  half.start_level = static_cast<std::uint8_t>(kLastLevel + 1 - levels);
  half.epd = f.epd.get(regs.tcr) != 0;
  half.e0pd = f.e0pd.get(regs.tcr) != 0;
  // With indirect permissions the table descriptors carry no permissions.
  half.hpd = f.hpd.get(regs.tcr) != 0 || tcr2::kPie.get(regs.tcr2) != 0;
  half.ignore_top_byte_data = f.tbi.get(regs.tcr) != 0;
  half.match_all = f.tcma.get(regs.tcr) != 0;
  half.ignore_top_byte_fetch = half.ignore_top_byte_data && f.tbid.get(regs.tcr) == 0;
  const unsigned table_bits = half.input_bits - g.level_shift(half.start_level) + 3;
  half.table = PhysAddr((n == 0 ? regs.ttbr0 : regs.ttbr1) & Field{47, table_bits}.mask());
  return half;
}

}  // namespace

std::uint8_t pa_bits(std::uint64_t size) { return kPaBits[size]; }

Regime decode_regime(const Registers& regs) {
  Regime regime;
  for (unsigned n = 0; n < 2; ++n) regime.halves[n] = decode_half(regs, n);
  regime.pa_bits = pa_bits(tcr::kIps.get(regs.tcr));
  regime.tag_access = sctlr::kAta.get(regs.sctlr) != 0;
  regime.tag_checks = regime.tag_access && sctlr::kTcf.get(regs.sctlr) == sctlr::kTcfSynchronous;
  for (unsigned i = 0; i < mair::kAttributes; ++i) {
    if (mair::attribute(i).get(regs.mair) != mair::kNormalTagged) continue;
    regime.tagged_attributes = static_cast<std::uint8_t>(regime.tagged_attributes | 1u << i);
  }
  return regime;
}

poe::PermissionControls permission_controls(const Registers& regs) {
  poe::PermissionControls controls;
  controls.pie = tcr2::kPie.get(regs.tcr2) != 0;
  controls.poe = tcr2::kPoe.get(regs.tcr2) != 0;
  controls.e0poe = tcr2::kE0Poe.get(regs.tcr2) != 0;
  controls.wxn = sctlr::kWxn.get(regs.sctlr) != 0;
  controls.epan = sctlr::kEpan.get(regs.sctlr) != 0;
  controls.hw_access_flag = tcr::kHa.get(regs.tcr) != 0;
  controls.hw_dirty = controls.hw_access_flag && tcr::kHd.get(regs.tcr) != 0;
  controls.write_protect = cr0::kWp.get(regs.cr0) != 0;
  controls.pir = regs.pir;
  controls.pire0 = regs.pire0;
  controls.por_el1 = regs.por_el1;
  controls.por_el0 = regs.por_el0;
  controls.index_bits = regs.index_bits;
  controls.more_por_el1 = regs.more_por_el1;
  return controls;
}

std::vector<std::string> illegal_fields(const Registers& regs) {
  std::vector<std::string> errors;
  if (sctlr::kM.get(regs.sctlr) == 0) return errors;
  for (unsigned n = 0; n < 2; ++n) {
    const HalfFields& f = kHalfFields[n];
    if (f.epd.get(regs.tcr) != 0) continue;
    const std::uint64_t tsz = f.tsz.get(regs.tcr);
    if (tsz < kMinTnSz || tsz > kMaxTnSz) {
      errors.push_back(fmt::format("TCR_EL1.T{}SZ (bits {}:{}) is {}; legal: {} to {}", n,
                                   f.tsz.high, f.tsz.low, tsz, kMinTnSz, kMaxTnSz));
    }
    const std::uint64_t tg = f.tg.get(regs.tcr);
    if (f.granules[tg] == kReserved) {
      errors.push_back(
          fmt::format("TCR_EL1.TG{} (bits {}:{}) is 0b{:02b}, which is reserved; legal: {}", n,
                      f.tg.high, f.tg.low, tg,
                      n == 0 ? "0b00 (4 KB), 0b01 (64 KB), 0b10 (16 KB)"
                             : "0b01 (16 KB), 0b10 (4 KB), 0b11 (64 KB)"));
    }
  }
  if (tcr::kIps.get(regs.tcr) == kReservedIps) {
    errors.push_back(
        "TCR_EL1.IPS (bits 34:32) is 0b111, which is reserved; legal: 0b000 (32 bits) to 0b110 (52 "
        "bits, here 48)");
  }
  return errors;
}

}  // namespace kpksim::mmu
