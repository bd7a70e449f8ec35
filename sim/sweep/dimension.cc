#include "sim/sweep/dimension.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/sweep/sampling.h"

namespace kpksim::sweep {
namespace {

class Zipped : public Dimension {
 public:
  explicit Zipped(std::vector<List> lists) : lists_(std::move(lists)) {}

  Point size() const override { return lists_[0].values.size(); }
  void assign(Point index, std::vector<Assignment>& out) const override {
    for (const List& list : lists_) out.push_back({list.key, list.values[index]});
  }
  std::vector<std::string> listed(std::string_view key) const override {
    for (const List& list : lists_) {
      if (list.key == key) return list.values;
    }
    return {};
  }

 private:
  std::vector<List> lists_;
};

class Sampled : public Dimension {
 public:
  Sampled(std::vector<Drawn> drawn, Point points, std::uint64_t seed, bool stratified)
      : drawn_(std::move(drawn)), points_(points), seed_(seed), stratified_(stratified) {}

  Point size() const override { return points_; }
  void assign(Point index, std::vector<Assignment>& out) const override {
    for (std::size_t i = 0; i < drawn_.size(); ++i) {
      double part = random_part(seed_, i, index);
      if (stratified_) {
        const Point stratum = permuted(index, points_, seed_, i);
        part = (static_cast<double>(stratum) + part) / static_cast<double>(points_);
      }
      out.push_back({drawn_[i].list.key, drawn_[i].at(part)});
    }
  }
  std::vector<std::string> listed(std::string_view key) const override {
    for (const Drawn& drawn : drawn_) {
      if (drawn.list.key == key) return drawn.list.values;
    }
    return {};
  }

 private:
  std::vector<Drawn> drawn_;
  Point points_;
  std::uint64_t seed_;
  bool stratified_;
};

}  // namespace

std::string Drawn::at(double part) const {
  if (const std::size_t n = list.values.size(); n != 0) {
    return list.values[std::min(n - 1, static_cast<std::size_t>(part * static_cast<double>(n)))];
  }
  // Each whole number of the range as often as the others: the two at its ends too.
  const double end = whole ? to + 1 : to;
  double value =
      logarithmic ? from * std::exp2(part * std::log2(end / from)) : from + part * (end - from);
  if (whole) return fmt::format("{:.0f}", std::clamp(std::floor(value), from, to));
  // Six digits: exp2() differs between libraries in the last of sixteen.
  return fmt::format("{:.6g}", value);
}

std::shared_ptr<const Dimension> zipped(std::vector<List> lists) {
  return std::make_shared<Zipped>(std::move(lists));
}
std::shared_ptr<const Dimension> sampled(std::vector<Drawn> drawn, Point points, std::uint64_t seed,
                                         bool stratified) {
  return std::make_shared<Sampled>(std::move(drawn), points, seed, stratified);
}

}  // namespace kpksim::sweep
