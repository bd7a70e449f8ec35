#include "sim/mmu/stage2_cache.h"

namespace kpksim::mmu {

Stage2Result Stage2::cached(std::uint32_t i) const {
  const Leaf& leaf = cache_[i].leaf;
  Stage2Result result;
  result.level = leaf.level;
  result.rights = leaf.stage2_rights;
  result.page_bits = leaf.page_bits;
  result.base = leaf.base;
  result.descriptor = leaf.descriptor;
  return result;
}

void Stage2::fill(PhysAddr ipa, const Stage2Result& found) {
  Leaf leaf;
  leaf.descriptor = found.descriptor;
  leaf.base = found.base;
  leaf.level = found.level;
  leaf.page_bits = found.page_bits;
  leaf.stage2_rights = found.rights;
  leaf.global = true;
  cache_.fill(VirtAddr(ipa.value), Asid(0), leaf, FastAccess{});
}

}  // namespace kpksim::mmu
