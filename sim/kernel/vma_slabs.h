#pragma once
// The slabs (mm/slub.c) that VMAs live in, with their anon_vma and the chains between the two, as
// far as they execute what is counted: a new slab reads the clock for its random order, and one of
// anon_vma (SLAB_TYPESAFE_BY_RCU) that is empty goes back through RCU. Numbers from
// tools/kernel-truth --where, new slabs a fork (new_slab()) and given back (rcu_free_slab()):
// vmas_4000_fork_x5 409 to 424 and 92, vmas_fork_x10 (1,000 VMAs) 64 to 75 and 14 to 15,
// vmas_of_4_fork_x5 (200 VMAs) none to 3.

#include <algorithm>
#include <cstdint>
#include <utility>

namespace kpksim::kernel {

class VmaSlabs {
 public:
  // VMAs of a forked child come; returns how many slabs are new.
  std::uint64_t take(std::uint64_t vmas) {
    used_ += vmas;
    const std::uint64_t before = std::exchange(room_, std::max(room_, used_));
    return slabs(room_) - slabs(before);
  }
  // They go; returns how many slabs RCU is given.
  std::uint64_t give(std::uint64_t vmas) {
    used_ -= std::min(used_, vmas);
    const std::uint64_t before = std::exchange(room_, std::min(room_, used_ + kKept));
    return before / kAnonVmas - room_ / kAnonVmas;
  }

 private:
  static constexpr std::uint64_t kAnonVmas = 39;  // of 104 bytes, in a slab of a page
  static constexpr std::uint64_t kSlabs = 117;    // that 1,000 VMAs need, of all kinds
  static constexpr std::uint64_t kKept = 420;     // VMAs that the slabs kept empty have room for
  static std::uint64_t slabs(std::uint64_t vmas) { return vmas * kSlabs / 1000; }

  std::uint64_t used_ = 0, room_ = kKept;
};

}  // namespace kpksim::kernel
