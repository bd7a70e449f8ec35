#include "sim/figure/expression.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "sim/base/error.h"
#include "sim/sweep/totals.h"

namespace kpksim::figure {

std::vector<std::string> settings_of(const std::vector<Record>& records) {
  std::set<std::string> names;
  for (const Record& record : records) {
    for (const auto& [name, value] : record.keys) names.insert(name);
    for (const auto& [name, value] : record.attributes) names.insert(name);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> totals_of(const std::vector<Record>& records) {
  std::set<std::string> names;
  for (const Record& record : records) {
    for (const auto& [name, value] : record.totals) names.insert(name);
  }
  return {names.begin(), names.end()};
}

Expression::Expression(std::string option, std::string text, const std::vector<Record>& records)
    : option_(std::move(option)), text_(std::move(text)) {
  constexpr std::string_view kRatio = " / ";
  const std::size_t at = text_.find(kRatio);
  terms_.push_back(text_.substr(0, at));
  if (at != std::string::npos) terms_.push_back(text_.substr(at + kRatio.size()));
  const std::vector<std::string> settings = settings_of(records), totals = totals_of(records);
  for (const std::string& name : terms_) {
    const auto fit = [&](const std::string& known) { return fits(name, known); };
    if (terms_.size() == 1 && std::find(settings.begin(), settings.end(), name) != settings.end()) {
      setting_ = true;
    } else if (std::none_of(totals.begin(), totals.end(), fit) &&
               std::none_of(settings.begin(), settings.end(), fit)) {
      std::vector<std::string> known = settings;
      known.insert(known.end(), totals.begin(), totals.end());
      const std::string near = suggest(name, known);  // of hundreds of names only the nearest
      throw InputError(fmt::format("{}: no row has '{}'{}; --columns lists what there is", option_,
                                   name,
                                   near.find("did you mean") == std::string::npos ? "" : near));
    }
  }
}

// Of '*' alone: any text.
bool Expression::fits(const std::string& pattern, const std::string& name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string::npos) return pattern == name;
  if (name.compare(0, star, pattern, 0, star) != 0) return false;
  const std::string rest = pattern.substr(star + 1);
  for (std::size_t i = star; i <= name.size(); ++i) {
    if (fits(rest, name.substr(i))) return true;
  }
  return false;
}

std::optional<double> Expression::term(const std::string& name, const Record& record) const {
  if (const auto text = record.text(name)) {
    const auto n = sweep::number(*text);
    if (!n) throw InputError(fmt::format("{}: '{}' of {} is no number", option_, *text, name));
    return n;
  }
  double sum = 0;
  bool any = false;
  for (const auto& [total, value] : record.totals) {
    if (!fits(name, total)) continue;
    sum += value;
    any = true;
  }
  // What a row does not count has not happened; what it does not compare is unknown.
  if (!any && name.starts_with(kOverhead)) return std::nullopt;
  return sum;
}

std::optional<double> Expression::number(const Record& record) const {
  const auto first = term(terms_[0], record);
  if (terms_.size() == 1 || !first) return first;
  const auto second = term(terms_[1], record);
  if (!second || *second == 0) return std::nullopt;
  return *first / *second;
}

std::optional<Interval> Expression::interval(const Record& record) const {
  const auto found = record.intervals.find(text_);
  if (found == record.intervals.end()) return std::nullopt;
  return found->second;
}

std::string Expression::setting(const Record& record) const {
  return record.text(text_).value_or("");
}

}  // namespace kpksim::figure
