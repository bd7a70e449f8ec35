#pragma once
// The slabs of a protected class whose objects come and go: each page gets the key of the moment
// when it becomes a slab, and all are keyed anew when the class gets another.
//
// A slab may be given back from a callback of RCU in the middle of that. Then it is one more page
// that is keyed anew, and goes when this is done, as what a lock holds would wait.

#include <set>
#include <vector>

#include "sim/kernel/object/class_memory.h"
#include "sim/kernel/object/slab_pages.h"

namespace kpksim::kernel {

class ClassSlabs final : public SlabPages, public ClassMemory {
 public:
  // `map`: nullptr, where classes have no keys. `key`: of the class, as it is at any time.
  ClassSlabs(Buddy& buddy, LinearMap* map, const PkeyIndex& key)
      : ordinary_(buddy), map_(map), key_(key) {}

  Pfn take(cpu::Core& core) override;
  void give_back(cpu::Core& core, Pfn pfn) override;

  void set_key(cpu::Core& core, LinearMap& map, const PkeyIndex& key) override;
  std::uint64_t pages() const override { return slabs_.size(); }
  std::uint64_t bytes() const override { return slabs_.size() * kPageSize; }

 private:
  OrdinaryPages ordinary_;
  LinearMap* const map_;
  const PkeyIndex& key_;
  std::set<Pfn> slabs_;
  unsigned keying_ = 0;          // calls of set_key() that are under way
  std::vector<Pfn> given_back_;  // meanwhile
};

}  // namespace kpksim::kernel
