#include "sim/mmu/tlb.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace kpksim::mmu {

namespace {

// Where the least time is, the first of several: an invalid way, whose time is 0, or the least
// recently used. Four ways side by side, as each step waits for the one before.
std::uint32_t least_recent(const std::uint64_t* used, std::uint32_t ways) {
  constexpr std::uint32_t kLanes = 4;
  std::uint32_t victim = 0, i = 0;
  std::uint64_t oldest = used[0];
  if (ways >= 2 * kLanes) {
    std::uint32_t at[kLanes] = {0, 1, 2, 3};
    std::uint64_t least[kLanes] = {used[0], used[1], used[2], used[3]};
    for (i = kLanes; i + kLanes <= ways; i += kLanes) {
      for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
        const bool older = used[i + lane] < least[lane];
        at[lane] = older ? i + lane : at[lane];
        least[lane] = older ? used[i + lane] : least[lane];
      }
    }
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
      const bool older = least[lane] < oldest || (least[lane] == oldest && at[lane] < victim);
      victim = older ? at[lane] : victim;
      oldest = older ? least[lane] : oldest;
    }
  }
  for (; i < ways; ++i) {
    const bool older = used[i] < oldest;
    victim = older ? i : victim;
    oldest = older ? used[i] : oldest;
  }
  return victim;
}

}  // namespace

Tlb::Tlb(TlbGeometry geometry, Presence* presence)
    : geometry_(geometry),
      presence_(presence),
      set_mask_((geometry.sets & (geometry.sets - 1)) == 0 ? geometry.sets - 1 : 0),
      tags_(std::size_t{geometry.sets} * geometry.ways),
      held_(geometry.sets == 1 ? kSignatures : 0),
      spaces_(tags_.size()),
      used_(tags_.size()),
      fast_(tags_.size()),
      entries_(tags_.size()),
      invalid_(geometry.sets * geometry.ways) {}

inline std::uint32_t Tlb::victim(std::uint32_t first) {
  if (geometry_.sets > 1 || geometry_.ways <= kFewWays) {
    return least_recent(used_.data() + first, geometry_.ways) + first;
  }
  if (invalid_ != 0) {  // the first
    return static_cast<std::uint32_t>(std::find(used_.begin(), used_.end(), 0) - used_.begin());
  }
  for (;; sort_by_use()) {
    while (next_old_ < oldest_.size()) {
      const std::uint64_t old = oldest_[next_old_++];
      const auto way = static_cast<std::uint32_t>(old & ((1u << kWayBits) - 1));
      if (used_[way] == old >> kWayBits) return way;
    }
  }
}

std::uint32_t Tlb::fill(VirtAddr va, Asid asid, const Leaf& leaf, const FastAccess& fast) {
  const TlbTag tag = TlbTag::of(va, asid, leaf.page_bits, leaf.global);
  const std::uint64_t probe = TlbTag::probe(va, asid);
  const std::uint32_t first = set_of(probe, leaf.page_bits);
  const std::uint32_t way = victim(first);
  const std::uint64_t inside = (1ull << leaf.page_bits) - 1;
  const VirtAddr start(without_tag(va).value & ~inside);
  TlbEntry& entry = entries_[way];
  bool counted = presence_ == nullptr;
  if (entry.valid) {
    forget_recent(way);
    if (geometry_.sets == 1) --held_[signature(entry)];
    counted = counted || (Presence::is_one_to_it(entry.start, start) && entry.asid == asid &&
                          !entry.leaf.global && !leaf.global);
    if (!counted) count_out_of_presence(entry);
  } else {
    --invalid_;
  }
  tags_[way] = tag;
  if (geometry_.sets == 1) ++held_[signature(probe, leaf.page_bits)];
  spaces_[way] = leaf.global ? 0 : space_of(asid);
  entry.start = start;
  entry.leaf = leaf;
  entry.asid = asid;
  entry.valid = true;
  if (!counted) presence_->add_leaf(start, asid, leaf.global, leaf.stage1_bits());
  fast_[way] = {fast, leaf.base.value - start.value};
  newest_ = kMiss;
  touch(way);
  sizes_[upper_half(va) ? 1 : 0] |= 1ull << leaf.page_bits;
  parts_ |= leaf.split_bits != 0;
  return way;
}

void Tlb::sort_by_use() {
  oldest_.resize(geometry_.ways);
  for (std::uint32_t way = 0; way < geometry_.ways; ++way) {
    oldest_[way] = used_[way] << kWayBits | way;
  }
  std::sort(oldest_.begin(), oldest_.end());
  next_old_ = 0;
}

void Tlb::remove(std::uint32_t i) {
  forget_recent(i);
  if (newest_ == i) newest_ = kMiss;
  tags_[i] = {};
  spaces_[i] = 0;
  used_[i] = 0;  // older than all
  ++invalid_;
  entries_[i].valid = false;
  count_out(entries_[i]);
}

// One that is dropped or replaced.
void Tlb::count_out(const TlbEntry& entry) {
  if (geometry_.sets == 1) --held_[signature(entry)];
  if (presence_ != nullptr) count_out_of_presence(entry);
}

void Tlb::count_out_of_presence(const TlbEntry& entry) {
  presence_->remove_leaf(entry.start, entry.asid, entry.leaf.global, entry.leaf.stage1_bits());
}

void Tlb::slow_down(std::uint64_t probe) {
  const std::uint32_t i = locate(probe);
  if (i == kMiss) return;
  forget_recent(i);
  fast_[i].rights = {};
}

void Tlb::forget_recent() {
  for (std::size_t word = 0; word < recent_set_.size(); ++word) {
    for (std::uint64_t bits = std::exchange(recent_set_[word], 0); bits != 0; bits &= bits - 1) {
      recent_[word * 64 + static_cast<unsigned>(std::countr_zero(bits))] = {};
    }
  }
}

void Tlb::forget_recent(std::uint32_t i) {
  // None of its pages is recent, as in all but the first level for data. (Compilers make a call of
  // a comparison of arrays.)
  static_assert(kRecent / 64 == 2);
  if ((recent_set_[0] | recent_set_[1]) == 0) return;
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

// The common case, an effect of a single page: what does not map it is told by the tag alone.
void Tlb::invalidate_page(std::uint32_t first, const TlbiEffect& effect) {
  const std::uint64_t probe = TlbTag::probe(VirtAddr(effect.start), Asid(0));
  for (std::uint32_t i = first; i < first + geometry_.ways; ++i) {
    if (tags_[i].covers(probe) && effect.drops_leaf(entries_[i].range())) remove(i);
  }
}

void Tlb::invalidate_set(std::uint32_t first, const TlbiEffect& effect) {
  for (std::uint32_t i = first; i < first + geometry_.ways; ++i) {
    if (entries_[i].valid && effect.drops_leaf(entries_[i].range())) remove(i);
  }
}

void Tlb::invalidate(const TlbiEffect& effect) {
  if (effect.nothing) return;
  if (effect.all_addresses && !effect.by_asid && !effect.keeps_global) return clear();
  if (effect.all_addresses && effect.by_asid) return invalidate_asid(effect);
  if (parts_ || effect.all_addresses) return invalidate_every_set(effect);
  const bool one_page = effect.start >> kPageShift == (effect.end - 1) >> kPageShift;
  // By address: visit the sets that can hold the range, for each page size that was ever filled.
  for (std::uint64_t sizes = sizes_[0] | sizes_[1]; sizes != 0; sizes &= sizes - 1) {
    const auto bits = static_cast<unsigned>(__builtin_ctzll(sizes));
    const std::uint64_t first = effect.start >> bits;
    const std::uint64_t last = (effect.end - 1) >> bits;
    if (one_page) {
      const std::uint64_t probe = TlbTag::probe(VirtAddr(effect.start), Asid(0));
      if (geometry_.sets > 1) {
        invalidate_page(set_of(probe, bits), effect);
        continue;
      }
      if (may_match(probe)) invalidate_page(0, effect);
      return;  // all sizes lie in it
    }
    if (last - first >= geometry_.sets - 1) return invalidate_every_set(effect);
    for (std::uint64_t page = first; page <= last; ++page) {
      invalidate_set(set_of(TlbTag::probe(VirtAddr(page << bits), Asid(0)), bits), effect);
    }
  }
}

// All of an address space. A process that ends has a few entries among thousands: they are found in
// a byte for each place, as the rest of that many would push all else out of the host's caches.
void Tlb::invalidate_asid(const TlbiEffect& effect) {
  const std::uint64_t probe = TlbTag::probe(VirtAddr(0), effect.asid);
  for (std::size_t i = 0; i < spaces_.size(); ++i) {
    const void* const next = std::memchr(&spaces_[i], space_of(effect.asid), spaces_.size() - i);
    if (next == nullptr) return;
    i = static_cast<std::size_t>(static_cast<const std::uint8_t*>(next) - spaces_.data());
    const auto place = static_cast<std::uint32_t>(i);
    if (tags_[i].is_of(probe) && effect.drops_leaf(entries_[i].range())) remove(place);
  }
}

void Tlb::invalidate_every_set(const TlbiEffect& effect) {
  for (std::uint32_t set = 0; set < geometry_.sets; ++set) {
    invalidate_set(set * geometry_.ways, effect);
  }
}

unsigned Tlb::count(Asid asid, VirtAddr start, VirtAddr end) const {
  unsigned found = 0;
  for (std::uint64_t sizes = sizes_[0] | sizes_[1]; sizes != 0; sizes &= sizes - 1) {
    const auto bits = static_cast<unsigned>(__builtin_ctzll(sizes));
    const std::uint64_t first = start.value >> bits, last = (end.value - 1) >> bits;
    const std::uint64_t pages = std::min<std::uint64_t>(last - first + 1, geometry_.sets);
    for (std::uint64_t page = first; page < first + pages; ++page) {
      const std::uint32_t set = set_of(TlbTag::probe(VirtAddr(page << bits), asid), bits);
      for (std::uint32_t i = set; i < set + geometry_.ways; ++i) {
        const TlbEntry& e = entries_[i];
        if (!e.valid || e.leaf.page_bits != bits || e.leaf.global || e.asid != asid) continue;
        found += e.va() < end && e.va() + (1ull << bits) > start ? 1 : 0;
      }
    }
  }
  return found;
}

void Tlb::clear() {
  std::fill(tags_.begin(), tags_.end(), TlbTag{});
  std::fill(spaces_.begin(), spaces_.end(), 0);
  std::fill(used_.begin(), used_.end(), 0);
  for (TlbEntry& entry : entries_) {
    if (entry.valid) count_out(entry);
    entry.valid = false;
  }
  forget_recent();
  invalid_ = geometry_.sets * geometry_.ways;
  sizes_ = {};
  parts_ = false;
  newest_ = kMiss;
}

}  // namespace kpksim::mmu
