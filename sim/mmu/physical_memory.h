#pragma once
// Sparse simulated physical memory. Only frames that were written hold host memory; everything else
// reads as zero. All words are 64 bits: descriptors are the data that the model is about.
//
// The frames of the first 256 GB, where simulated machines have their memory, are found with one
// load; those above (golden vectors use all 48 bits) through a map.

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/base/lazy_array.h"
#include "sim/base/types.h"

namespace kpksim::mmu {

class PhysicalMemory {
 public:
  PhysicalMemory() : low_(kLowFrames) {}

  // Reads the aligned word at `pa`; memory never written reads as 0.
  std::uint64_t read64(PhysAddr pa) const {
    const Frame* frame = find(frame_of(pa));
    return frame != nullptr ? (*frame)[word_of(pa)] : 0;
  }

  void write64(PhysAddr pa, std::uint64_t value) {
    Frame* frame = find(frame_of(pa));
    if (frame == nullptr) [[unlikely]]
      frame = make(frame_of(pa));
    (*frame)[word_of(pa)] = value;
  }

  // Fills a frame with zeros by giving its host memory to the next frame that is written (what
  // reads as zero costs nothing).
  void zero_frame(Pfn pfn) {
    if (find(pfn) != nullptr) drop(pfn);
  }

  // Frames that hold host memory.
  std::size_t resident_frames() const { return slabs_.size() * kFramesPerSlab - spare_.size(); }

 private:
  static constexpr std::size_t kLowFrames = std::size_t{1} << 26;
  static constexpr std::size_t kFramesPerSlab = 64;
  using Frame = std::array<std::uint64_t, kPageSize / 8>;
  struct alignas(kPageSize) Slab {
    std::array<Frame, kFramesPerSlab> frames;
  };

  static std::size_t word_of(PhysAddr pa) { return (pa.value & (kPageSize - 1)) / 8; }

  Frame* find(Pfn pfn) const {
    if (pfn.value < kLowFrames) [[likely]]
      return low_[pfn.value];
    return find_high(pfn);
  }
  Frame* find_high(Pfn pfn) const;
  Frame* make(Pfn pfn);
  void drop(Pfn pfn);

  LazyArray<Frame*> low_;
  std::unordered_map<std::uint64_t, Frame*> high_;
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Frame*> spare_;  // frames of the slabs that hold nothing
};

}  // namespace kpksim::mmu
