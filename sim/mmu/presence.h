#pragma once
// What an MMU's TLBs and walk cache may hold, in a few words: so that a broadcast TLBI passes by
// the cores that hold nothing of what it names. Never less than what they hold; more after
// evictions, until the next TLBI of a whole address space.

#include <array>
#include <cstdint>

#include "sim/mmu/regime.h"
#include "sim/mmu/tlbi.h"

namespace kpksim::mmu {

class Presence {
 public:
  void add_leaf(VirtAddr va, Asid asid, bool global, unsigned page_bits) {
    add(va, asid, global);
    if (half_of(va.value) != kUpper) return;
    upper_sizes_ |= 1ull << page_bits;
    const unsigned place = place_of(va.value, page_bits);
    upper_[place / 64] |= 1ull << (place % 64);
  }
  void add_table(VirtAddr va, Asid asid) { add(va, asid, false); }

  bool empty() const { return halves_ == 0; }
  bool may_hold(Asid asid) const { return (asids_ & bit_of(asid)) != 0; }
  // May there be an entry that `effect` drops?
  bool may_hold(const TlbiEffect& effect) const {
    if (effect.nothing) return false;
    if (effect.all_addresses) return effect.by_asid ? may_hold(effect.asid) : !empty();
    const std::uint8_t halves = half_of(effect.start) | half_of(effect.end - 1);
    if (effect.by_asid && may_hold(effect.asid)) return true;
    if (((effect.by_asid ? globals_ : halves_) & halves) == 0) return false;
    const bool one_page = effect.start >> kPageShift == (effect.end - 1) >> kPageShift;
    return !one_page || !effect.last_level || halves != kUpper || may_map_upper(effect.start);
  }

 private:
  static constexpr std::uint8_t kUpper = 2;
  static constexpr unsigned kPlacesLog2 = 12;

  static constexpr std::uint8_t half_of(std::uint64_t va) { return bit(va, 55) ? kUpper : 1; }
  static constexpr unsigned place_of(std::uint64_t va, unsigned page_bits) {
    const std::uint64_t page = va << 8 >> (8 + page_bits);  // VA[63:56] is a tag
    return static_cast<unsigned>((page * 0x9e3779b97f4a7c15) >> (64 - kPlacesLog2));
  }
  void add(VirtAddr va, Asid asid, bool global) {
    if (global) {
      globals_ |= half_of(va.value);
    } else {
      asids_ |= bit_of(asid);
    }
    halves_ |= half_of(va.value);
  }
  bool may_map_upper(std::uint64_t va) const {
    for (std::uint64_t sizes = upper_sizes_; sizes != 0; sizes &= sizes - 1) {
      const unsigned place = place_of(va, static_cast<unsigned>(__builtin_ctzll(sizes)));
      if ((upper_[place / 64] >> (place % 64) & 1) != 0) return true;
    }
    return false;
  }
  static constexpr std::uint64_t bit_of(Asid asid) { return 1ull << (asid.value % 64); }

  std::uint64_t asids_ = 0;   // of tables and of leaves that are not global, modulo 64
  std::uint8_t globals_ = 0;  // halves with global leaves
  std::uint8_t halves_ = 0;   // halves with anything
  // Leaves of the upper half, by a hash of the page's number: kernel pages are in the TLBs of every
  // core, but the page that a TLBI names (a page table that is keyed, a stack that is freed) is in
  // few.
  std::uint64_t upper_sizes_ = 0;  // bit n: leaves of 2^n bytes
  std::array<std::uint64_t, (1u << kPlacesLog2) / 64> upper_{};
};

}  // namespace kpksim::mmu
