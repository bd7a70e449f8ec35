#include "sim/mmu/physical_memory.h"

#include <utility>

#include "sim/base/error.h"

namespace kpksim::mmu {

void PhysicalMemory::set_first_contents(Pfn first, std::uint64_t count,
                                        std::unique_ptr<const FirstContents> contents) {
  if (contents_ != nullptr) throw ModelError("memory has first contents already");
  contents_first_ = first;
  contents_count_ = count;
  contents_ = std::move(contents);
}

std::uint64_t PhysicalMemory::first_word(PhysAddr pa) const {
  return contents_->word(frame_of(pa) - contents_first_, word_of(pa));
}

PhysicalMemory::Frame* PhysicalMemory::find_high(Pfn pfn) const {
  const auto it = high_.find(pfn.value);
  return it == high_.end() ? nullptr : it->second;
}

PhysicalMemory::Frame* PhysicalMemory::make(Pfn pfn) {
  const std::size_t in_slab = resident_ % kFramesPerSlab;
  if (in_slab == 0) {
    slabs_.emplace_back(kFramesPerSlab, slabs_.empty() ? Touched::kUpward : Touched::kDense);
  }
  ++resident_;
  Frame* const frame = &slabs_.back()[in_slab];  // of zeros
  if (has_first_contents(pfn)) {
    for (std::size_t i = 0; i < frame->size(); ++i) {
      (*frame)[i] = contents_->word(pfn - contents_first_, i);
    }
  }
  (pfn.value < kLowFrames ? low_[pfn.value] : high_[pfn.value]) = frame;
  return frame;
}

}  // namespace kpksim::mmu
