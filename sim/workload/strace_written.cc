#include "sim/workload/strace_written.h"

#include <algorithm>

#include "sim/base/types.h"

namespace kpksim::workload {
namespace {

constexpr std::size_t kRangesKept = 1024;  // the newest

}  // namespace

void WrittenPages::add(std::uint64_t start, std::uint64_t end) {
  cut(start, end);
  if (!ranges_.empty() && ranges_.back().end == start) {
    ranges_.back().end = end;
  } else {
    ranges_.push_back({start, end});
  }
  pages_ += (end - start) / kPageSize;
  if (ranges_.size() <= kRangesKept) return;
  pages_ -= (ranges_.front().end - ranges_.front().start) / kPageSize;
  ranges_.erase(ranges_.begin());
}

void WrittenPages::cut(std::uint64_t start, std::uint64_t end) {
  for (std::size_t i = 0; i < ranges_.size();) {
    const Range r = ranges_[i];
    const std::uint64_t from = std::max(start, r.start), to = std::min(end, r.end);
    if (from >= to) {
      ++i;
      continue;
    }
    pages_ -= (to - from) / kPageSize;
    ranges_.erase(ranges_.begin() + static_cast<std::ptrdiff_t>(i));
    const auto keep = [&](std::uint64_t a, std::uint64_t b) {
      if (a < b) ranges_.insert(ranges_.begin() + static_cast<std::ptrdiff_t>(i++), {a, b});
    };
    keep(r.start, from);
    keep(to, r.end);
  }
}

std::uint64_t WrittenPages::page(std::uint64_t i) const {
  for (const Range& r : ranges_) {
    const std::uint64_t n = (r.end - r.start) / kPageSize;
    if (i < n) return r.start + i * kPageSize;
    i -= n;
  }
  return 0;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> WrittenPages::within(std::uint64_t start,
                                                                          std::uint64_t end) const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  for (const Range& r : ranges_) {
    const std::uint64_t from = std::max(start, r.start), to = std::min(end, r.end);
    if (from < to) out.emplace_back(from, to);
  }
  return out;
}

}  // namespace kpksim::workload
