#include "sim/sweep/condition.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/sweep/totals.h"

namespace kpksim::sweep {
namespace {

bool equal(const std::string& a, const std::string& b) {
  const auto m = number(a), n = number(b);
  return m && n ? *m == *n : a == b;
}

}  // namespace

bool Condition::holds(const std::string& given, const std::string& option) const {
  if (relation == "=" || relation == "!=") {
    const bool any = std::any_of(values.begin(), values.end(),
                                 [&](const std::string& value) { return equal(given, value); });
    return any == (relation == "=");
  }
  const auto number_of = [&](const std::string& text) {
    if (const auto n = number(text)) return *n;
    throw InputError(
        fmt::format("{} {}{}{}: '{}' is no number", option, name, relation, values[0], text));
  };
  const double b = number_of(values[0]), a = number_of(given);
  if (relation == "<=") return a <= b;
  if (relation == ">=") return a >= b;
  return relation == "<" ? a < b : a > b;
}

std::optional<Condition> condition_of(const std::string& text) {
  for (const char* relation : {"<=", ">=", "!=", "<", ">", "="}) {
    const std::size_t at = text.find(relation);
    if (at == std::string::npos) continue;
    Condition out{text.substr(0, at), relation, {}};
    std::string rest = text.substr(at + out.relation.size());
    const bool several = out.relation == "=" || out.relation == "!=";
    for (std::size_t bar; several && (bar = rest.find('|')) != std::string::npos;) {
      out.values.push_back(rest.substr(0, bar));
      rest.erase(0, bar + 1);
    }
    out.values.push_back(rest);
    return out;
  }
  return std::nullopt;
}

}  // namespace kpksim::sweep
