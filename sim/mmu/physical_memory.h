#pragma once
// Sparse simulated physical memory. Only frames that were written hold host memory; everything else
// reads as zero. All words are 64 bits: descriptors are the data that the model is about.
//
// What boot leaves in memory need not be written word by word: frames can be given their first
// contents as a function, which a read before their first write asks. A write stores all of the
// frame's words, and from then on they are as any other: no reader can tell the two apart.
//
// The frames of the first 256 GB, where simulated machines have their memory, are found with one
// load; those above (golden vectors use all 48 bits) through a map.

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/base/lazy_array.h"
#include "sim/base/types.h"
#include "sim/mmu/allocation_tags.h"

namespace kpksim::mmu {

// The words of a range of frames as they are before they are written.
class FirstContents {
 public:
  virtual ~FirstContents() = default;
  virtual std::uint64_t word(std::uint64_t frame, std::size_t word) const = 0;
};

class PhysicalMemory {
 public:
  PhysicalMemory() : low_(kLowFrames) {}

  // Frames [first, first + count), not written yet, hold `contents`. Once in a machine's life.
  void set_first_contents(Pfn first, std::uint64_t count,
                          std::unique_ptr<const FirstContents> contents);

  // Reads the aligned word at `pa`; memory never written reads as 0, or as its first contents.
  std::uint64_t read64(PhysAddr pa) const {
    const Frame* frame = find(frame_of(pa));
    if (frame != nullptr) [[likely]]
      return (*frame)[word_of(pa)];
    return has_first_contents(frame_of(pa)) ? first_word(pa) : 0;
  }

  // The word at `pa`, if that takes one look; else null, which is for read64() and write64().
  std::uint64_t* written64(PhysAddr pa) {
    if (frame_of(pa).value >= kLowFrames) return nullptr;
    Frame* const frame = low_[frame_of(pa).value];
    return frame == nullptr ? nullptr : &(*frame)[word_of(pa)];
  }

  void write64(PhysAddr pa, std::uint64_t value) {
    Frame* frame = find(frame_of(pa));
    if (frame == nullptr) [[unlikely]]
      frame = make(frame_of(pa));
    (*frame)[word_of(pa)] = value;
  }

  // Zeroes the 64 bytes around `pa`. What reads as zero already needs no host memory for that.
  void zero_line(PhysAddr pa) {
    constexpr std::size_t kWords = 8;
    Frame* frame = find(frame_of(pa));
    if (frame == nullptr) {
      if (!has_first_contents(frame_of(pa))) return;
      frame = make(frame_of(pa));
    }
    const auto line = frame->begin() + static_cast<std::ptrdiff_t>(word_of(pa) & ~(kWords - 1));
    std::fill(line, line + kWords, 0);
  }

  AllocationTags& tags() { return tags_; }
  const AllocationTags& tags() const { return tags_; }

  // Frames that hold host memory.
  std::size_t resident_frames() const { return resident_; }

 private:
  static constexpr std::size_t kLowFrames = std::size_t{1} << 26;
  using Frame = std::array<std::uint64_t, kPageSize / 8>;
  // Host memory for frames, of zeros and not touched yet: 4 MB, huge pages but for the front of the
  // first one.
  static constexpr std::size_t kFramesPerSlab = 1024;

  static std::size_t word_of(PhysAddr pa) { return (pa.value & (kPageSize - 1)) / 8; }

  Frame* find(Pfn pfn) const {
    if (pfn.value < kLowFrames) [[likely]]
      return low_[pfn.value];
    return find_high(pfn);
  }
  Frame* find_high(Pfn pfn) const;
  bool has_first_contents(Pfn pfn) const {
    return pfn.value - contents_first_.value < contents_count_;
  }
  std::uint64_t first_word(PhysAddr pa) const;
  Frame* make(Pfn pfn);

  LazyArray<Frame*> low_;
  std::unordered_map<std::uint64_t, Frame*> high_;
  std::vector<LazyArray<Frame>> slabs_;
  std::size_t resident_ = 0;  // frames of the slabs that are given out, from the first on
  Pfn contents_first_;
  std::uint64_t contents_count_ = 0;
  std::unique_ptr<const FirstContents> contents_;
  AllocationTags tags_;
};

}  // namespace kpksim::mmu
