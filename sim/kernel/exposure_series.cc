#include "sim/kernel/exposure_series.h"

#include <algorithm>

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kFirstWidth = 1'000'000;  // millicycles

ByteMillicycles share(ByteMillicycles amount, std::uint64_t part, std::uint64_t whole) {
  // 16 MB for a second of 3 GHz are 5e19: times a part of that time it would not fit.
  return amount / whole * part + amount % whole * part / whole;
}

}  // namespace

ExposureAmounts& ExposureAmounts::operator+=(const ExposureAmounts& o) {
  for (std::size_t i = 0; i < kTableOwners; ++i) {
    at_rest[i] += o.at_rest[i];
    in_windows[i] += o.in_windows[i];
  }
  return *this;
}

void ExposureSeries::begin(std::uint64_t time, std::size_t cores) {
  begin_ = time;
  width_ = kFirstWidth;
  parts_.clear();
  cores_.assign(cores, {});
}

void ExposureSeries::widen() {
  for (std::size_t i = 0; i < parts_.size(); i += 2) {
    ExposureAmounts sum = parts_[i];
    if (i + 1 < parts_.size()) sum += parts_[i + 1];
    parts_[i / 2] = sum;
  }
  parts_.resize((parts_.size() + 1) / 2);
  width_ *= 2;
}

void ExposureSeries::add(unsigned core, std::uint64_t from, std::uint64_t to,
                         const ExposureAmounts& amounts) {
  if (width_ == 0 || to <= begin_ || to <= from) return;
  cores_[core] += amounts;
  from = std::max(from, begin_);
  while ((to - 1 - begin_) / width_ >= kParts) widen();
  const std::size_t last = (to - 1 - begin_) / width_;
  if (parts_.size() <= last) parts_.resize(last + 1);
  for (std::size_t i = (from - begin_) / width_; i <= last; ++i) {
    const std::uint64_t start = std::max(from, begin_ + i * width_);
    const std::uint64_t end = std::min(to, begin_ + (i + 1) * width_);
    for (std::size_t owner = 0; owner < kTableOwners; ++owner) {
      parts_[i].at_rest[owner] += share(amounts.at_rest[owner], end - start, to - from);
      parts_[i].in_windows[owner] += share(amounts.in_windows[owner], end - start, to - from);
    }
  }
}

}  // namespace kpksim::kernel
