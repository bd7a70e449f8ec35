#pragma once
// Caches the tables found on walks, so that a miss starts at the last level's table if it can. An
// entry covers the addresses below one table descriptor. Tables have no nG bit: an entry belongs to
// the ASID it was filled under, in both halves, and ASIDE1 drops it (Arm ARM D8.16).

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

  explicit WalkCache(unsigned entries) : tags_(entries), used_(entries), entries_(entries) {}

  // The deepest cached state for the probe's address, or nullptr.
  const WalkState* find(std::uint64_t probe);
  void fill(VirtAddr va, Asid asid, const Granule& granule, const WalkState& next);
  void invalidate(const TlbiEffect& effect);
  void clear();

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void remove(std::size_t i);

  std::vector<TlbTag> tags_;
  std::vector<std::uint64_t> used_;
  std::vector<Entry> entries_;
  std::uint64_t time_ = 0;
};

}  // namespace kpksim::mmu
