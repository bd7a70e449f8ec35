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
  Callbacks& next = of(core).next;
  if (heads_ == nullptr) return next.resize(next.size() + callbacks);
  for (; callbacks != 0; --callbacks) add(core, {});
}

void Rcu::call(cpu::Core& core, std::vector<Pfn> tables) {
  tables_ += tables.size();
  pending_ += tables.size();
  add(core, {std::move(tables)});
}

void Rcu::add(cpu::Core& core, Callback callback) {
  OfCore& own = of(core);
  const PhysAddr last = own.last_head(), added = callback.head();
  own.next.push_back(std::move(callback));
  if (heads_ != nullptr) heads_->queued(core, last, added);
}

// The segments are one list.
PhysAddr Rcu::OfCore::last_head() const {
  for (const Callbacks* list : {&next, &waiting, &done}) {
    if (!list->empty()) return list->back().head();
  }
  return PhysAddr(0);
}

// rcu_do_batch()
void Rcu::do_batch(cpu::Core& core) {
  OfCore& own = of(core);
  if (own.done.empty()) return;
  if (heads_ != nullptr) heads_->spliced(core, own.done.back().head(), PhysAddr(0));
  for (std::size_t n = kCallbackLimit; n != 0 && !own.done.empty(); --n) {
    Callback callback = std::move(own.done.front());
    own.done.pop_front();
    if (heads_ != nullptr) heads_->called(core, callback.head());
    own.ready.insert(own.ready.end(), callback.tables.begin(), callback.tables.end());
    if (callback.kind == Kind::kCred) heads_->free(core, callback.cred);
    if (callback.kind != Kind::kTask) continue;
    if (callback.cred.value == 0) {
      call(core);  // put_cred_rcu()
    } else {
      heads_->free_task(core, callback.cred);
    }
  }
  if (heads_ == nullptr || own.done.empty()) return;
  const Callbacks& rest = own.waiting.empty() ? own.next : own.waiting;
  heads_->spliced(core, own.done.back().head(), rest.empty() ? PhysAddr(0) : rest.front().head());
}

// rcu_core(): reports the core's quiescent state, which was the last switch away from RCU's
// thread, or asks for a grace period. Either wakes the thread: true.
bool Rcu::pass(cpu::Core& core) {
  const bool wakes = running_ || !of(core).next.empty();
  do_batch(core);
  return wakes;
}

// rcu_gp_kthread(): ends the grace period and starts the next one if there is a reason.
void Rcu::run_thread() {
  running_ = false;
  for (OfCore& own : of_cores_) {
    append(own.done, own.waiting);
    append(own.waiting, own.next);
    running_ |= !own.waiting.empty();
  }
}

// rcu_sched_clock_irq() and the softirq that it raises. The softirq is raised again while callbacks
// are left, and goes on at once, ten times, unless a reschedule is due, as it is when it has woken
// RCU's thread; then its own thread does the rest, after that one.
unsigned Rcu::tick(cpu::Core& core) {
  bool wakes = pass(core);
  const Callbacks& done = of(core).done;
  for (unsigned n = 1; !done.empty() && !wakes && n < kSoftirqPasses; ++n) wakes = pass(core);
  unsigned runs = 0;
  for (bool softirqd = !done.empty(); wakes || softirqd; softirqd = false) {
    if (std::exchange(wakes, false)) {
      run_thread();
      ++runs;
    }
    if (!softirqd) continue;
    while (!done.empty()) wakes |= pass(core);
    ++runs;
  }
  return runs;
}

std::vector<Pfn> Rcu::take_ready(const cpu::Core& core) {
  std::vector<Pfn>& ready = of(core).ready;
  pending_ -= ready.size();
  return std::exchange(ready, {});
}

std::vector<Pfn> Rcu::take_all(cpu::Core& core) {
  OfCore& own = of(core);
  if (!own.waiting.empty()) {
    append(own.done, own.waiting);
    running_ = std::ranges::any_of(of_cores_, [](const OfCore& c) { return !c.waiting.empty(); });
  }
  append(own.done, own.next);
  while (!own.done.empty()) {
    do_batch(core);
    append(own.done, own.next);
  }
  return take_ready(core);
}

}  // namespace kpksim::kernel
