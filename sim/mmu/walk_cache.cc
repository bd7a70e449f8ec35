#include "sim/mmu/walk_cache.h"

namespace kpksim::mmu {

const WalkState* WalkCache::find(std::uint64_t probe) {
  std::size_t best = tags_.size();
  for (std::size_t i = 0; i < tags_.size(); ++i) {
    if (!tags_[i].matches(probe)) continue;
    if (best == tags_.size() || entries_[i].next.level > entries_[best].next.level) best = i;
    if (entries_[best].next.level == kLastLevel) break;
  }
  if (best == tags_.size()) return nullptr;
  used_[best] = ++time_;
  return &entries_[best].next;
}

void WalkCache::fill(VirtAddr va, Asid asid, const Granule& granule, const WalkState& next) {
  const unsigned bits = granule.level_shift(next.level - 1u);
  const TlbTag tag = TlbTag::of(va, asid, bits, false);
  std::size_t victim = 0;  // an invalid entry has time 0
  for (std::size_t i = 0; i < tags_.size(); ++i) {
    if (tags_[i].key == tag.key && tags_[i].mask == tag.mask) {
      victim = i;
      break;
    }
    if (used_[i] < used_[victim]) victim = i;
  }
  tags_[victim] = tag;
  used_[victim] = ++time_;
  entries_[victim] = {VirtAddr(align_down(without_tag(va).value, 1ull << bits)),
                      next,
                      asid,
                      static_cast<std::uint8_t>(bits),
                      granule.shift,
                      true};
}

void WalkCache::remove(std::size_t i) {
  tags_[i] = {};
  used_[i] = 0;
  entries_[i].valid = false;
}

void WalkCache::invalidate(const TlbiEffect& effect) {
  if (effect.last_level || effect.nothing) return;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].valid && effect.drops_table(entries_[i].range())) remove(i);
  }
}

void WalkCache::clear() {
  for (std::size_t i = 0; i < entries_.size(); ++i) remove(i);
}

}  // namespace kpksim::mmu
