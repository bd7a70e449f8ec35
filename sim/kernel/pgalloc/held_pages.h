#pragma once
// How many pages an allocator holds that have a key and no use: the most, and the sum over time,
// from which a reader has the mean. Time is that of all cores, in cycles: one of them runs at a
// time.

#include <algorithm>
#include <cstdint>

#include "sim/cpu/core.h"

namespace kpksim::kernel {

class HeldPages {
 public:
  explicit HeldPages(cpu::Machine& machine) : machine_(machine), since_(now()) {}

  // It has held `pages` up to now: before each change.
  void settle(std::uint64_t pages) {
    most_ = std::max(most_, pages);
    sum_ = page_cycles(pages);
    since_ = now();
  }
  // It holds `pages` now.
  std::uint64_t most(std::uint64_t pages) const { return std::max(most_, pages); }
  std::uint64_t page_cycles(std::uint64_t pages) const { return sum_ + pages * (now() - since_); }

 private:
  std::uint64_t now() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < machine_.core_count(); ++i) sum += machine_.core(i).clock().value;
    return sum;
  }

  cpu::Machine& machine_;
  std::uint64_t since_, most_ = 0, sum_ = 0;
};

}  // namespace kpksim::kernel
