#pragma once
// Data caches of a core: L1D and L2 of its own, an LLC shared with the other cores, and a stream
// prefetcher. Only lines matter: which level has one decides what an access costs. What the model
// keeps in them are page-table words and the kernel's data for each page (struct page).

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/lazy_array.h"
#include "sim/base/types.h"

namespace kpksim::cpu {

inline constexpr unsigned kLineShift = 6;
inline constexpr std::uint64_t kLineBytes = 1u << kLineShift;  // 64

struct CacheGeometry {
  std::uint32_t sets = 0, ways = 0;

  std::uint64_t lines() const { return std::uint64_t{sets} * ways; }
};

// Room for the tags and orders of all caches of a machine, side by side: so they share huge pages
// of the host, whose TLB would not hold a page of each cache of each core.
class CacheRoom {
 public:
  explicit CacheRoom(std::uint64_t bytes)
      : room_(static_cast<std::size_t>(bytes), Touched::kDense) {
    room_.populate();
  }
  // Zeros. ModelError: there is not so much left.
  template <class T>
  T* take(std::size_t n) {
    return reinterpret_cast<T*>(take_bytes(n * sizeof(T)));
  }

 private:
  std::byte* take_bytes(std::size_t n);

  LazyArray<std::byte> room_;
  std::size_t taken_ = 0;
};

// Set-associative with the least recently used line as victim. A tag is what is left of a line
// without its set, plus 1; 0: empty. 32 bits hold those of any usual machine: the host's own caches
// have to hold the tags of all cores. A line stays in its way; the order in which the ways of a set
// were used is a word of its own, of four bits a way. The first line whose tag is longer, or more
// than 16 ways, makes the cache a plain one, whose sets lie in the order of use.
class Cache {
 public:
  Cache(const CacheGeometry& geometry, CacheRoom& room);
  // What it takes of a CacheRoom.
  static std::uint64_t bytes(const CacheGeometry& geometry);

  // Was `line` there? It is now, as the most recently used one of its set.
  bool access(std::uint64_t line);

 private:
  friend class DataCaches;
  using Tag = std::uint32_t;
  static constexpr std::uint32_t kNoMask = ~0u;
  // An order has the most recently used way in its lowest bits; what is above the last way means
  // nothing.
  static constexpr unsigned kWayBits = 4;
  static constexpr std::uint64_t kWayMask = (1u << kWayBits) - 1;
  static constexpr std::uint32_t kMostWays = 64 / kWayBits;
  static constexpr std::uint64_t kFresh = 0xfedcba9876543210;  // way 0 first

  std::uint64_t set_of(std::uint64_t line) const {
    return mask_ != kNoMask ? line & mask_ : line % geometry_.sets;
  }
  std::uint64_t tag_of(std::uint64_t line) const {
    return (mask_ != kNoMask ? line >> shift_ : line / geometry_.sets) + 1;
  }
  bool use(std::uint64_t line);
  bool use_second(std::uint64_t line);
  std::uint32_t ways_with(Tag tag, const Tag* set) const;
  bool access_plain(std::uint64_t set, std::uint64_t tag);

  CacheGeometry geometry_;
  std::uint32_t mask_;  // of a line: its set; kNoMask if there are not 2^n sets
  unsigned shift_;
  unsigned last_;          // of an order: the place of the least recently used way
  std::uint32_t room_;     // tags of a set, a multiple of those that are compared at once
  std::uint64_t largest_;  // tag; 0: it is a plain one
  std::uint64_t* orders_;  // by set
  Tag* tags_;              // by set and way
  std::optional<LazyArray<std::uint64_t>> plain_;  // each set from most to least recently used
};

// Finds accesses that go on where an earlier one left off, line by line, up or down.
class StreamPrefetcher {
 public:
  // `line` missed the L1D. True: a stream had run ahead to it.
  bool predicts(std::uint64_t line);

 private:
  static constexpr std::size_t kStreams = 16;

  std::array<std::uint64_t, kStreams> last_{};  // line of each
  std::array<std::uint32_t, kStreams> low_{};   // its lower half: most do not go on there
  std::array<bool, kStreams> established_{};    // a second line in a row has been seen
  std::size_t next_ = 0;                        // which stream the next unknown line replaces
};

enum class MemoryLevel : std::uint8_t { kL1, kPrefetched, kL2, kLlc, kDram };

class DataCaches {
 public:
  DataCaches(const CacheGeometry& l1d, const CacheGeometry& l2, Cache& llc, CacheRoom& room);

  MemoryLevel access(PhysAddr pa) { return is_newest(pa) ? MemoryLevel::kL1 : find(pa); }
  // Is its line the most recently used one of its set in the L1D, so that an access changes
  // nothing? False: find() must say.
  bool is_newest(PhysAddr pa) const {
    const std::uint64_t line = pa.value >> kLineShift;
    return newest_[line & newest_mask_] == line;
  }
  MemoryLevel find(PhysAddr pa);
  // Every line of a page, in order.
  void access_page(Pfn page) {
    for (std::uint64_t at = 0; at < kPageSize; at += 1u << kLineShift) {
      access(address_of(page) + at);
    }
  }

 private:
  // The line of the L1D that was used last in each set; of all, if there are not 2^n sets.
  std::vector<std::uint64_t> newest_;
  std::uint64_t newest_mask_;
  Cache l1d_, l2_;
  Cache& llc_;
  StreamPrefetcher prefetcher_;
};

}  // namespace kpksim::cpu
