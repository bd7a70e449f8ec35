#pragma once
// Strong types for the quantities that must never be swapped: addresses, frames, keys, cycles.

#include <compare>
#include <cstddef>
#include <cstdint>

namespace kpksim {

// A number of one kind. Arithmetic is limited to what has a meaning: adding an offset, and the
// distance between two values.
template <class Tag, class Rep = std::uint64_t>
struct Strong {
  Rep value{};

  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr Strong operator+(Rep offset) const { return Strong(static_cast<Rep>(value + offset)); }
  constexpr Strong operator-(Rep offset) const { return Strong(static_cast<Rep>(value - offset)); }
  constexpr Rep operator-(Strong other) const { return static_cast<Rep>(value - other.value); }
  constexpr Strong& operator+=(Rep offset) { return *this = *this + offset; }
};

using VirtAddr = Strong<struct VirtAddrTag>;             // 64-bit virtual address
using PhysAddr = Strong<struct PhysAddrTag>;             // 48-bit physical address
using Pfn = Strong<struct PfnTag>;                       // physical frame number, 4 KB frames
using Asid = Strong<struct AsidTag, std::uint16_t>;      // address space identifier
using PkeyIndex = Strong<struct PkeyTag, std::uint8_t>;  // overlay index of a descriptor
using Cycles = Strong<struct CyclesTag>;                 // clock cycles of one core

inline constexpr unsigned kPageShift = 12;
inline constexpr std::uint64_t kPageSize = 1ull << kPageShift;
inline constexpr unsigned kPmdShift = 21;
inline constexpr std::uint64_t kPmdSize = 1ull << kPmdShift;
inline constexpr unsigned kPudShift = 30;
inline constexpr std::uint64_t kPudSize = 1ull << kPudShift;
inline constexpr unsigned kPgdShift = 39;
inline constexpr std::uint64_t kPgdSize = 1ull << kPgdShift;
inline constexpr unsigned kEntriesPerTable = 512;
inline constexpr unsigned kContiguousEntries = 16;  // of the contiguous bit, 4 KB granule

constexpr PhysAddr address_of(Pfn pfn) { return PhysAddr(pfn.value << kPageShift); }
constexpr Pfn frame_of(PhysAddr pa) { return Pfn(pa.value >> kPageShift); }

constexpr std::uint64_t align_down(std::uint64_t v, std::uint64_t a) { return v & ~(a - 1); }
constexpr std::uint64_t align_up(std::uint64_t v, std::uint64_t a) {
  return align_down(v + a - 1, a);
}
constexpr bool is_aligned(std::uint64_t v, std::uint64_t a) { return (v & (a - 1)) == 0; }

}  // namespace kpksim
