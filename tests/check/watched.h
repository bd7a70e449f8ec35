#pragma once
// A kernel on two cores under the sanitizer, with a fault that is planted, or none.

#include <string>
#include <vector>

#include "sim/check/sanitizer.h"
#include "tests/kernel/life.h"

namespace kpksim::check {

class Watched {
 public:
  explicit Watched(const char* fault, const char* policy = "kpkeys-poe+lazy,per-page,pte",
                   const cpu::CoreProfile& core = kernel::core_profile(),
                   const Sanitizer::Options& options = {})
      : life(policy, faults(fault), core, kernel::kernel_profile(), true),
        k(life.k),
        sanitizer(k, options) {
    k.spawn(1);
  }

  const Finding* find(Rule rule) const {
    for (const auto* list : {&sanitizer.report().findings(), &sanitizer.report().hints()}) {
      for (const Finding& f : *list) {
        if (f.rule == rule) return &f;
      }
    }
    return nullptr;
  }
  // Does the history of the first finding of `rule` have these, in this order?
  testing::AssertionResult tells(Rule rule, const std::vector<std::string>& parts) const {
    const Finding* const finding = find(rule);
    if (finding == nullptr) return testing::AssertionFailure() << "no finding";
    std::size_t next = 0;
    std::string all = finding->text;
    for (const std::string& line : finding->history) {
      all += "\n" + line;
      if (next < parts.size() && line.find(parts[next]) != std::string::npos) ++next;
    }
    if (next == parts.size()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "'" << parts[next] << "' is not in: " << all;
  }

  kernel::Life life;
  kernel::Kernel& k;
  Sanitizer sanitizer;

 private:
  static std::vector<kernel::Injection> faults(const std::string& text) {
    if (text.empty()) return {};
    return {kernel::parse_injection(text)};
  }
};

}  // namespace kpksim::check
