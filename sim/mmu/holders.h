#pragma once
// Which MMUs of a machine may hold something of what a TLBI names: a bit for each MMU, by address
// space, by page of the upper half, and by half. Kept by each MMU's Presence, which counts what it
// holds, so that a broadcast TLBI visits those MMUs alone, however many there are.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/mmu/tlbi.h"

namespace kpksim::mmu {

// Where Presence and Holders keep what they know of an ASID, and of a page of the upper half.
struct Place {
  static constexpr unsigned kAsids = 1u << 10;
  static constexpr unsigned kPagesLog2 = 12, kPages = 1u << kPagesLog2;
  static constexpr unsigned kUpper = 1, kLower = 0;

  static constexpr unsigned of(Asid asid) { return asid.value % kAsids; }
  static constexpr unsigned of_page(std::uint64_t va, unsigned page_bits) {
    const std::uint64_t page = va << 8 >> (8 + page_bits);  // VA[63:56] is a tag
    return static_cast<unsigned>((page * 0x9e3779b97f4a7c15) >> (64 - kPagesLog2));
  }
  static constexpr unsigned half_of(std::uint64_t va) { return bit(va, 55) ? kUpper : kLower; }
  // Is what `effect` names one page of the upper half, and leaves alone?
  static constexpr bool is_upper_leaf(const TlbiEffect& effect) {
    return effect.last_level && half_of(effect.start) == kUpper &&
           effect.start >> kPageShift == (effect.end - 1) >> kPageShift;
  }
};

class Holders {
 public:
  explicit Holders(unsigned mmus) : words_((mmus + 63) / 64) {
    asids_.resize(std::size_t{Place::kAsids} * words_);
    pages_.resize(std::size_t{Place::kPages} * words_);
    for (auto* halves : {&anything_, &globals_}) {
      for (auto& half : *halves) half.resize(words_);
    }
  }

  // An MMU holds the first entry of one kind, or none any more.
  void set_asid(unsigned place, unsigned mmu, bool holds) { set(&asids_[at(place)], mmu, holds); }
  void set_page(unsigned place, unsigned mmu, bool holds) { set(&pages_[at(place)], mmu, holds); }
  void set_anything(unsigned half, unsigned mmu, bool holds) {
    set(anything_[half].data(), mmu, holds);
  }
  void set_global(unsigned half, unsigned mmu, bool holds) {
    set(globals_[half].data(), mmu, holds);
  }
  void add_page_size(unsigned page_bits) { page_sizes_ |= 1ull << page_bits; }

  // Calls `visit(mmu)` for each, in order, that may hold an entry of stage 1 that `effect` drops.
  // It may drop them.
  template <class Visit>
  void for_each(const TlbiEffect& effect, Visit&& visit) const {
    if (effect.nothing) return;
    for (std::size_t word = 0; word < words_; ++word) {
      for (std::uint64_t bits = holding(effect, word); bits != 0; bits &= bits - 1) {
        visit(static_cast<unsigned>(word * 64) + static_cast<unsigned>(std::countr_zero(bits)));
      }
    }
  }

 private:
  std::size_t at(unsigned place) const { return std::size_t{place} * words_; }
  static void set(std::uint64_t* row, unsigned mmu, bool holds) {
    const std::uint64_t bit = 1ull << (mmu % 64);
    row[mmu / 64] = holds ? row[mmu / 64] | bit : row[mmu / 64] & ~bit;
  }
  std::uint64_t holding(const TlbiEffect& effect, std::size_t word) const {
    const std::uint64_t own = effect.by_asid ? asids_[at(Place::of(effect.asid)) + word] : 0;
    if (effect.all_addresses) {
      return effect.by_asid ? own : anything_[Place::kLower][word] | anything_[Place::kUpper][word];
    }
    if (Place::is_upper_leaf(effect)) return own | holding_page(effect.start, word);
    const auto& halves = effect.by_asid ? globals_ : anything_;
    return own | halves[Place::half_of(effect.start)][word] |
           halves[Place::half_of(effect.end - 1)][word];
  }
  std::uint64_t holding_page(std::uint64_t va, std::size_t word) const {
    std::uint64_t mmus = 0;
    for (std::uint64_t sizes = page_sizes_; sizes != 0; sizes &= sizes - 1) {
      const auto bits = static_cast<unsigned>(std::countr_zero(sizes));
      mmus |= pages_[at(Place::of_page(va, bits)) + word];
    }
    return mmus;
  }

  std::size_t words_;
  std::vector<std::uint64_t> asids_, pages_;
  std::array<std::vector<std::uint64_t>, 2> anything_, globals_;
  std::uint64_t page_sizes_ = 0;  // bit n: leaves of 2^n bytes there have been in the upper half
};

}  // namespace kpksim::mmu
