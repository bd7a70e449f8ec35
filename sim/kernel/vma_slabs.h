#pragma once
// The slabs (mm/slub.c) that VMAs live in, with their anon_vma and the chains between the two, as
// far as they execute what is counted: a new slab reads the clock for its random order, and one of
// anon_vma (SLAB_TYPESAFE_BY_RCU) that is empty goes back through RCU. Numbers from
// tools/kernel-truth --where: vmas_fork_x10 (1,000 VMAs: 64 to 75 new slabs a fork, 14 to 15 given
// back) and vmas_of_4_fork_x5 (200 VMAs: none to 3).

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
    return slabs(room_, kSlabs) - slabs(before, kSlabs);
  }
  // They go; returns how many slabs RCU is given.
  std::uint64_t give(std::uint64_t vmas) {
    used_ -= std::min(used_, vmas);
    const std::uint64_t before = std::exchange(room_, std::min(room_, used_ + kKept));
    return slabs(before, kAnonSlabs) - slabs(room_, kAnonSlabs);
  }

 private:
  static constexpr std::uint64_t kSlabs = 88, kAnonSlabs = 18;  // of 1,000 VMAs
  static constexpr std::uint64_t kKept = 195;  // VMAs that the slabs kept empty have room for
  static std::uint64_t slabs(std::uint64_t vmas, std::uint64_t of_1000) {
    return vmas * of_1000 / 1000;
  }

  std::uint64_t used_ = 0, room_ = kKept;
};

}  // namespace kpksim::kernel
