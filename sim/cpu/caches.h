#pragma once
// Data caches of a core: L1D and L2 of its own, an LLC shared with the other cores, and a stream
// prefetcher. Only lines matter: which level has one decides what an access costs. What the model
// keeps in them are page-table words and the kernel's data for each page (struct page).

#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>

#include "sim/base/lazy_array.h"
#include "sim/base/types.h"

namespace kpksim::cpu {

inline constexpr unsigned kLineShift = 6;
inline constexpr std::uint64_t kLineBytes = 1u << kLineShift;  // 64

struct CacheGeometry {
  std::uint32_t sets = 0, ways = 0;

  std::uint64_t lines() const { return std::uint64_t{sets} * ways; }
};

// Room for the tags of all caches of a machine, side by side: so they share huge pages of the host,
// whose TLB would not hold a page of each cache of each core.
class CacheTags {
 public:
  using Tag = std::uint32_t;

  explicit CacheTags(std::uint64_t lines)
      : tags_(static_cast<std::size_t>(lines), Touched::kDense) {
    tags_.populate();
  }
  // ModelError: there is not so much left.
  Tag* take(std::uint64_t lines);

 private:
  LazyArray<Tag> tags_;
  std::size_t taken_ = 0;
};

// Set-associative with the least recently used line as victim. A tag is what is left of a line
// without its set, plus 1; 0: empty. 32 bits hold those of any usual machine: the host's own caches
// have to hold the tags of all cores. The first line that is beyond them makes all tags wide.
class Cache {
 public:
  Cache(const CacheGeometry& geometry, CacheTags& room)
      : geometry_(geometry),
        mask_(std::has_single_bit(geometry.sets) ? geometry.sets - 1 : kNoMask),
        shift_(static_cast<unsigned>(std::countr_zero(geometry.sets))),
        tags_(room.take(geometry.lines())) {}

  // Was `line` there? It is now, as the most recently used one of its set.
  bool access(std::uint64_t line) {
    const bool power = mask_ != kNoMask;
    const std::uint64_t tag = (power ? line >> shift_ : line / geometry_.sets) + 1;
    const std::size_t first = (power ? line & mask_ : line % geometry_.sets) * geometry_.ways;
    if (tag > largest_) [[unlikely]]
      return access_wide(first, tag);
    Tag* const set = &tags_[first];
    return set[0] == tag || move_to_front(set, static_cast<Tag>(tag));
  }

 private:
  using Tag = CacheTags::Tag;
  static constexpr std::uint32_t kNoMask = ~0u;

  template <class T>
  bool move_to_front(T* set, T tag) const;
  bool access_wide(std::size_t first, std::uint64_t tag);

  CacheGeometry geometry_;
  std::uint32_t mask_;  // of a line: its set; kNoMask if there are not 2^n sets
  unsigned shift_;
  std::uint64_t largest_ = std::numeric_limits<Tag>::max();  // tag; 0: they are wide
  Tag* tags_;                                     // each set from most to least recently used
  std::optional<LazyArray<std::uint64_t>> wide_;  // instead of tags_
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
  DataCaches(const CacheGeometry& l1d, const CacheGeometry& l2, Cache& llc, CacheTags& room)
      : l1d_(l1d, room), l2_(l2, room), llc_(llc) {}

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
