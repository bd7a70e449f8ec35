#pragma once
// How often each value came: exactly, so that a percentile is a value that there was.

#include <cstdint>
#include <map>

namespace kpksim::watch {

class Distribution {
 public:
  void add(std::uint64_t value, std::uint64_t times = 1);
  Distribution& operator+=(const Distribution& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t sum() const { return sum_; }
  // The smallest value that at least `parts` in `of` of all values do not exceed (nearest rank); 0:
  // of none.
  std::uint64_t quantile(std::uint64_t parts, std::uint64_t of) const;
  std::uint64_t least() const { return values_.empty() ? 0 : values_.begin()->first; }
  std::uint64_t most() const { return values_.empty() ? 0 : values_.rbegin()->first; }

 private:
  std::map<std::uint64_t, std::uint64_t> values_;  // value -> how often
  std::uint64_t count_ = 0, sum_ = 0;
};

}  // namespace kpksim::watch
