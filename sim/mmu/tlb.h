#pragma once
// One TLB: set-associative, page sizes mixed, least recently used entry replaced. Changed by fills,
// evictions and TLBI only. POR is not part of an entry; the leaf's POIndex and PIIndex are.

#include <cstdint>
#include <vector>

#include "sim/mmu/tlbi.h"
#include "sim/mmu/walker.h"

namespace kpksim::mmu {

struct TlbGeometry {
  unsigned sets = 1;
  unsigned ways = 1;
};

struct TlbEntry {
  std::uint64_t page = 0;  // va >> page_bits
  std::uint64_t used = 0;  // time of the last hit or fill
  Leaf leaf;
  Asid asid;
  bool valid = false;

  VirtAddr va() const { return VirtAddr(page << leaf.page_bits); }
};

class Tlb {
 public:
  explicit Tlb(TlbGeometry geometry)
      : geometry_(geometry), entries_(std::size_t{geometry.sets} * geometry.ways) {}

  // The entry that maps `va` for `asid`, or nullptr.
  TlbEntry* find(VirtAddr va, Asid asid) {
    for (std::uint64_t sizes = sizes_; sizes != 0; sizes &= sizes - 1) {
      const auto bits = static_cast<unsigned>(__builtin_ctzll(sizes));
      const std::uint64_t page = va.value >> bits;
      TlbEntry* entry = set_of(page);
      for (unsigned way = 0; way < geometry_.ways; ++way, ++entry) {
        if (entry->page == page && entry->valid && entry->leaf.page_bits == bits &&
            (entry->leaf.global || entry->asid == asid)) {
          entry->used = ++time_;
          return entry;
        }
      }
    }
    return nullptr;
  }

  void fill(VirtAddr va, Asid asid, const Leaf& leaf);
  void invalidate(const TlbiEffect& effect);
  void clear();

  const std::vector<TlbEntry>& entries() const { return entries_; }

 private:
  TlbEntry* set_of(std::uint64_t page) { return &entries_[page % geometry_.sets * geometry_.ways]; }

  TlbGeometry geometry_;
  std::vector<TlbEntry> entries_;
  std::uint64_t sizes_ = 0;  // bit n: an entry of 2^n bytes may be present
  std::uint64_t time_ = 0;
};

// Caches the tables found on walks, so that a miss starts at the last level's table if it can. An
// entry covers the addresses below one table descriptor.
class WalkCache {
 public:
  struct Entry {
    std::uint64_t prefix = 0;  // va >> level_shift(level of the descriptor)
    std::uint64_t used = 0;
    WalkState next;
    Asid asid;
    bool global = false;
    bool valid = false;

    unsigned bits() const { return level_shift(next.level - 1u); }
    VirtAddr va() const { return VirtAddr(prefix << bits()); }
  };

  explicit WalkCache(unsigned entries) : entries_(entries) {}

  // The deepest cached state for `va`, or nullptr.
  const WalkState* find(VirtAddr va, Asid asid);
  void fill(VirtAddr va, Asid asid, bool global, const WalkState& next);
  void invalidate(const TlbiEffect& effect);
  void clear();

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  std::uint64_t time_ = 0;
};

}  // namespace kpksim::mmu
