#include "sim/kernel/object/class_slabs.h"

#include <utility>

#include "sim/kernel/cause.h"

namespace kpksim::kernel {

// It is a slab when it has its key: until then nobody keys it anew.
Pfn ClassSlabs::take(cpu::Core& core) {
  const Pfn pfn = ordinary_.take(core);
  if (map_ != nullptr) {
    const Because keying(core, Cause::kKeying);
    key_run(core, *map_, pfn, 1, key_);
  }
  slabs_.insert(pfn);
  return pfn;
}

void ClassSlabs::give_back(cpu::Core& core, Pfn pfn) {
  if (keying_ != 0) return given_back_.push_back(pfn);
  slabs_.erase(pfn);
  if (map_ != nullptr) {
    const Because keying(core, Cause::kKeying);
    map_->set_memory_pkey(core, pfn, 1, kPkeyDefault);
  }
  ordinary_.give_back(core, pfn);
}

// A call for each slab, as when they were made.
void ClassSlabs::set_key(cpu::Core& core, LinearMap& map, const PkeyIndex& key) {
  const Because keying(core, Cause::kKeying);
  ++keying_;
  for (const Pfn slab : slabs_) key_run(core, map, slab, 1, key);
  if (--keying_ != 0) return;
  for (const Pfn slab : std::exchange(given_back_, {})) give_back(core, slab);
}

}  // namespace kpksim::kernel
