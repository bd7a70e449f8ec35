#include "sim/mmu/tlb.h"

#include <algorithm>

namespace kpksim::mmu {

void Tlb::fill(VirtAddr va, Asid asid, const Leaf& leaf) {
  const std::uint64_t page = va.value >> leaf.page_bits;
  TlbEntry* const first = set_of(page);
  TlbEntry* const end = first + geometry_.ways;
  TlbEntry* victim = first;
  for (TlbEntry* entry = first; entry != end; ++entry) {
    if (entry->valid && entry->page == page && entry->leaf.page_bits == leaf.page_bits &&
        (entry->asid == asid || (entry->leaf.global && leaf.global))) {
      victim = entry;  // the same translation again: replace, never duplicate
      break;
    }
    if (victim->valid && (!entry->valid || entry->used < victim->used)) victim = entry;
  }
  *victim = {page, ++time_, leaf, asid, true};
  sizes_ |= 1ull << leaf.page_bits;
}

void Tlb::invalidate(const TlbiEffect& effect) {
  const bool one_page = !effect.all_addresses && effect.end - effect.start == kPageSize;
  if (!one_page) {
    for (TlbEntry& entry : entries_) {
      if (entry.valid && effect.drops(entry.va().value, entry.leaf.page_bits, entry.asid,
                                      entry.leaf.global, entry.leaf.level)) {
        entry.valid = false;
      }
    }
    return;
  }
  for (std::uint64_t sizes = sizes_; sizes != 0; sizes &= sizes - 1) {
    TlbEntry* entry = set_of(effect.start >> __builtin_ctzll(sizes));
    for (unsigned way = 0; way < geometry_.ways; ++way, ++entry) {
      if (entry->valid && effect.drops(entry->va().value, entry->leaf.page_bits, entry->asid,
                                       entry->leaf.global, entry->leaf.level)) {
        entry->valid = false;
      }
    }
  }
}

void Tlb::clear() {
  for (TlbEntry& entry : entries_) entry.valid = false;
}

const WalkState* WalkCache::find(VirtAddr va, Asid asid) {
  Entry* best = nullptr;
  for (Entry& entry : entries_) {
    if (entry.valid && va.value >> entry.bits() == entry.prefix &&
        (entry.global || entry.asid == asid) &&
        (best == nullptr || entry.next.level > best->next.level)) {
      best = &entry;
    }
  }
  if (best == nullptr) return nullptr;
  best->used = ++time_;
  return &best->next;
}

void WalkCache::fill(VirtAddr va, Asid asid, bool global, const WalkState& next) {
  const std::uint64_t prefix = va.value >> level_shift(next.level - 1u);
  Entry* victim = &entries_.front();
  for (Entry& entry : entries_) {
    if (entry.valid && entry.prefix == prefix && entry.next.level == next.level &&
        entry.asid == asid) {
      victim = &entry;
      break;
    }
    if (victim->valid && (!entry.valid || entry.used < victim->used)) victim = &entry;
  }
  *victim = {prefix, ++time_, next, asid, global, true};
}

void WalkCache::invalidate(const TlbiEffect& effect) {
  if (effect.last_level) return;
  for (Entry& entry : entries_) {
    // A TTL hint names the level of the leaf; the tables above it go with it.
    TlbiEffect any_level = effect;
    any_level.ttl_level = 0;
    if (entry.valid &&
        any_level.drops(entry.va().value, entry.bits(), entry.asid, entry.global, 0)) {
      entry.valid = false;
    }
  }
}

void WalkCache::clear() {
  for (Entry& entry : entries_) entry.valid = false;
}

}  // namespace kpksim::mmu
