#pragma once
// do_shrink_slab() (mm/shrinker.c) at the highest priority, for a shrinker with seeks of 0: half of
// what can be freed is scanned, in batches. What is too little for a batch is put off to the next
// call.

#include <algorithm>
#include <cstdint>

namespace kpksim::kernel {

class Shrinker {
 public:
  // `freeable`: count_objects(). `scan(count)`: scan_objects(), which frees up to about `count`
  // pages and returns how many; 0: SHRINK_STOP. Returns how many pages went back.
  template <class Scan>
  std::uint64_t shrink(std::uint64_t freeable, const Scan& scan) {
    constexpr std::uint64_t kBatch = 512;  // BLOCK_NR_PAGES
    if (freeable == 0) return 0;
    const std::uint64_t wanted = put_off_ + freeable / 2;
    std::uint64_t left = std::min(wanted, 2 * freeable);
    std::uint64_t freed = 0;
    while (left >= kBatch || left >= freeable) {
      const std::uint64_t now = scan(std::min(kBatch, left));
      if (now == 0) break;
      freed += now;
      left -= std::min(left, now);
    }
    put_off_ = std::min(wanted - std::min(wanted, freed), 2 * freeable);
    return freed;
  }

 private:
  std::uint64_t put_off_ = 0;  // nr_deferred
};

}  // namespace kpksim::kernel
