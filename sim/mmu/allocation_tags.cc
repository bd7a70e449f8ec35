#include "sim/mmu/allocation_tags.h"

#include "sim/base/error.h"

namespace kpksim::mmu {

void AllocationTags::store(PhysAddr pa, std::uint64_t bytes, MemoryTag tag) {
  const std::size_t first = granule_of(pa), end = first + bytes / kTagGranule;
  if (end > kPageSize / kTagGranule) throw ModelError("a tag store crosses frames");
  const auto [it, is_new] = frames_.try_emplace(frame_of(pa));
  auto& frame = it->second;
  const auto set = [&](std::size_t granule, MemoryTag to) {
    std::uint64_t& word = frame[granule / kTagsPerWord];
    word = field_of(granule).set(word, to.value);
  };
  if (is_new) {
    for (std::size_t g = 0; g < kPageSize / kTagGranule; ++g) set(g, rest_);
  }
  for (std::size_t g = first; g < end; ++g) set(g, tag);
}

}  // namespace kpksim::mmu
