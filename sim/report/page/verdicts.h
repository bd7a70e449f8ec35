#pragma once
// For the chapters of validations: the verdicts of a count, in the order in which they are shown.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "sim/report/page/page.h"

namespace kpksim::report::page {

inline constexpr std::array<const char*, 3> kDrawnVerdicts = {"exact", "within", "off"};
// Of the palette: green, light blue, vermilion.
inline constexpr std::array<int, 3> kSlots = {2, 5, 1};
inline constexpr const char* kNumberOf = "number of counts with this verdict";

// How many counts have which verdict.
using Tally = std::array<std::uint64_t, 3>;

inline std::size_t verdict_of(const Json& count) {
  const auto found =
      std::find(kDrawnVerdicts.begin(), kDrawnVerdicts.end(), count["verdict"].get<std::string>());
  return static_cast<std::size_t>(found - kDrawnVerdicts.begin());
}

}  // namespace kpksim::report::page
