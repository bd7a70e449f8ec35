#pragma once
// One factor of a sweep's space: settings that vary together.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/sweep/spec.h"

namespace kpksim::sweep {

class Dimension {
 public:
  virtual ~Dimension() = default;
  virtual Point size() const = 0;
  // Adds the values of its settings at `index`, less than size().
  virtual void assign(Point index, std::vector<Assignment>& out) const = 0;
  // Values that `key` may have and that are listed; none of a range.
  virtual std::vector<std::string> listed(std::string_view key) const = 0;
};

// A setting with its values, as JSON texts.
struct List {
  std::string key;
  std::vector<std::string> values;
};

// A setting that is drawn: from a list, or from a range of numbers.
struct Drawn {
  List list;  // without values: a range
  double from = 0, to = 0;
  bool logarithmic = false, whole = false;

  // The value at `part` of it, from 0 to less than 1.
  std::string at(double part) const;
};

// Lists of one length, whose values go together.
std::shared_ptr<const Dimension> zipped(std::vector<List> lists);
// `points` samples; `stratified`: a Latin hypercube.
std::shared_ptr<const Dimension> sampled(std::vector<Drawn> drawn, Point points, std::uint64_t seed,
                                         bool stratified);

}  // namespace kpksim::sweep
