#pragma once
// Sparse simulated physical memory. Only frames that were written hold host memory; everything else
// reads as zero. All words are 64 bits: descriptors are the data that the model is about.

#include <array>
#include <cstdint>
#include <memory>
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

  void write64(PhysAddr pa, std::uint64_t value) { at(frame_of(pa)).words[word_of(pa)] = value; }

  // Fills a frame with zeros by dropping its host memory (what reads as zero costs nothing).
  void zero_frame(Pfn pfn) {
    if (find(pfn) != nullptr) {
      chunks_[pfn.value / kFramesPerChunk]->frames[pfn.value % kFramesPerChunk].reset();
    }
  }

 private:
  static constexpr std::uint64_t kFramesPerChunk = 512;
  struct Frame {
    std::array<std::uint64_t, kPageSize / 8> words{};
  };
  struct Chunk {
    std::array<std::unique_ptr<Frame>, kFramesPerChunk> frames;
  };

  static std::size_t word_of(PhysAddr pa) { return (pa.value & (kPageSize - 1)) / 8; }

  const Frame* find(Pfn pfn) const {
    const std::uint64_t chunk = pfn.value / kFramesPerChunk;
    if (chunk >= chunks_.size() || chunks_[chunk] == nullptr) return nullptr;
    return chunks_[chunk]->frames[pfn.value % kFramesPerChunk].get();
  }

  Frame& at(Pfn pfn) {
    const std::uint64_t chunk = pfn.value / kFramesPerChunk;
    if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
    if (chunks_[chunk] == nullptr) chunks_[chunk] = std::make_unique<Chunk>();
    std::unique_ptr<Frame>& frame = chunks_[chunk]->frames[pfn.value % kFramesPerChunk];
    if (frame == nullptr) frame = std::make_unique<Frame>();
    return *frame;
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace kpksim::mmu
