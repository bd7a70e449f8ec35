#include "sim/mmu/physical_memory.h"

namespace kpksim::mmu {

PhysicalMemory::Chunk* PhysicalMemory::high_chunk(std::uint64_t chunk) const {
  const auto it = high_.find(chunk);
  return it == high_.end() ? nullptr : it->second.get();
}

PhysicalMemory::Frame& PhysicalMemory::make(Pfn pfn) {
  const std::uint64_t number = pfn.value / kFramesPerChunk;
  if (number < kLowChunks && number >= low_.size()) low_.resize(number + 1);
  std::unique_ptr<Chunk>& chunk = number < kLowChunks ? low_[number] : high_[number];
  if (chunk == nullptr) chunk = std::make_unique<Chunk>();
  std::unique_ptr<Frame>& frame = chunk->frames[pfn.value % kFramesPerChunk];
  if (frame == nullptr) frame = std::make_unique<Frame>();
  return *frame;
}

}  // namespace kpksim::mmu
