#include "sim/watch/distribution.h"

#include <algorithm>

namespace kpksim::watch {

void Distribution::add(std::uint64_t value, std::uint64_t times) {
  values_[value] += times;
  count_ += times;
  sum_ += value * times;
}

Distribution& Distribution::operator+=(const Distribution& other) {
  for (const auto& [value, times] : other.values_) add(value, times);
  return *this;
}

std::uint64_t Distribution::quantile(std::uint64_t parts, std::uint64_t of) const {
  __extension__ using Wide = unsigned __int128;
  const Wide wanted = (static_cast<Wide>(count_) * parts + of - 1) / of;
  std::uint64_t seen = 0;
  for (const auto& [value, times] : values_) {
    seen += times;
    if (seen >= std::max<Wide>(wanted, 1)) return value;
  }
  return 0;
}

}  // namespace kpksim::watch
