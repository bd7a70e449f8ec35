#pragma once
// What an MMU's TLBs and walk cache may hold, in three words: so that a broadcast TLBI passes by
// the cores that hold nothing of what it names. Never less than what they hold; more after
// evictions, until the next TLBI of a whole address space.

#include <cstdint>

#include "sim/mmu/regime.h"
#include "sim/mmu/tlbi.h"

namespace kpksim::mmu {

class Presence {
 public:
  void add_leaf(VirtAddr va, Asid asid, bool global) {
    if (global) {
      globals_ |= half_of(va.value);
    } else {
      asids_ |= bit_of(asid);
    }
    halves_ |= half_of(va.value);
  }
  void add_table(VirtAddr va, Asid asid) { add_leaf(va, asid, false); }

  bool empty() const { return halves_ == 0; }
  bool may_hold(Asid asid) const { return (asids_ & bit_of(asid)) != 0; }
  // May there be an entry that `effect` drops?
  bool may_hold(const TlbiEffect& effect) const {
    if (effect.nothing) return false;
    if (effect.all_addresses) return effect.by_asid ? may_hold(effect.asid) : !empty();
    const std::uint8_t halves = half_of(effect.start) | half_of(effect.end - 1);
    if (effect.by_asid && may_hold(effect.asid)) return true;
    return ((effect.by_asid ? globals_ : halves_) & halves) != 0;
  }

 private:
  static constexpr std::uint8_t half_of(std::uint64_t va) { return bit(va, 55) ? 2 : 1; }
  static constexpr std::uint64_t bit_of(Asid asid) { return 1ull << (asid.value % 64); }

  std::uint64_t asids_ = 0;   // of tables and of leaves that are not global, modulo 64
  std::uint8_t globals_ = 0;  // halves with global leaves
  std::uint8_t halves_ = 0;   // halves with anything
};

}  // namespace kpksim::mmu
