#pragma once
// Who watches what an MMU caches (sim/check). An MMU without one tests a pointer on its slow paths,
// and does nothing else for it.

#include "sim/mmu/walker.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

class Observer {
 public:
  virtual ~Observer() = default;
  // A walk for `va` has cached the leaf, or the table, whose descriptor lies at `entry`.
  virtual void leaf_cached(PhysAddr entry, VirtAddr va, Asid asid, const Leaf& leaf) = 0;
  virtual void table_cached(PhysAddr entry, VirtAddr va, Asid asid, const WalkState& next) = 0;
  // Hardware is about to set the access flag or the dirty state in the descriptor at `entry`.
  virtual void updating(PhysAddr entry, std::uint64_t now) = 0;
  // An access has hit this leaf in a TLB, and its rights needed thought, as those of a watched
  // entry do (Mmu::watch()).
  virtual void judged(VirtAddr va, const Leaf& leaf, const poe::Access& access) = 0;
};

}  // namespace kpksim::mmu
