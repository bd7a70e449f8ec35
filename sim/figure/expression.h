#pragma once
// What of a row is drawn: a name, a sum of names, or a ratio of two of these.

#include <optional>
#include <string>
#include <vector>

#include "sim/figure/records.h"

namespace kpksim::figure {

// "cycles.total", "events.tlbi_*.total" (the sum of all that fit) or "A / B". A row that has no
// such total counted it 0 times, if any row has it.
class Expression {
 public:
  // InputError, which begins with `option`: no row has such a name.
  Expression(std::string option, std::string text, const std::vector<Record>& records);

  const std::string& text() const { return text_; }
  // A key or an attribute, whose values may be texts.
  bool is_setting() const { return setting_; }
  // Nothing: the row has no such setting, or 0 / 0.
  std::optional<double> number(const Record& record) const;
  std::optional<Interval> interval(const Record& record) const;
  // The setting's value.
  std::string setting(const Record& record) const;

 private:
  static bool fits(const std::string& pattern, const std::string& name);
  std::optional<double> term(const std::string& name, const Record& record) const;

  std::string option_, text_;
  std::vector<std::string> terms_;  // one or two
  bool setting_ = false;
};

// Names that rows have: keys and attributes, then totals, each sorted.
std::vector<std::string> settings_of(const std::vector<Record>& records);
std::vector<std::string> totals_of(const std::vector<Record>& records);

}  // namespace kpksim::figure
