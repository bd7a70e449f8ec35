#include "sim/kernel/rcu.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kpksim::kernel {
namespace {

constexpr std::size_t kCallbackLimit = 10;  // DEFAULT_RCU_BLIMIT
constexpr unsigned kSoftirqPasses = 10;     // MAX_SOFTIRQ_RESTART

template <typename Container>
void append(Container& to, Container& from) {
  if (to.empty()) return std::swap(to, from);
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  from.clear();
}

}  // namespace

void Rcu::call(std::vector<Pfn> tables) {
  tables_ += tables.size();
  pending_ += tables.size();
  next_.push_back({std::move(tables), false});
}

// rcu_do_batch()
void Rcu::do_batch() {
  for (std::size_t n = std::min(kCallbackLimit, done_.size()); n != 0; --n) {
    Callback callback = std::move(done_.front());
    done_.pop_front();
    ready_.insert(ready_.end(), callback.tables.begin(), callback.tables.end());
    if (callback.task) call();  // put_cred_rcu()
  }
}

// rcu_core(): reports the core's quiescent state, which was the last switch away from RCU's
// thread, or asks for a grace period. Either wakes the thread: true.
bool Rcu::pass() {
  const bool wakes = running_ || !next_.empty();
  do_batch();
  return wakes;
}

// rcu_gp_kthread(): ends the grace period and starts the next one if there is a reason.
void Rcu::run_thread() {
  append(done_, waiting_);
  append(waiting_, next_);
  running_ = !waiting_.empty();
}

// rcu_sched_clock_irq() and the softirq that it raises. The softirq is raised again while callbacks
// are left, and goes on at once, ten times, unless a reschedule is due, as it is when it has woken
// RCU's thread; then its own thread does the rest, after that one.
unsigned Rcu::tick() {
  bool wakes = pass();
  for (unsigned n = 1; !done_.empty() && !wakes && n < kSoftirqPasses; ++n) wakes = pass();
  unsigned runs = 0;
  for (bool softirqd = !done_.empty(); wakes || softirqd; softirqd = false) {
    if (std::exchange(wakes, false)) {
      run_thread();
      ++runs;
    }
    if (!softirqd) continue;
    while (!done_.empty()) wakes |= pass();
    ++runs;
  }
  return runs;
}

std::vector<Pfn> Rcu::take_ready() {
  pending_ -= ready_.size();
  return std::exchange(ready_, {});
}

std::vector<Pfn> Rcu::take_all() {
  append(done_, waiting_);
  append(done_, next_);
  running_ = false;
  while (!done_.empty()) {
    do_batch();
    append(done_, next_);
  }
  return take_ready();
}

}  // namespace kpksim::kernel
