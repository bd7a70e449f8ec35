#pragma once
// Caches the tables found on walks, so that a miss starts at the last level's table if it can. An
// entry covers the addresses below one table descriptor. Tables have no nG bit: an entry belongs to
// the ASID it was filled under, in both halves, and ASIDE1 drops it (Arm ARM D8.16).
//
// Fully associative, least recently used entry replaced. Hash chains by tag find an entry, and a
// list in order of use names the victim, both without a search.

#include <cstdint>
#include <vector>

#include "sim/mmu/tlb.h"

namespace kpksim::mmu {

class WalkCache {
 public:
  struct Entry {
    VirtAddr start;  // first address below the table
    WalkState next;
    Asid asid;
    std::uint8_t bits = 0;  // log2 of the bytes below the table
    std::uint8_t granule_shift = kPageShift;
    bool valid = false;

    VirtAddr va() const { return start; }
    CachedRange range() const {
      return {start.value, bits, asid, false, next.level, granule_shift};
    }
  };

  // `presence`: what counts its entries, if anything does.
  explicit WalkCache(unsigned entries, Presence* presence = nullptr);

  // The deepest cached state for the probe's address in a half of this geometry, or nullptr.
  const WalkState* find(std::uint64_t probe, const Half& half) {
    // Most walks go on from where the one before did.
    if (newest_ != kNone && entries_[newest_].valid && half.start_level < kLastLevel) {
      const TlbTag deepest = tag_of(probe, half.granule->level_shift(kLastLevel - 1));
      if (tags_[newest_] == deepest) return &entries_[newest_].next;
    }
    return find_older(probe, half);
  }
  void fill(VirtAddr va, Asid asid, const Granule& granule, const WalkState& next);
  void invalidate(const TlbiEffect& effect);
  void clear();

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  struct Links {
    std::uint32_t newer = kNone, older = kNone;  // in the order of use
    std::uint32_t chain = kNone;                 // the next entry with the same hash
  };

  static constexpr TlbTag tag_of(std::uint64_t probe, unsigned bits) {
    const std::uint64_t mask = ~0ull << (bits - kPageShift);
    return {probe & mask, mask};
  }
  const WalkState* find_older(std::uint64_t probe, const Half& half);
  std::uint32_t& bucket(const TlbTag& tag);
  std::uint32_t find_tag(const TlbTag& tag);
  void make_newest(std::uint32_t i);
  void make_oldest(std::uint32_t i);
  void unlink(std::uint32_t i);
  void remove(std::uint32_t i);
  void leave_chain(std::uint32_t i);
  void count_out(const Entry& entry);

  Presence* presence_;
  std::vector<TlbTag> tags_;
  std::vector<Links> links_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> buckets_;
  std::uint32_t newest_ = kNone, oldest_ = kNone;
};

}  // namespace kpksim::mmu
