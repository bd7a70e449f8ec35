#include "sim/check/report.h"

#include "sim/cpu/core.h"

namespace kpksim::check {
namespace {

std::string_view kind_of(std::string_view text) { return text.substr(0, text.find(':')); }

}  // namespace

Finding* Report::add(Rule rule, const cpu::Core& core, std::string text) {
  std::vector<Finding>& list = info(rule).hint ? hints_ : findings_;
  for (Finding& known : list) {
    if (known.rule != rule || known.cause != core.cause()) continue;
    if (kind_of(known.text) != kind_of(text)) continue;
    ++known.count;
    return nullptr;
  }
  list.push_back({rule, std::move(text), core.id(), core.cause(), place_, 1, {}});
  return &list.back();
}

}  // namespace kpksim::check
