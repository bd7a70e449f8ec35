#pragma once
// Bit fields of registers and descriptors, named as [high:low] in the Arm ARM.

#include <cstdint>

namespace kpksim {

struct Field {
  unsigned high;
  unsigned low;

  constexpr std::uint64_t mask() const {
    return (high == 63 ? ~0ull : (1ull << (high + 1)) - 1) & ~((1ull << low) - 1);
  }
  constexpr std::uint64_t get(std::uint64_t word) const { return (word & mask()) >> low; }
  constexpr std::uint64_t set(std::uint64_t word, std::uint64_t v) const {
    return (word & ~mask()) | ((v << low) & mask());
  }
};

constexpr bool bit(std::uint64_t word, unsigned n) { return ((word >> n) & 1) != 0; }

}  // namespace kpksim
