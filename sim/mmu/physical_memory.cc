#include "sim/mmu/physical_memory.h"

namespace kpksim::mmu {

PhysicalMemory::Frame* PhysicalMemory::find_high(Pfn pfn) const {
  const auto it = high_.find(pfn.value);
  return it == high_.end() ? nullptr : it->second;
}

PhysicalMemory::Frame* PhysicalMemory::make(Pfn pfn) {
  if (spare_.empty()) {
    // Not initialised: each frame is zeroed when it is given out, and untouched ones cost nothing.
    slabs_.emplace_back(new Slab);
    for (std::size_t i = kFramesPerSlab; i-- > 0;) spare_.push_back(&slabs_.back()->frames[i]);
  }
  Frame* const frame = spare_.back();
  spare_.pop_back();
  frame->fill(0);
  (pfn.value < kLowFrames ? low_[pfn.value] : high_[pfn.value]) = frame;
  return frame;
}

void PhysicalMemory::drop(Pfn pfn) {
  spare_.push_back(find(pfn));
  if (pfn.value < kLowFrames) {
    low_[pfn.value] = nullptr;
  } else {
    high_.erase(pfn.value);
  }
}

}  // namespace kpksim::mmu
