#include "sim/kernel/object/slabs.h"

#include "sim/base/error.h"

namespace kpksim::kernel {

// Keying takes time, in which an interrupt may free objects: the slab is known when it is done.
void Slabs::make_slab(cpu::Core& core) {
  const Pfn pfn = pages_.take(core);
  ObjectKey::Section section(key_, core);
  const std::uint64_t objects = kPageSize / bytes_;
  PhysAddr next(0);
  for (std::uint64_t i = objects; i-- > 0;) {
    const PhysAddr object = address_of(pfn) + i * bytes_;
    section.store(object + free_pointer_, next.value);
    next = object;
  }
  slabs_[pfn] = {next, 0};
  partial_.push_back(pfn);
  ++made_;
}

PhysAddr Slabs::allocate(cpu::Core& core) {
  while (partial_.empty()) make_slab(core);
  Slab& slab = slabs_.at(partial_.front());
  const PhysAddr object = slab.first_free;
  slab.first_free = PhysAddr(ObjectKey::load(core, object + free_pointer_));
  ++slab.used;
  ++live_;
  if (slab.first_free.value == 0) partial_.pop_front();
  return object;
}

void Slabs::free(cpu::Core& core, PhysAddr object) {
  {
    ObjectKey::Section section(key_, core);
    const auto it = slabs_.find(frame_of(object));
    if (it == slabs_.end()) throw ModelError("an object is freed that is in no slab");
    Slab& slab = it->second;
    if (slab.first_free.value == 0) partial_.push_back(it->first);
    section.store(object + free_pointer_, slab.first_free.value);
    slab.first_free = object;
    --live_;
    if (--slab.used != 0 || partial_.size() <= kMinPartial) return;
    partial_.remove(it->first);
    slabs_.erase(it);
    ++gone_;
  }
  pages_.give_back(core, frame_of(object));
}

}  // namespace kpksim::kernel
