#pragma once
// What compare --uncertainty adds to a chapter: intervals, and which conclusions survive the draws.

#include <string>
#include <vector>

#include "sim/report/page/page.h"

namespace kpksim::report::page {

class Uncertain {
 public:
  // Of the document's workload number `index`. Says nothing if there were no draws.
  Uncertain(const Json& document, std::size_t index);

  // Behind a policy's overhead in a sentence: between what it lies in nine of ten draws.
  void interval(Sentence& sentence, const std::string& policy) const;
  // The same as intervals of a series of overheads, whose name is a phase's or "total", over all
  // policies but the first.
  void bars(Series& series) const;
  // What the intervals are, for below a chart.
  std::string note() const;
  // Which order of two policies depends on the draw.
  std::vector<Json> findings() const;

 private:
  const Json* phase(const std::string& name, std::string& at) const;

  const Json* json_ = nullptr;
  std::string at_;
};

}  // namespace kpksim::report::page
