#pragma once
// One TLB: set-associative, page sizes mixed, least recently used entry replaced. Changed by fills,
// evictions and TLBI only. POR is not part of an entry; the leaf's POIndex and PIIndex are.
//
// An entry is kept in three parts, by how often they are looked at: tag, time of use, and fast leaf
// at every access; the rest for TLBIs, faults and audits. Tags lie apart from what they guard, so
// that a look-up touches 16 bytes a way: an entry matches if key and probe agree in the bits of its
// mask. The mask leaves out the address bits inside the page, block or run and, for a global entry,
// the ASID.

#include <array>
#include <cstdint>
#include <vector>

#include "sim/mmu/fast_leaf.h"
#include "sim/mmu/presence.h"
#include "sim/mmu/tlbi.h"
#include "sim/mmu/walker.h"

namespace kpksim::mmu {

struct TlbGeometry {
  unsigned sets = 1;
  unsigned ways = 1;
};

// VA[55:12] in bits [43:0], the ASID in [59:44]; bit 63 is set in no probe.
struct TlbTag {
  static constexpr Field kVa{43, 0};
  static constexpr unsigned kHalfBit = 43;  // VA[55]
  static constexpr Field kAsid{59, 44};
  static constexpr std::uint64_t kNoProbe = 1ull << 62;  // of a regime that is off: matches nothing
  static constexpr std::uint64_t kInvalid = 1ull << 63;

  std::uint64_t key = kInvalid;
  std::uint64_t mask = kInvalid;

  bool operator==(const TlbTag&) const = default;
  static constexpr std::uint64_t probe(VirtAddr va, Asid asid) {
    return kVa.get(va.value >> kPageShift) | kAsid.set(0, asid.value);
  }
  constexpr bool matches(std::uint64_t probe) const { return ((key ^ probe) & mask) == 0; }
  // The same whatever the ASID.
  constexpr bool covers(std::uint64_t probe) const {
    return ((key ^ probe) & mask & ~kAsid.mask()) == 0;
  }
  // Of an entry of the probe's ASID that is not global.
  constexpr bool is_of(std::uint64_t probe) const {
    return ((~mask | (key ^ probe)) & kAsid.mask()) == 0;
  }
  static constexpr TlbTag of(VirtAddr va, Asid asid, unsigned bits, bool global) {
    TlbTag tag;
    tag.mask = kInvalid | kNoProbe | (kVa.mask() & (~0ull << (bits - kPageShift)));
    if (!global) tag.mask |= kAsid.mask();
    tag.key = probe(va, asid) & tag.mask;
    return tag;
  }
};

struct TlbEntry {
  VirtAddr start;  // first address mapped, VA[63:56] as VA[55]
  Leaf leaf;
  Asid asid;
  bool valid = false;

  VirtAddr va() const { return start; }
  // What stage 1 maps: a TLBI of any of its addresses drops the entry.
  CachedRange range() const {
    return {align_down(start.value, 1ull << leaf.stage1_bits()),
            leaf.stage1_bits(),
            asid,
            leaf.global,
            leaf.level,
            leaf.granule_shift};
  }
};

class Tlb {
 public:
  static constexpr std::uint32_t kMiss = ~0u;

  // `presence`: what counts its entries, if anything does.
  explicit Tlb(TlbGeometry geometry, Presence* presence = nullptr);

  // The place of the entry that maps the probe's address for its ASID, now the most recently used,
  // or kMiss. (If software broke break-before-make there may be several: it is one of them.)
  std::uint32_t find(std::uint64_t probe) {
    const std::uint32_t i = locate(probe);
    if (i != kMiss) touch(i);
    return i;
  }
  // The same for an onlooker: nothing changes.
  std::uint32_t locate(std::uint64_t probe) const {
    if (geometry_.sets == 1) return may_match(probe) ? search(0, probe) : kMiss;
    for (std::uint64_t sizes = sizes_of(probe); sizes != 0; sizes &= sizes - 1) {
      const auto bits = static_cast<unsigned>(__builtin_ctzll(sizes));
      const std::uint32_t i = search(set_of(probe, bits), probe);
      if (i != kMiss) return i;
    }
    return kMiss;
  }
  // The hot path's find(): the rights of the page of `va`, if it is one of the recent pages under
  // the registers as they are; its entry is then the most recently used. Null: ask find().
  const FastLeaf* find_recent(VirtAddr va) {
    const Recent& recent = recent_[page_of(va) % kRecent];
    if (recent.page != page_of(va)) [[unlikely]]
      return nullptr;
    touch(recent.entry);
    return &recent.fast;
  }
  // Entry `i` maps `va`, which has no tag in VA[63:56].
  void set_recent(VirtAddr va, std::uint32_t i) {
    const std::size_t place = page_of(va) % kRecent;
    recent_[place] = {page_of(va), fast_[i], i};
    recent_set_[place / 64] |= 1ull << place % 64;
  }
  // The registers changed: another ASID, another half.
  void forget_recent();

  const TlbEntry& operator[](std::uint32_t i) const { return entries_[i]; }
  const FastLeaf& fast(std::uint32_t i) const { return fast_[i]; }
  // For an address that find() does not find: a TLB holds one entry for it. Returns its place.
  std::uint32_t fill(VirtAddr va, Asid asid, const Leaf& leaf, const FastAccess& fast);
  // After a change of the registers that fast leaves are made from: `make(entry)` for each.
  template <class Make>
  void renew_fast(Make&& make) {
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
      if (!entries_[i].valid) continue;
      static_cast<FastAccess&>(fast_[i]) = make(entries_[i]);
    }
  }
  // Takes its fast rights from what maps the probe's address: each access needs thought from now
  // on.
  void slow_down(std::uint64_t probe);
  // Drops what maps the probe's address for its ASID.
  void drop(std::uint64_t probe);
  void invalidate(const TlbiEffect& effect);
  void clear();
  // How many entries of an address space, not global, map a part of [start, end).
  unsigned count(Asid asid, VirtAddr start, VirtAddr end) const;

  const std::vector<TlbEntry>& entries() const { return entries_; }

 private:
  // A page of a recent access, its entry and a copy of the entry's fast leaf: one look at one place
  // finds all that the hot path needs, whatever the size of the mapping and the number of ways.
  // Dies with its entry and with any change of the registers, so that it need hold no ASID.
  static constexpr std::uint64_t kNoPage = ~0ull;
  struct Recent {
    std::uint64_t page = kNoPage;  // VA[63:12]
    FastLeaf fast;
    std::uint32_t entry = kMiss;
  };
  static constexpr std::size_t kRecent = 128;

  static constexpr std::uint64_t page_of(VirtAddr va) { return va.value >> kPageShift; }

  // The last one touched is the most recently used already.
  void touch(std::uint32_t i) {
    if (i == newest_) return;
    newest_ = i;
    used_[i] = ++time_;
  }
  // The first way of the set of a page of 2^bits bytes.
  std::uint32_t set_of(std::uint64_t probe, unsigned bits) const {
    const std::uint64_t page = TlbTag::kVa.get(probe) >> (bits - kPageShift);
    const std::uint64_t set = set_mask_ != 0 ? page & set_mask_ : page % geometry_.sets;
    return static_cast<std::uint32_t>(set) * geometry_.ways;
  }
  std::uint32_t search(std::uint32_t first, std::uint64_t probe) const {
    // No early exit: which way it is cannot be predicted, a wrong guess costs more than a few ways.
    const TlbTag* const tags = tags_.data() + first;
    std::uint32_t found = kMiss;
    for (std::uint32_t way = 0; way < geometry_.ways; ++way) {
      found = tags[way].matches(probe) ? first + way : found;
    }
    return found;
  }
  // Of the only set: false if no way can match, as none has the page's signature. Most looks at a
  // first level that its recent pages have not answered are misses.
  static constexpr std::size_t kSignatures = 1024;
  static constexpr std::size_t signature(std::uint64_t probe, unsigned bits) {
    const std::uint64_t page = TlbTag::kVa.get(probe) >> (bits - kPageShift);
    return (page ^ page >> 10 ^ page >> 20 ^ page >> 30) % kSignatures;
  }
  static std::size_t signature(const TlbEntry& entry) {
    return signature(TlbTag::probe(entry.start, entry.asid), entry.leaf.page_bits);
  }
  bool may_match(std::uint64_t probe) const {
    for (std::uint64_t sizes = sizes_of(probe); sizes != 0; sizes &= sizes - 1) {
      if (held_[signature(probe, static_cast<unsigned>(__builtin_ctzll(sizes)))] != 0) return true;
    }
    return false;
  }
  // Of the probe's half.
  std::uint64_t sizes_of(std::uint64_t probe) const {
    return sizes_[bit(probe, TlbTag::kHalfBit) ? 1 : 0];
  }
  // ASIDs share them.
  static std::uint8_t space_of(Asid asid) {
    return static_cast<std::uint8_t>(asid.value % 255 + 1);
  }
  // The way that a fill of the set from `first` on replaces: an invalid one, or the least recently
  // used.
  std::uint32_t victim(std::uint32_t first);
  void sort_by_use();
  void remove(std::uint32_t i);
  void forget_recent(std::uint32_t i);
  void invalidate_page(std::uint32_t first, const TlbiEffect& effect);
  void invalidate_set(std::uint32_t first, const TlbiEffect& effect);
  void invalidate_every_set(const TlbiEffect& effect);
  void invalidate_asid(const TlbiEffect& effect);
  void count_out(const TlbEntry& entry);
  void count_out_of_presence(const TlbEntry& entry);

  TlbGeometry geometry_;
  Presence* presence_;
  std::uint64_t set_mask_;  // sets - 1 if that is a power of two, else 0
  std::vector<TlbTag> tags_;
  std::vector<std::uint16_t> held_;   // of a TLB of one set: entries with each signature
  std::vector<std::uint8_t> spaces_;  // by place: of an ASID, 0 of what is global or invalid
  std::vector<std::uint64_t> used_;   // time of the last hit or fill
  std::vector<FastLeaf> fast_;
  std::vector<TlbEntry> entries_;
  std::array<Recent, kRecent> recent_{};
  std::array<std::uint64_t, kRecent / 64> recent_set_{};  // one bit each: it may hold a page
  // Of a TLB of one set with many ways: how many are invalid; and if none is, all of them as they
  // were used at the last look, the oldest first, which serve as many fills: who was used since has
  // another time, and is younger than all others.
  static constexpr std::uint32_t kFewWays = 8;
  static constexpr unsigned kWayBits = 20;  // a profile has up to 10^6 ways
  std::uint32_t invalid_;
  std::vector<std::uint64_t> oldest_;  // time of use, and in the lowest bits the way
  std::size_t next_old_ = 0;
  std::array<std::uint64_t, 2> sizes_{};  // by half, bit n: entries of 2^n bytes may be present
  bool parts_ = false;  // an entry may be present that maps less than stage 1 does
  std::uint64_t time_ = 0;
  std::uint32_t newest_ = kMiss;  // the entry that was touched last, if it is still there
};

}  // namespace kpksim::mmu
