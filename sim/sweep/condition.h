#pragma once
// Conditions that choose points: "cycles.total<=2e9", "policy=none,buddy,pte|none,buddy,block".

#include <optional>
#include <string>
#include <vector>

namespace kpksim::sweep {

struct Condition {
  std::string name, relation;
  std::vector<std::string> values;  // several with = and != alone: any of them, none of them

  // Numbers are compared as such. InputError, which begins with `option`: an order of texts, which
  // have none that anybody would mean.
  bool holds(const std::string& given, const std::string& option) const;
};

// Nothing: `text` has no relation.
std::optional<Condition> condition_of(const std::string& text);

}  // namespace kpksim::sweep
