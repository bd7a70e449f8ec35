#include "sim/kernel/lock.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kpksim::kernel {

AllLockWaits waits_since(const AllLockWaits& before, const AllLockWaits& now) {
  AllLockWaits d = now;
  for (std::size_t i = 0; i < kLockKinds; ++i) {
    d[i].taken -= before[i].taken;
    d[i].waits -= before[i].waits;
    d[i].slept -= before[i].slept;
    d[i].millicycles -= before[i].millicycles;
  }
  return d;
}

void append_waits(AllLockWaits& sum, const AllLockWaits& next) {
  for (std::size_t i = 0; i < kLockKinds; ++i) {
    sum[i].taken += next[i].taken;
    sum[i].waits += next[i].waits;
    sum[i].slept += next[i].slept;
    sum[i].millicycles += next[i].millicycles;
    sum[i].longest = std::max(sum[i].longest, next[i].longest);
  }
}

void Locks::wait(cpu::Core& core, LockKind kind, bool spin) {
  LockWaits& waits = of(kind);
  const std::uint64_t since = core.time();
  void* const task = before(core);
  bool slept_meanwhile = true;
  if (spin) {
    slept_meanwhile = interleaver_.spin();
  } else {
    sleeps_now(interleaver_.current());
    interleaver_.sleep();
  }
  ++waits.waits;
  const std::uint64_t length = core.time() - since;
  waits.millicycles += length;
  waits.longest = std::max(waits.longest, length);
  if (!slept_meanwhile) return;
  ++waits.slept;
  slept(core, task);
}

// Whoever spins for what it holds sleeps from now on (osq_lock() and rwsem_spin_on_owner() end when
// the owner does not run).
void Locks::sleeps_now(const Strand& strand) {
  const auto held = held_.find(&strand);
  if (held == held_.end()) return;
  for (const SleepingLock* lock : held->second) {
    for (const SleepingLock::Waiter& waiter : lock->waiting_) {
      if (!waiter.strand->spins()) continue;
      interleaver_.put_to_sleep(*waiter.strand);
      sleeps_now(*waiter.strand);
    }
  }
}

void SpinLock::lock(Locks& locks, cpu::Core& core, LockKind kind) {
  Locks::Strand& strand = locks.interleaver().current();
  ++locks.of(kind).taken;
  if (owner_ == &strand) {
    ++depth_;
    return;
  }
  if (owner_ == nullptr) {
    owner_ = &strand;
    depth_ = 1;
    return;
  }
  waiting_.push_back(&strand);
  locks.wait(core, kind, true);
}

void SpinLock::unlock(Locks& locks, cpu::Core& core) {
  if (--depth_ != 0) return;
  owner_ = nullptr;
  if (waiting_.empty()) return;
  owner_ = waiting_.front();
  depth_ = 1;
  waiting_.pop_front();
  locks.interleaver().wake(*owner_, core.time());
}

void SleepingLock::take(Locks& locks, Locks::Strand& strand, bool exclusive) {
  if (exclusive) {
    owner_ = &strand;
  } else {
    ++readers_;
  }
  locks.held_[&strand].push_back(this);
}

void SleepingLock::acquire(Locks& locks, cpu::Core& core, bool exclusive) {
  core.turn(seen_by());
  Locks::Strand& strand = locks.interleaver().current();
  ++locks.of(kind_).taken;
  const bool free = owner_ == nullptr && waiting_.empty() && (!exclusive || readers_ == 0);
  if (free) return take(locks, strand, exclusive);
  if (owner_ == &strand) throw ModelError("a lock is taken by who has it");
  waiting_.push_back({&strand, exclusive});
  locks.wait(core, kind_, exclusive && owner_ != nullptr && !owner_->sleeps());
}

void SleepingLock::release(Locks& locks, cpu::Core& core) {
  core.turn(seen_by());
  std::vector<SleepingLock*>& held = locks.held_[&locks.interleaver().current()];
  held.erase(std::find(held.begin(), held.end(), this));
  if (owner_ != nullptr) {
    owner_ = nullptr;
  } else {
    --readers_;
  }
  while (!waiting_.empty() && (readers_ == 0 || !waiting_.front().exclusive)) {
    const Waiter next = waiting_.front();
    waiting_.pop_front();
    take(locks, *next.strand, next.exclusive);
    // Until it has a core nobody spins for it: that may be the core it needs.
    if (next.strand->sleeps()) locks.sleeps_now(*next.strand);
    locks.interleaver().wake(*next.strand, core.time());
    if (next.exclusive) break;
  }
}

void PageTableLocks::lock(cpu::Core& core, Pfn page, cpu::Seen by) {
  if (!locks_.on()) return;
  core.turn(by);  // before: who drops it last forgets it
  held_[page].lock(locks_, core, LockKind::kPageTable);
}

void PageTableLocks::unlock(cpu::Core& core, Pfn page, cpu::Seen by) {
  if (!locks_.on()) return;
  core.turn(by);
  SpinLock& lock = held_.at(page);
  lock.unlock(locks_, core);
  if (lock.unused()) held_.erase(page);
}

}  // namespace kpksim::kernel
