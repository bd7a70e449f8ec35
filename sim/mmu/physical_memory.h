#pragma once
// Sparse simulated physical memory. Only frames that were written hold host memory; everything else
// reads as zero. All words are 64 bits: descriptors are the data that the model is about.
//
// Frames hang below chunks of 2 MB. The chunks of the first 256 GB lie in an array, where the
// simulated machines have their memory; those above (golden vectors use all 48 bits) in a map.

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/base/types.h"

namespace kpksim::mmu {

class PhysicalMemory {
 public:
  // Reads the aligned word at `pa`; memory never written reads as 0.
  std::uint64_t read64(PhysAddr pa) const {
    const Frame* frame = find(frame_of(pa));
    return frame != nullptr ? frame->words[word_of(pa)] : 0;
  }

  void write64(PhysAddr pa, std::uint64_t value) {
    Frame* frame = find(frame_of(pa));
    if (frame == nullptr) [[unlikely]]
      frame = &make(frame_of(pa));
    frame->words[word_of(pa)] = value;
  }

  // Fills a frame with zeros by dropping its host memory (what reads as zero costs nothing).
  void zero_frame(Pfn pfn) {
    if (find(pfn) != nullptr) chunk_of(pfn)->frames[pfn.value % kFramesPerChunk].reset();
  }

 private:
  static constexpr std::uint64_t kFramesPerChunk = 512;
  static constexpr std::uint64_t kLowChunks = 1ull << 17;
  struct Frame {
    std::array<std::uint64_t, kPageSize / 8> words{};
  };
  struct Chunk {
    std::array<std::unique_ptr<Frame>, kFramesPerChunk> frames;
  };

  static std::size_t word_of(PhysAddr pa) { return (pa.value & (kPageSize - 1)) / 8; }

  Chunk* chunk_of(Pfn pfn) const {
    const std::uint64_t chunk = pfn.value / kFramesPerChunk;
    if (chunk < low_.size()) [[likely]]
      return low_[chunk].get();
    return chunk < kLowChunks ? nullptr : high_chunk(chunk);
  }
  Frame* find(Pfn pfn) const {
    const Chunk* chunk = chunk_of(pfn);
    return chunk == nullptr ? nullptr : chunk->frames[pfn.value % kFramesPerChunk].get();
  }
  Chunk* high_chunk(std::uint64_t chunk) const;
  Frame& make(Pfn pfn);

  std::vector<std::unique_ptr<Chunk>> low_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Chunk>> high_;
};

}  // namespace kpksim::mmu
