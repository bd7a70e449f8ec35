#include "sim/mmu/tlb.h"

#include <algorithm>

namespace kpksim::mmu {

Tlb::Tlb(TlbGeometry geometry)
    : geometry_(geometry),
      set_mask_((geometry.sets & (geometry.sets - 1)) == 0 ? geometry.sets - 1 : 0),
      tags_(std::size_t{geometry.sets} * geometry.ways),
      used_(tags_.size()),
      fast_(tags_.size()),
      entries_(tags_.size()) {}

std::uint32_t Tlb::fill(VirtAddr va, Asid asid, const Leaf& leaf, const FastLeaf& fast) {
  const TlbTag tag = TlbTag::of(va, asid, leaf.page_bits, leaf.global);
  const std::uint64_t probe = TlbTag::probe(va, asid);
  const std::uint32_t first = set_of(probe, leaf.page_bits);
  // An invalid way, whose time is 0, or the least recently used.
  std::uint32_t victim = first;
  std::uint64_t oldest = used_[first];
  for (std::uint32_t i = first + 1; i < first + geometry_.ways; ++i) {
    const bool older = used_[i] < oldest;
    victim = older ? i : victim;
    oldest = older ? used_[i] : oldest;
  }
  if (entries_[victim].valid) forget_recent(victim);
  const std::uint64_t inside = (1ull << leaf.page_bits) - 1;
  tags_[victim] = tag;
  TlbEntry& entry = entries_[victim];
  entry.start = VirtAddr(without_tag(va).value & ~inside);
  entry.leaf = leaf;
  entry.asid = asid;
  entry.valid = true;
  fast_[victim] = fast;
  touch(victim);
  sizes_ |= 1ull << leaf.page_bits;
  return victim;
}

void Tlb::remove(std::uint32_t i) {
  forget_recent(i);
  tags_[i] = {};
  used_[i] = 0;
  entries_[i].valid = false;
}

void Tlb::forget_recent(std::uint32_t i) {
  const std::uint64_t first = page_of(entries_[i].start);
  const std::uint64_t pages = 1ull << (entries_[i].leaf.page_bits - kPageShift);
  for (std::uint64_t n = 0; n < std::min<std::uint64_t>(pages, kRecent); ++n) {
    Recent& recent = recent_[(first + n) % kRecent];
    if (recent.entry == i) recent.page = kNoPage;
  }
}

void Tlb::drop(std::uint64_t probe) {
  for (std::uint32_t i = locate(probe); i != kMiss; i = locate(probe)) remove(i);
}

void Tlb::invalidate_set(std::uint32_t first, const TlbiEffect& effect) {
  for (std::uint32_t i = first; i < first + geometry_.ways; ++i) {
    if (entries_[i].valid && effect.drops_leaf(entries_[i].range())) remove(i);
  }
}

void Tlb::invalidate(const TlbiEffect& effect) {
  if (effect.nothing) return;
  if (effect.all_addresses && !effect.by_asid) return clear();
  // By address: visit the sets that can hold the range, for each page size that was ever filled.
  for (std::uint64_t sizes = effect.all_addresses ? 0 : sizes_; sizes != 0; sizes &= sizes - 1) {
    const auto bits = static_cast<unsigned>(__builtin_ctzll(sizes));
    const std::uint64_t first = effect.start >> bits;
    const std::uint64_t last = (effect.end - 1) >> bits;
    if (last - first >= geometry_.sets - 1) return invalidate_every_set(effect);
    for (std::uint64_t page = first; page <= last; ++page) {
      invalidate_set(set_of(TlbTag::probe(VirtAddr(page << bits), Asid(0)), bits), effect);
    }
  }
  if (effect.all_addresses) invalidate_every_set(effect);
}

void Tlb::invalidate_every_set(const TlbiEffect& effect) {
  for (std::uint32_t set = 0; set < geometry_.sets; ++set) {
    invalidate_set(set * geometry_.ways, effect);
  }
}

void Tlb::clear() {
  std::fill(tags_.begin(), tags_.end(), TlbTag{});
  std::fill(used_.begin(), used_.end(), 0);
  for (TlbEntry& entry : entries_) entry.valid = false;
  forget_recent();
  sizes_ = 0;
}

}  // namespace kpksim::mmu
