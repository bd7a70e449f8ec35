#pragma once
// Fault injection: an operation of the kernel model is skipped, delayed or swapped with the next
// one, each time or at one occurrence. The model asks at each site; without an injection that is a
// test of one flag.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/cpu/core.h"
#include "sim/kernel/fault_site.h"

namespace kpksim::kernel {

enum class FaultAction : std::uint8_t {
  kNone,
  kSkip,   // it does not happen
  kDelay,  // it happens when the program has run on and next enters the kernel
  kSwap    // it happens after the next operation of its core that is a site too
};

struct Injection {
  FaultAction action = FaultAction::kNone;
  FaultSite site{};
  std::uint64_t occurrence = 0;  // the first is 1; 0: each
};
// "skip:tlbi.unmap:7". InputError: what was expected, and the nearest name.
Injection parse_injection(std::string_view text);
std::string text_of(const Injection& injection);
// The TLBIs of one place are never executed.
inline std::vector<Injection> without_tlbis(FlushSite site) {
  if (site == FlushSite::kNone) return {};
  return {{FaultAction::kSkip, tlbi_of(site), 0}};
}

class Injector {
 public:
  using Operation = std::function<void(cpu::Core&)>;

  explicit Injector(const std::vector<Injection>& plan);

  bool active() const { return !plan_.empty(); }
  // `operation(core)` is the next occurrence of `site`.
  template <class Execute>
  void at(cpu::Core& core, FaultSite site, Execute&& operation) {
    if (!active()) [[likely]]
      return operation(core);
    perform(core, site, std::forward<Execute>(operation));
  }
  // What the plan has for the next occurrence of `site`, which the caller then does, or puts off.
  FaultAction next(FaultSite site) { return active() ? find(site) : FaultAction::kNone; }
  bool skips(FaultSite site) { return next(site) == FaultAction::kSkip; }
  void put_off(cpu::Core& core, FaultAction action, Operation operation);
  // What was delayed is done now.
  void catch_up() {
    if (!delayed_.empty()) [[unlikely]]
      do_delayed();
  }

  // Of each injection: what it was, how often its site was reached, and how often it was broken.
  struct Done {
    Injection injection;
    std::uint64_t occurrences = 0, broken = 0;
  };
  const std::vector<Done>& done() const { return plan_; }

 private:
  struct PutOff {
    cpu::Core* core;
    Operation operation;
  };
  FaultAction find(FaultSite site);
  void perform(cpu::Core& core, FaultSite site, Operation operation);
  void do_delayed();

  std::vector<Done> plan_;
  std::vector<PutOff> delayed_, swapped_;
};

}  // namespace kpksim::kernel
