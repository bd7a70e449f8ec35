#include "sim/kernel/rcu.h"

#include <utility>

namespace kpksim::kernel {

void Rcu::start() {
  waiting_ = std::move(next_);
  next_.clear();
  called_ = false;
  state_ = GracePeriod::kStarted;
}

// rcu_sched_clock_irq() and rcu_gp_kthread(): the thread starts a grace period, looks for quiescent
// states a tick later (RCU_JIFFIES_TILL_FORCE_QS), and is woken once more by the last report; it
// then ends the grace period and starts the next one if there is a reason.
unsigned Rcu::tick() {
  switch (state_) {
    case GracePeriod::kNone:
      if (!called_) return 0;
      start();
      return 1;
    case GracePeriod::kStarted:
      state_ = GracePeriod::kReported;
      return 1;
    case GracePeriod::kReported:
      ready_.insert(ready_.end(), waiting_.begin(), waiting_.end());
      waiting_.clear();
      state_ = GracePeriod::kNone;
      if (!called_) return 1;
      start();
      return 2;
  }
  return 0;
}

std::vector<Pfn> Rcu::take_ready() { return std::exchange(ready_, {}); }

std::vector<Pfn> Rcu::take_all() {
  std::vector<Pfn> all = take_ready();
  for (auto* list : {&waiting_, &next_}) {
    all.insert(all.end(), list->begin(), list->end());
    list->clear();
  }
  called_ = false;
  state_ = GracePeriod::kNone;
  return all;
}

}  // namespace kpksim::kernel
