#pragma once
// The limit that the model is measured against: two levels of set-associative tags with true least
// recently used replacement and nothing else - no permissions, no page sizes, no ASIDs, no data.
// The geometry is known to the compiler, which the model's, read from a profile, is not.

#include <array>
#include <cstdint>

namespace kpksim::bench {

template <std::size_t kSets, std::size_t kWays>
class BareTlb {
 public:
  bool hit(std::uint64_t page) {
    const std::size_t first = page % kSets * kWays;
    for (std::size_t i = first; i < first + kWays; ++i) {
      if (tags_[i] == page) {
        used_[i] = ++time_;
        return true;
      }
    }
    return false;
  }
  void fill(std::uint64_t page) {
    const std::size_t first = page % kSets * kWays;
    std::size_t victim = first;
    for (std::size_t i = first + 1; i < first + kWays; ++i) {
      if (used_[i] < used_[victim]) victim = i;
    }
    tags_[victim] = page;
    used_[victim] = ++time_;
  }

 private:
  std::array<std::uint64_t, kSets * kWays> tags_{}, used_{};
  std::uint64_t time_ = 0;
};

template <class L1, class L2>
class BareMmu {
 public:
  // 0: L1, 1: L2, 2: neither; filled like the model's.
  unsigned look_up(std::uint64_t va) {
    const std::uint64_t page = va >> 12;
    if (l1_.hit(page)) return 0;
    const bool second = l2_.hit(page);
    if (!second) l2_.fill(page);
    l1_.fill(page);
    return second ? 1 : 2;
  }

 private:
  L1 l1_;
  L2 l2_;
};

using SmallSets = BareMmu<BareTlb<16, 4>, BareTlb<256, 5>>;
using NeoverseV1 = BareMmu<BareTlb<1, 40>, BareTlb<512, 4>>;

}  // namespace kpksim::bench
