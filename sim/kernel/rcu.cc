#include "sim/kernel/rcu.h"

#include <utility>

namespace kpksim::kernel {

// rcu_sched_clock_irq() and rcu_gp_kthread(), on one core: the thread starts a grace period, and
// the switch back from it is the core's quiescent state. The next tick reports that, which wakes
// the thread to end the grace period and, if there is a reason, to start the next one at once. The
// tick after that finds what has waited ready.
unsigned Rcu::tick() {
  ready_.insert(ready_.end(), ended_.begin(), ended_.end());
  ended_.clear();
  if (!running_ && !called_) return 0;
  ended_ = std::exchange(waiting_, {});
  running_ = called_;
  called_ = false;
  waiting_ = std::exchange(next_, {});
  return 1;
}

std::vector<Pfn> Rcu::take_ready() { return std::exchange(ready_, {}); }

std::vector<Pfn> Rcu::take_all() {
  std::vector<Pfn> all = take_ready();
  for (auto* list : {&ended_, &waiting_, &next_}) {
    all.insert(all.end(), list->begin(), list->end());
    list->clear();
  }
  called_ = false;
  running_ = false;
  return all;
}

}  // namespace kpksim::kernel
