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
  if (spare_.empty()) {
    // Not initialised: each frame is zeroed when it is given out, and untouched ones cost nothing.
    slabs_.emplace_back(new Slab);
    for (std::size_t i = kFramesPerSlab; i-- > 0;) spare_.push_back(&slabs_.back()->frames[i]);
  }
  Frame* const frame = spare_.back();
  spare_.pop_back();
  if (has_first_contents(pfn)) {
    for (std::size_t i = 0; i < frame->size(); ++i) {
      (*frame)[i] = contents_->word(pfn - contents_first_, i);
    }
  } else {
    frame->fill(0);
  }
  (pfn.value < kLowFrames ? low_[pfn.value] : high_[pfn.value]) = frame;
  return frame;
}

}  // namespace kpksim::mmu
