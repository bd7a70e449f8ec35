#pragma once
// What an MMU's TLBs and walk cache hold, counted: by address space, by page of the upper half, by
// half. So a TLBI passes by an MMU that holds nothing of what it names. ASIDs and pages share
// counters, so that there may be less than it says, never more. Each fill and each drop is counted
// where it happens (Tlb, WalkCache).

#include <array>
#include <cstdint>

#include "sim/mmu/holders.h"
#include "sim/mmu/tlbi.h"

namespace kpksim::mmu {

class Presence {
 public:
  Presence() = default;
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  // `holders` knows from now on what this one, the MMU `number`, holds.
  void report_to(Holders& holders, unsigned number) {
    holders_ = &holders;
    number_ = number;
  }

  void add_leaf(VirtAddr va, Asid asid, bool global, unsigned page_bits) {
    change<1>(va, asid, global);
    if (Place::half_of(va.value) == Place::kUpper) change_page<1>(va, page_bits);
  }
  void remove_leaf(VirtAddr va, Asid asid, bool global, unsigned page_bits) {
    change<-1>(va, asid, global);
    if (Place::half_of(va.value) == Place::kUpper) change_page<-1>(va, page_bits);
  }
  // Are leaves at these addresses, of one ASID and not global, one and the same to it?
  static bool is_one_to_it(VirtAddr a, VirtAddr b) {
    return Place::half_of(a.value | b.value) == Place::kLower;
  }
  void add_table(VirtAddr va, Asid asid) { change<1>(va, asid, false); }
  void remove_table(VirtAddr va, Asid asid) { change<-1>(va, asid, false); }

  bool empty() const { return halves_[0] + halves_[1] == 0; }
  bool may_hold(Asid asid) const { return asids_[Place::of(asid)] != 0; }
  // May there be an entry that `effect` drops?
  bool may_hold(const TlbiEffect& effect) const {
    if (effect.nothing) return false;
    if (effect.by_asid && may_hold(effect.asid)) return true;
    if (effect.all_addresses) return !effect.by_asid && !empty();
    if (Place::is_upper_leaf(effect)) return may_map_upper(effect.start);
    const auto& halves = effect.by_asid ? globals_ : halves_;
    return halves[Place::half_of(effect.start)] + halves[Place::half_of(effect.end - 1)] != 0;
  }

 private:
  // True: there was none before, or there is none now.
  template <int kBy>
  static bool turns(std::uint32_t& count) {
    count += static_cast<std::uint32_t>(kBy);
    return count == (kBy > 0 ? 1u : 0u);
  }
  template <int kBy>
  void change(VirtAddr va, Asid asid, bool global) {
    const unsigned half = Place::half_of(va.value);
    if (turns<kBy>(halves_[half]) && holders_ != nullptr) {
      holders_->set_anything(half, number_, kBy > 0);
    }
    if (global) {
      if (turns<kBy>(globals_[half]) && holders_ != nullptr) {
        holders_->set_global(half, number_, kBy > 0);
      }
    } else if (turns<kBy>(asids_[Place::of(asid)]) && holders_ != nullptr) {
      holders_->set_asid(Place::of(asid), number_, kBy > 0);
    }
  }
  template <int kBy>
  void change_page(VirtAddr va, unsigned page_bits) {
    const unsigned place = Place::of_page(va.value, page_bits);
    if ((upper_sizes_ >> page_bits & 1) == 0) {
      upper_sizes_ |= 1ull << page_bits;
      if (holders_ != nullptr) holders_->add_page_size(page_bits);
    }
    if (turns<kBy>(upper_[place]) && holders_ != nullptr) {
      holders_->set_page(place, number_, kBy > 0);
    }
  }
  bool may_map_upper(std::uint64_t va) const {
    for (std::uint64_t sizes = upper_sizes_; sizes != 0; sizes &= sizes - 1) {
      const auto bits = static_cast<unsigned>(__builtin_ctzll(sizes));
      if (upper_[Place::of_page(va, bits)] != 0) return true;
    }
    return false;
  }

  Holders* holders_ = nullptr;
  unsigned number_ = 0;
  // Of each half: entries, and global leaves.
  std::array<std::uint32_t, 2> halves_{}, globals_{};
  std::uint64_t upper_sizes_ = 0;  // bit n: leaves of 2^n bytes there have been
  // Tables and leaves that are not global.
  std::array<std::uint32_t, Place::kAsids> asids_{};
  // Leaves of the upper half: kernel pages are in the TLBs of every core, but the page that a TLBI
  // names (a page table that is keyed, a stack that is freed) is in few.
  std::array<std::uint32_t, Place::kPages> upper_{};
};

}  // namespace kpksim::mmu
