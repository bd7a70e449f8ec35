#pragma once
// Data caches of a core: L1D and L2 of its own, an LLC shared with the other cores, and a stream
// prefetcher. Only lines matter: which level has one decides what an access costs. What the model
// keeps in them are page-table words and the kernel's data for each page (struct page).

#include <array>
#include <cstdint>

#include "sim/base/lazy_array.h"
#include "sim/base/types.h"

namespace kpksim::cpu {

inline constexpr unsigned kLineShift = 6;
inline constexpr std::uint64_t kLineBytes = 1u << kLineShift;  // 64

struct CacheGeometry {
  std::uint32_t sets = 0, ways = 0;

  std::uint64_t lines() const { return std::uint64_t{sets} * ways; }
};

// Set-associative with the least recently used line as victim.
class Cache {
 public:
  explicit Cache(const CacheGeometry& geometry)
      : geometry_(geometry),
        set_mask_((geometry.sets & (geometry.sets - 1)) == 0 ? geometry.sets - 1 : 0),
        tags_(static_cast<std::size_t>(geometry.lines()), Touched::kDense) {}

  // Was `line` there? It is now, as the most recently used one of its set.
  bool access(std::uint64_t line) {
    const std::uint64_t index = set_mask_ != 0 ? line & set_mask_ : line % geometry_.sets;
    std::uint64_t* const set = &tags_[static_cast<std::size_t>(index) * geometry_.ways];
    return set[0] == line + 1 || move_to_front(set, line + 1);
  }

 private:
  bool move_to_front(std::uint64_t* set, std::uint64_t tag) const;

  CacheGeometry geometry_;
  std::uint32_t set_mask_;         // sets - 1 if that is a power of two, else 0
  LazyArray<std::uint64_t> tags_;  // line + 1, 0: empty; each set from most to least recently used
};

// Finds accesses that go on where an earlier one left off, line by line, up or down.
class StreamPrefetcher {
 public:
  // `line` missed the L1D. True: a stream had run ahead to it.
  bool predicts(std::uint64_t line);

 private:
  struct Stream {
    std::uint64_t last = 0;
    bool established = false;  // a second line in a row has been seen
  };
  std::array<Stream, 16> streams_{};
  std::size_t next_ = 0;  // which stream the next unknown line replaces
};

enum class MemoryLevel : std::uint8_t { kL1, kPrefetched, kL2, kLlc, kDram };

class DataCaches {
 public:
  DataCaches(const CacheGeometry& l1d, const CacheGeometry& l2, Cache& llc)
      : l1d_(l1d), l2_(l2), llc_(llc) {}

  MemoryLevel access(PhysAddr pa) {
    const std::uint64_t line = pa.value >> kLineShift;
    if (line == last_) return MemoryLevel::kL1;
    last_ = line;
    return l1d_.access(line) ? MemoryLevel::kL1 : miss(line);
  }
  // Every line of a page, in order.
  void access_page(Pfn page) {
    for (std::uint64_t at = 0; at < kPageSize; at += 1u << kLineShift) {
      access(address_of(page) + at);
    }
  }

 private:
  MemoryLevel miss(std::uint64_t line);

  std::uint64_t last_ = ~0ull;
  Cache l1d_, l2_;
  Cache& llc_;
  StreamPrefetcher prefetcher_;
};

}  // namespace kpksim::cpu
