#include "sim/mmu/tag_check.h"

namespace kpksim::mmu {

bool is_checked(const Regime& regime, VirtAddr va) {
  constexpr MemoryTag kMatchAll[] = {MemoryTag(0), MemoryTag(kTags - 1)};  // by half
  const Half& half = regime.half(va);
  return regime.tag_checks && half.ignore_top_byte_data &&
         !(half.match_all && logical_tag(va) == kMatchAll[upper_half(va) ? 1 : 0]);
}

}  // namespace kpksim::mmu
