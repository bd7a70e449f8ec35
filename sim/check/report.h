#pragma once
// The findings and hints of a run: the same thing found again is counted, not repeated.

#include <cstdint>
#include <string>
#include <vector>

#include "sim/check/finding.h"
#include "sim/check/history.h"

namespace kpksim::cpu {
class Core;
}

namespace kpksim::check {

class Report {
 public:
  // From now on findings are of this place.
  void at(std::string place) { place_ = std::move(place); }

  // `history()` is asked if this is the first of its kind: rule, cause and `text`, up to the first
  // colon; what follows tells one from another.
  template <class Tell>
  void add(Rule rule, const cpu::Core& core, std::string text, Tell&& history) {
    if (Finding* const first = add(rule, core, std::move(text))) first->history = history();
  }

  const std::vector<Finding>& findings() const { return findings_; }
  const std::vector<Finding>& hints() const { return hints_; }

 private:
  // Null: it is known.
  Finding* add(Rule rule, const cpu::Core& core, std::string text);

  std::string place_;
  std::vector<Finding> findings_, hints_;
};

}  // namespace kpksim::check
