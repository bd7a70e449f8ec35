#pragma once
// The allocation tags of memory tagging (FEAT_MTE2, Arm ARM D10): 4 bits for each granule of 16
// bytes of physical memory. A pointer's logical tag is VA[59:56]; tag_check.h compares the two.

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "sim/base/bits.h"
#include "sim/base/types.h"

namespace kpksim::mmu {

using MemoryTag = Strong<struct MemoryTagTag, std::uint8_t>;  // logical or allocation tag

inline constexpr std::uint64_t kTagGranule = 16;  // bytes
inline constexpr unsigned kTags = 16;
inline constexpr Field kLogicalTag{59, 56};  // of a virtual address

constexpr MemoryTag logical_tag(VirtAddr va) {
  return MemoryTag(static_cast<std::uint8_t>(kLogicalTag.get(va.value)));
}
constexpr VirtAddr with_logical_tag(VirtAddr va, MemoryTag tag) {
  return VirtAddr(kLogicalTag.set(va.value, tag.value));
}

// The allocation tags of physical memory, held for frames in which a tag was stored.
class AllocationTags {
 public:
  MemoryTag at(PhysAddr pa) const {
    const auto it = frames_.find(frame_of(pa));
    return it == frames_.end() ? rest_ : get(it->second, granule_of(pa));
  }
  // Of the granules in the `bytes` from `pa` on, which lie in one frame.
  void store(PhysAddr pa, std::uint64_t bytes, MemoryTag tag);
  // The tag of all memory in which none was stored. At reset tags are unknown: software has stored
  // this one everywhere at boot.
  void set_rest(MemoryTag tag) { rest_ = tag; }

  std::size_t resident_frames() const { return frames_.size(); }

 private:
  static constexpr unsigned kTagBits = 4, kTagsPerWord = 64 / kTagBits;
  // Tags of a frame, 16 to a word.
  using Frame = std::array<std::uint64_t, kPageSize / kTagGranule / kTagsPerWord>;
  struct Hash {
    std::size_t operator()(Pfn pfn) const { return std::hash<std::uint64_t>{}(pfn.value); }
  };

  static constexpr std::size_t granule_of(PhysAddr pa) {
    return (pa.value & (kPageSize - 1)) / kTagGranule;
  }
  static constexpr Field field_of(std::size_t granule) {
    const auto low = static_cast<unsigned>(granule % kTagsPerWord) * kTagBits;
    return {low + kTagBits - 1, low};
  }
  static MemoryTag get(const Frame& frame, std::size_t granule) {
    return MemoryTag(
        static_cast<std::uint8_t>(field_of(granule).get(frame[granule / kTagsPerWord])));
  }

  std::unordered_map<Pfn, Frame, Hash> frames_;  // only ever looked up
  MemoryTag rest_{0};
};

}  // namespace kpksim::mmu
