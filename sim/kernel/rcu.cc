#include "sim/kernel/rcu.h"

#include <utility>

namespace kpksim::kernel {
namespace {
constexpr std::uint64_t kCallbackLimit = 10;  // DEFAULT_RCU_BLIMIT
constexpr std::uint64_t kSoftirqPasses = 10;  // MAX_SOFTIRQ_RESTART
}  // namespace

// rcu_sched_clock_irq() and rcu_gp_kthread(), on one core: the thread starts a grace period, and
// the switch back from it is the core's quiescent state. The next tick reports that, which wakes
// the thread to end the grace period and, if there is a reason, to start the next one at once. The
// tick after that finds what has waited ready: rcu_do_batch() takes ten callbacks (blimit) and
// raises its softirq again. That goes on at once, ten times, unless a reschedule is due, as it is
// when the same softirq has woken RCU's thread; the rest is left to the softirq's thread.
unsigned Rcu::tick() {
  ready_.insert(ready_.end(), ended_.begin(), ended_.end());
  ended_.clear();
  const bool wakes = running_ || next_callbacks_ != 0;
  const std::uint64_t limit = wakes ? kCallbackLimit : kSoftirqPasses * kCallbackLimit;
  const unsigned softirqd = std::exchange(ended_callbacks_, 0) > limit ? 1 : 0;
  if (!wakes) return softirqd;
  ended_ = std::exchange(waiting_, {});
  ended_callbacks_ = waiting_callbacks_;
  waiting_callbacks_ = std::exchange(next_callbacks_, 0);
  running_ = waiting_callbacks_ != 0;
  waiting_ = std::exchange(next_, {});
  return 1 + softirqd;
}

std::vector<Pfn> Rcu::take_ready() { return std::exchange(ready_, {}); }

std::vector<Pfn> Rcu::take_all() {
  std::vector<Pfn> all = take_ready();
  for (auto* list : {&ended_, &waiting_, &next_}) {
    all.insert(all.end(), list->begin(), list->end());
    list->clear();
  }
  next_callbacks_ = waiting_callbacks_ = ended_callbacks_ = 0;
  running_ = false;
  return all;
}

}  // namespace kpksim::kernel
