#include "sim/cpu/caches.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "sim/base/error.h"

namespace kpksim::cpu {
namespace {

constexpr std::uint32_t kAtOnce = 4;  // tags that one instruction compares

// Bit i: `values[i]` is `wanted`. `kCount` is a multiple of kAtOnce, 16 at most. In x86-64's
// instructions, as compilers make no good code of the loop that says the same.
template <std::uint32_t kCount>
[[gnu::always_inline]] inline std::uint32_t which_are(const std::uint32_t* values,
                                                      std::uint32_t wanted) {
#ifdef __SSE2__
  const __m128i all = _mm_set1_epi32(static_cast<int>(wanted)), none = _mm_setzero_si128();
  const auto four = [&](std::uint32_t i) {
    return i < kCount
               ? _mm_cmpeq_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values + i)), all)
               : none;
  };
  const auto eight = [&](std::uint32_t i) {
    return i < kCount ? _mm_packs_epi32(four(i), four(i + 4)) : none;
  };
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(eight(0), eight(8))));
#else
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < kCount; ++i) found |= (values[i] == wanted ? 1u : 0u) << i;
  return found;
#endif
}

std::uint32_t room_of(const CacheGeometry& geometry) {
  return (geometry.ways + kAtOnce - 1) / kAtOnce * kAtOnce;
}

}  // namespace

std::byte* CacheRoom::take_bytes(std::size_t n) {
  if (n > room_.size() - taken_) throw ModelError("a cache has more lines than there are tags");
  return &room_[std::exchange(taken_, taken_ + n)];
}

Cache::Cache(const CacheGeometry& geometry, CacheRoom& room)
    : geometry_(geometry),
      mask_(std::has_single_bit(geometry.sets) ? geometry.sets - 1 : kNoMask),
      shift_(static_cast<unsigned>(std::countr_zero(geometry.sets))),
      last_((geometry.ways - 1) * kWayBits),
      room_(room_of(geometry)),
      largest_(geometry.ways > kMostWays ? 0 : std::numeric_limits<Tag>::max()),
      orders_(room.take<std::uint64_t>(geometry.sets)),
      tags_(room.take<Tag>(std::size_t{geometry.sets} * room_)) {
  std::fill_n(orders_, geometry.sets, kFresh);
}

std::uint64_t Cache::bytes(const CacheGeometry& geometry) {
  return geometry.sets * (sizeof(std::uint64_t) + room_of(geometry) * sizeof(Tag));
}

// Of a set: bit i is way i.
[[gnu::always_inline]] inline std::uint32_t Cache::ways_with(Tag tag, const Tag* set) const {
  switch (room_) {
    case 4:
      return which_are<4>(set, tag);
    case 8:
      return which_are<8>(set, tag);
    case 12:
      return which_are<12>(set, tag);
    default:
      return which_are<16>(set, tag);
  }
}

// access(), in the one place that is hot: three times in DataCaches::find().
[[gnu::always_inline]] inline bool Cache::use(std::uint64_t line) {
  const std::uint64_t tag = tag_of(line), set = set_of(line);
  if (tag > largest_) [[unlikely]]
    return access_plain(set, tag);
  Tag* const tags = &tags_[set * room_];
  const std::uint32_t found = ways_with(static_cast<Tag>(tag), tags);
  std::uint64_t& order = orders_[set];
  if (found == 0) {
    const std::uint64_t way = order >> last_ & kWayMask;
    tags[way] = static_cast<Tag>(tag);
    order = order << kWayBits | way;
    return false;
  }
  constexpr std::uint64_t kOnes = ~0ull / kWayMask;
  const auto way = static_cast<std::uint64_t>(std::countr_zero(found));
  const std::uint64_t others = order ^ way * kOnes;  // 0 at its place, for the first time
  std::uint64_t top = (others - kOnes) & ~others & kOnes << (kWayBits - 1);
  top &= -top;  // the highest bit of its place
  const std::uint64_t moved = (top << 1) - 1;
  order = (order & ~moved) | ((order << kWayBits | way) & moved);
  return true;
}

bool Cache::access(std::uint64_t line) { return use(line); }

// access() of the line that was used before the most recently used one; false: it is another.
inline bool Cache::use_second(std::uint64_t line) {
  const std::uint64_t tag = tag_of(line), set = set_of(line), order = orders_[set];
  const std::uint64_t way = order >> kWayBits & kWayMask;
  if (tags_[set * room_ + way] != tag || tag > largest_) return false;
  constexpr std::uint64_t kTwo = (1u << 2 * kWayBits) - 1;
  orders_[set] = (order & ~kTwo) | (order & kWayMask) << kWayBits | way;
  return true;
}

bool Cache::access_plain(std::uint64_t set, std::uint64_t tag) {
  const std::size_t ways = geometry_.ways;
  if (!plain_) {
    largest_ = 0;
    plain_.emplace(static_cast<std::size_t>(geometry_.lines()), Touched::kDense);
    for (std::size_t s = 0; ways <= kMostWays && s < geometry_.sets; ++s) {
      const std::uint64_t order = orders_[s];
      for (std::size_t i = 0; i < ways; ++i) {
        const Tag moving = tags_[s * room_ + (order >> i * kWayBits & kWayMask)];
        if (moving != 0) (*plain_)[s * ways + i] = moving;
      }
    }
  }
  // The more recent ones move one place back.
  std::uint64_t* const first = &(*plain_)[static_cast<std::size_t>(set) * ways];
  std::uint64_t moving = tag;
  for (std::size_t way = 0; way < ways; ++way) {
    moving = std::exchange(first[way], moving);
    if (moving == tag) return true;
  }
  return false;
}

bool StreamPrefetcher::predicts(std::uint64_t line) {
  const auto low = static_cast<std::uint32_t>(line);
  std::uint32_t near =
      which_are<kStreams>(low_.data(), low - 1) | which_are<kStreams>(low_.data(), low + 1);
  for (; near != 0; near &= near - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(near));
    if (line != last_[i] + 1 && line + 1 != last_[i]) continue;
    last_[i] = line;
    low_[i] = low;
    return std::exchange(established_[i], true);
  }
  last_[next_] = line;
  low_[next_] = low;
  established_[next_] = false;
  next_ = (next_ + 1) % kStreams;
  return false;
}

DataCaches::DataCaches(const CacheGeometry& l1d, const CacheGeometry& l2, Cache& llc,
                       CacheRoom& room)
    : newest_(std::has_single_bit(l1d.sets) ? l1d.sets : 1, ~0ull),
      newest_mask_(newest_.size() - 1),
      l1d_(l1d, room),
      l2_(l2, room),
      llc_(llc) {}

MemoryLevel DataCaches::find(PhysAddr pa) {
  const std::uint64_t line = pa.value >> kLineShift;
  newest_[line & newest_mask_] = line;
  // Tables have their entries for an address in the same few sets.
  if (l1d_.use_second(line) || l1d_.use(line)) return MemoryLevel::kL1;
  const bool prefetched = prefetcher_.predicts(line);
  const bool in_l2 = l2_.use(line);
  const bool in_llc = in_l2 || llc_.use(line);
  if (prefetched) return MemoryLevel::kPrefetched;
  return in_l2 ? MemoryLevel::kL2 : in_llc ? MemoryLevel::kLlc : MemoryLevel::kDram;
}

}  // namespace kpksim::cpu
