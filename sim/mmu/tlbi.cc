#include "sim/mmu/tlbi.h"

#include <algorithm>

namespace kpksim::mmu {
namespace {

// VA[55:0] with the bits above as bit 55.
std::uint64_t sign_extend_va(std::uint64_t va) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(va << 8) >> 8);
}

constexpr std::uint64_t kRangeLimit = 1ull << 52;
constexpr unsigned kGranuleShifts[] = {0, 12, 14, 16};  // by TG, and by TTL[3:2]

// The level of a TTL hint; 0, no hint, for the encodings that without FEAT_LPA2 are reserved.
std::uint8_t hinted_level(unsigned granule_shift, std::uint64_t level) {
  return static_cast<std::uint8_t>(granule_shift == 14 && level == 1 ? 0 : level);
}

}  // namespace

std::optional<TlbiRange> decode_range(std::uint64_t xt) {
  const unsigned shift = kGranuleShifts[tlbi_range::kTg.get(xt)];
  if (shift == 0) return std::nullopt;
  TlbiRange range;
  range.granule_shift = shift;
  const std::uint64_t base = tlbi_range::kBaseAddr.get(xt);
  const std::uint64_t extended =
      static_cast<std::uint64_t>(static_cast<std::int64_t>(base << 27) >> 27);
  range.start = extended << shift;
  const std::uint64_t pages = (tlbi_range::kNum.get(xt) + 1)
                              << (5 * tlbi_range::kScale.get(xt) + 1);
  range.end = range.start + (pages << shift);
  if ((range.start & kRangeLimit) != (range.end & kRangeLimit)) {
    range.end = align_up(range.start + 1, kRangeLimit) - 1;  // would cross bit 52: cut there
  }
  return range;
}

TlbiEffect decode(TlbiKind kind, std::uint64_t xt) {
  const TlbiInfo& what = info(kind);
  TlbiEffect effect;
  effect.stages = what.stages;
  effect.by_asid = what.by_asid;
  effect.last_level = what.last_level;
  effect.all_addresses = !what.by_va;
  effect.asid = Asid(static_cast<std::uint16_t>(tlbi_va::kAsid.get(xt)));  // the same in all forms
  if (!what.by_va) return effect;
  if (what.range) {
    const std::optional<TlbiRange> range = decode_range(xt);
    if (!range) {
      effect.nothing = true;
      return effect;
    }
    effect.start = range->start;
    effect.end = range->end;
    effect.granule_shift = static_cast<std::uint8_t>(range->granule_shift);
    effect.ttl_level = hinted_level(range->granule_shift, tlbi_range::kTtl.get(xt));
  } else {
    effect.start = sign_extend_va(tlbi_va::kVa.get(xt) << kPageShift);
    effect.end = effect.start + kPageSize;
    const std::uint64_t ttl = tlbi_va::kTtl.get(xt);  // 0bGGLL: granule, level
    const unsigned granule = kGranuleShifts[ttl >> 2];
    effect.ttl_level = granule == 0 ? 0 : hinted_level(granule, ttl & 3);
    if (effect.ttl_level != 0) effect.granule_shift = static_cast<std::uint8_t>(granule);
  }
  return effect;
}

std::uint64_t encode_va(VirtAddr va, Asid asid, unsigned level) {
  std::uint64_t xt = tlbi_va::kVa.set(0, va.value >> kPageShift);
  xt = tlbi_va::kAsid.set(xt, asid.value);
  return tlbi_va::kTtl.set(xt, level == 0 ? 0 : 0b0100 | level);
}

std::uint64_t encode_range(VirtAddr va, Asid asid, unsigned scale, unsigned num, unsigned level) {
  std::uint64_t xt = tlbi_range::kBaseAddr.set(0, va.value >> kPageShift);
  xt = tlbi_range::kTtl.set(xt, level);
  xt = tlbi_range::kNum.set(xt, num);
  xt = tlbi_range::kScale.set(xt, scale);
  xt = tlbi_range::kTg.set(xt, 0b01);
  return tlbi_range::kAsid.set(xt, asid.value);
}

}  // namespace kpksim::mmu
