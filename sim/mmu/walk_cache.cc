#include "sim/mmu/walk_cache.h"

#include <bit>

namespace kpksim::mmu {

WalkCache::WalkCache(unsigned entries, Presence* presence)
    : presence_(presence),
      tags_(entries),
      links_(entries),
      entries_(entries),
      buckets_(std::bit_ceil(2 * entries)) {
  for (std::uint32_t& first : buckets_) first = kNone;
  for (std::uint32_t i = 0; i < entries; ++i) make_oldest(i);
}

std::uint32_t& WalkCache::bucket(const TlbTag& tag) {
  const std::uint64_t hash = (tag.key ^ (tag.mask << 3)) * 0x9e3779b97f4a7c15;
  return buckets_[(hash >> 40) & (buckets_.size() - 1)];
}

std::uint32_t WalkCache::find_tag(const TlbTag& tag) {
  for (std::uint32_t i = bucket(tag); i != kNone; i = links_[i].chain) {
    if (tags_[i] == tag) return i;
  }
  return kNone;
}

void WalkCache::unlink(std::uint32_t i) {
  const Links& l = links_[i];
  (l.newer != kNone ? links_[l.newer].older : newest_) = l.older;
  (l.older != kNone ? links_[l.older].newer : oldest_) = l.newer;
}

void WalkCache::make_newest(std::uint32_t i) {
  links_[i].newer = kNone;
  links_[i].older = newest_;
  (newest_ != kNone ? links_[newest_].newer : oldest_) = i;
  newest_ = i;
}

void WalkCache::make_oldest(std::uint32_t i) {
  links_[i].older = kNone;
  links_[i].newer = oldest_;
  (oldest_ != kNone ? links_[oldest_].older : newest_) = i;
  oldest_ = i;
}

const WalkState* WalkCache::find_older(std::uint64_t probe, const Half& half) {
  for (unsigned level = kLastLevel; level > half.start_level; --level) {
    const std::uint32_t i = find_tag(tag_of(probe, half.granule->level_shift(level - 1)));
    if (i == kNone) continue;
    unlink(i);
    make_newest(i);
    return &entries_[i].next;
  }
  return nullptr;
}

void WalkCache::fill(VirtAddr va, Asid asid, const Granule& granule, const WalkState& next) {
  const unsigned bits = granule.level_shift(next.level - 1u);
  const TlbTag tag = tag_of(TlbTag::probe(va, asid), bits);
  std::uint32_t i = find_tag(tag);
  if (i == kNone) {
    i = oldest_;
    if (entries_[i].valid) {
      leave_chain(i);
      count_out(entries_[i]);
    }
    if (presence_ != nullptr) presence_->add_table(va, asid);
    tags_[i] = tag;
    links_[i].chain = bucket(tag);
    bucket(tag) = i;
  }
  unlink(i);
  make_newest(i);
  entries_[i] = {VirtAddr(align_down(without_tag(va).value, 1ull << bits)),
                 next,
                 asid,
                 static_cast<std::uint8_t>(bits),
                 granule.shift,
                 true};
}

void WalkCache::leave_chain(std::uint32_t i) {
  std::uint32_t* at = &bucket(tags_[i]);
  while (*at != i) at = &links_[*at].chain;
  *at = links_[i].chain;
}

// One that is dropped or replaced.
void WalkCache::count_out(const Entry& entry) {
  if (presence_ != nullptr) presence_->remove_table(entry.start, entry.asid);
}

void WalkCache::remove(std::uint32_t i) {
  leave_chain(i);
  count_out(entries_[i]);
  entries_[i].valid = false;
  unlink(i);
  make_oldest(i);
}

void WalkCache::invalidate(const TlbiEffect& effect) {
  if (effect.last_level || effect.nothing) return;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].valid && effect.drops_table(entries_[i].range())) remove(i);
  }
}

void WalkCache::clear() {
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].valid) remove(i);
  }
}

}  // namespace kpksim::mmu
