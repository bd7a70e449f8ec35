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
  if (from.empty()) return;
  if (to.empty()) return std::swap(to, from);
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  from.clear();
}

}  // namespace

void Rcu::call(cpu::Core& core, std::uint64_t callbacks) {
  if (heads_ == nullptr) return next_.resize(next_.size() + callbacks);
  for (; callbacks != 0; --callbacks) add(core, {});
}

void Rcu::call(cpu::Core& core, std::vector<Pfn> tables) {
  tables_ += tables.size();
  pending_ += tables.size();
  add(core, {std::move(tables)});
}

void Rcu::add(cpu::Core& core, Callback callback) {
  const PhysAddr last = last_head(), added = callback.head();
  next_.push_back(std::move(callback));
  if (heads_ != nullptr) heads_->queued(core, last, added);
}

// The segments are one list.
PhysAddr Rcu::last_head() const {
  for (const Callbacks* list : {&next_, &waiting_, &done_}) {
    if (!list->empty()) return list->back().head();
  }
  return PhysAddr(0);
}

// rcu_do_batch()
void Rcu::do_batch(cpu::Core& core) {
  if (done_.empty()) return;
  if (heads_ != nullptr) heads_->spliced(core, done_.back().head(), PhysAddr(0));
  for (std::size_t n = kCallbackLimit; n != 0 && !done_.empty(); --n) {
    Callback callback = std::move(done_.front());
    done_.pop_front();
    if (heads_ != nullptr) heads_->called(core, callback.head());
    ready_.insert(ready_.end(), callback.tables.begin(), callback.tables.end());
    if (callback.kind == Kind::kCred) heads_->free(core, callback.cred);
    if (callback.kind != Kind::kTask) continue;
    if (callback.cred.value == 0) {
      call(core);  // put_cred_rcu()
    } else {
      heads_->free_task(core, callback.cred);
    }
  }
  if (heads_ == nullptr || done_.empty()) return;
  const Callbacks& rest = waiting_.empty() ? next_ : waiting_;
  heads_->spliced(core, done_.back().head(), rest.empty() ? PhysAddr(0) : rest.front().head());
}

// rcu_core(): reports the core's quiescent state, which was the last switch away from RCU's
// thread, or asks for a grace period. Either wakes the thread: true.
bool Rcu::pass(cpu::Core& core) {
  const bool wakes = running_ || !next_.empty();
  do_batch(core);
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
unsigned Rcu::tick(cpu::Core& core) {
  bool wakes = pass(core);
  for (unsigned n = 1; !done_.empty() && !wakes && n < kSoftirqPasses; ++n) wakes = pass(core);
  unsigned runs = 0;
  for (bool softirqd = !done_.empty(); wakes || softirqd; softirqd = false) {
    if (std::exchange(wakes, false)) {
      run_thread();
      ++runs;
    }
    if (!softirqd) continue;
    while (!done_.empty()) wakes |= pass(core);
    ++runs;
  }
  return runs;
}

std::vector<Pfn> Rcu::take_ready() {
  pending_ -= ready_.size();
  return std::exchange(ready_, {});
}

std::vector<Pfn> Rcu::take_all(cpu::Core& core) {
  append(done_, waiting_);
  append(done_, next_);
  running_ = false;
  while (!done_.empty()) {
    do_batch(core);
    append(done_, next_);
  }
  return take_ready();
}

}  // namespace kpksim::kernel
