#pragma once
// Where the descriptors of page tables have been cached: for each, the addresses and ASIDs that
// walkers have used it for, and the cores. It may say more than the TLBs hold, never less: entries
// leave the TLBs unseen, and a place goes when somebody has looked and found nothing.

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/base/types.h"

namespace kpksim::check {

struct Place {
  VirtAddr va;  // the first address that a leaf maps; any below a table
  Asid asid;
  bool table = false;
  PhysAddr next;            // of a table descriptor: the table that it led to
  std::uint64_t cores = 0;  // bit n: a core of number n modulo 64
};

class CachedPlaces {
 public:
  // `place`, on this core too. Tables have one place for all the addresses below them.
  void add(PhysAddr entry, const Place& place, unsigned core);

  // Calls `still(place)` for each place of the descriptor; what it says false of is forgotten.
  template <class Still>
  void sift(PhysAddr entry, Still&& still) {
    Frame* const frame = find(frame_of(entry));
    if (frame != nullptr) sift_slot((*frame)[slot_of(entry)], still);
  }
  // The same for each descriptor of a table.
  template <class Still>
  void sift_table(Pfn table, Still&& still) {
    Frame* const frame = find(table);
    if (frame == nullptr) return;
    for (std::size_t i = 0; i < frame->size(); ++i) {
      const PhysAddr entry = address_of(table) + i * 8;
      sift_slot((*frame)[i], [&](const Place& place) { return still(entry, place); });
    }
  }

 private:
  struct Node {
    Place place;
    std::uint32_t next = 0;
  };
  // The first node of each descriptor, plus 1: all zeros is a table of which nothing is cached.
  using Frame = std::array<std::uint32_t, kPageSize / 8>;

  static std::size_t slot_of(PhysAddr entry) { return (entry.value & (kPageSize - 1)) / 8; }

  Frame* find(Pfn pfn) {
    if (pfn == last_pfn_ && last_ != nullptr) return last_;
    const auto it = frames_.find(pfn.value);
    if (it == frames_.end()) return nullptr;
    last_pfn_ = pfn;
    return last_ = it->second.get();
  }
  template <class Still>
  void sift_slot(std::uint32_t& first, Still&& still) {
    std::uint32_t* link = &first;
    while (*link != 0) {
      const std::uint32_t at = *link - 1;
      if (still(static_cast<const Place&>(nodes_[at].place))) {
        link = &nodes_[at].next;
      } else {
        *link = nodes_[at].next;
        nodes_[at].next = free_;
        free_ = at + 1;
      }
    }
  }

  std::unordered_map<std::uint64_t, std::unique_ptr<Frame>> frames_;
  std::vector<Node> nodes_;
  std::uint32_t free_ = 0;
  Pfn last_pfn_;
  Frame* last_ = nullptr;
};

}  // namespace kpksim::check
