#pragma once
// The kernel's locks, where cores are interleaved (cpu/interleaver.h). Else nobody else acts while
// one is held, and taking one does nothing.
//
// They are fair: who came first gets the lock first, from the moment at which it is dropped.
//   spinlock      who waits spins (qspinlock)
//   mutex         who waits spins as long as the owner runs, else sleeps (mutex_optimistic_spin())
//   rw semaphore  readers sleep, and so does a writer behind readers; behind a writer that runs it
//                 spins (rwsem_down_read_slowpath(), rwsem_optimistic_spin()). Readers that come
//                 after a waiting writer wait behind it.
// What taking a lock costs by itself is part of the paths' lengths; waiting is time, no work: it
// moves the core's clock, and no event is counted.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/base/statistic.h"
#include "sim/base/types.h"
#include "sim/cpu/interleaver.h"

namespace kpksim::kernel {

enum class LockKind : std::uint8_t {
  kMmap,
  kVma,
  kPageTable,
  kAllocator,
  kSplit,
  kVmalloc,
  kFileMapping,
  kCpa,
  kWindow,
  kHugetlbFault,
  kCount
};
inline constexpr std::size_t kLockKinds = static_cast<std::size_t>(LockKind::kCount);
inline constexpr std::array<std::string_view, kLockKinds> kLockNames = {
    "mmap_lock",       "vma_lock",     "page_table_lock", "allocator_mutex", "split_mutex",
    "vmap_purge_lock", "i_mmap_rwsem", "cpa_lock",        "window_lock",     "hugetlb_fault_mutex"};

struct LockWaits {
  std::uint64_t taken = 0, waits = 0, slept = 0;
  std::uint64_t millicycles = 0, longest = 0;  // of the waits
};
using AllLockWaits = std::array<LockWaits, kLockKinds>;
// What the second reading has more than the first; the longest wait is the second one's.
AllLockWaits waits_since(const AllLockWaits& before, const AllLockWaits& now);
void append_waits(AllLockWaits& sum, const AllLockWaits& next);

class SleepingLock;

// What all locks of one kernel share.
class Locks {
 public:
  using Strand = cpu::Interleaver::Strand;

  explicit Locks(cpu::Machine& machine) : interleaver_(machine) {}

  cpu::Interleaver& interleaver() { return interleaver_; }
  // Somebody could wait now.
  bool on() const { return interleaver_.running(); }

  // The scheduler: the task of this core is going to wait; and it goes on after it has slept, what
  // before() gave in hand.
  std::function<void*(cpu::Core&)> before;
  std::function<void(cpu::Core&, void*)> slept;

  // The strand that runs waits until it is woken: it spins, or sleeps.
  void wait(cpu::Core& core, LockKind kind, bool spin);
  void count(LockKind kind) { ++of(kind).taken; }

  // While it lives the strand that runs looks into other address spaces than its own. Null: nobody
  // runs beside it.
  class Looking {
   public:
    explicit Looking(Locks* locks) : locks_(locks != nullptr && locks->on() ? locks : nullptr) {
      if (locks_ != nullptr) unseen_ = locks_->interleaver().current().set_unseen(false);
    }
    ~Looking() {
      if (locks_ != nullptr && locks_->on()) locks_->interleaver().current().set_unseen(unseen_);
    }
    Looking(const Looking&) = delete;
    Looking& operator=(const Looking&) = delete;

   private:
    Locks* const locks_;
    bool unseen_ = false;
  };

  const AllLockWaits& waits() const { return waits_; }
  void forget_longest() {
    for (LockWaits& w : waits_) w.longest = 0;
  }

 private:
  friend class SpinLock;
  friend class SleepingLock;

  LockWaits& of(LockKind kind) { return waits_[static_cast<std::size_t>(kind)]; }
  void sleeps_now(const Strand& strand);

  cpu::Interleaver interleaver_;
  AllLockWaits waits_{};
  // Who holds what that others may sleep for.
  std::unordered_map<const Strand*, std::vector<SleepingLock*>> held_;
};

class SpinLock {
 public:
  // The core has its turn before either (Core::turn()).
  void lock(Locks& locks, cpu::Core& core, LockKind kind);
  void unlock(Locks& locks, cpu::Core& core);
  bool unused() const { return owner_ == nullptr && waiting_.empty(); }

 private:
  Locks::Strand* owner_ = nullptr;
  unsigned depth_ = 0;  // two page tables may have one lock
  std::deque<Locks::Strand*> waiting_;
};

// A mutex, or with readers a rw semaphore.
class SleepingLock {
 public:
  explicit SleepingLock(LockKind kind) : kind_(kind) {}
  SleepingLock(const SleepingLock&) = delete;  // who holds it knows where it is
  SleepingLock& operator=(const SleepingLock&) = delete;

  void lock(Locks& locks, cpu::Core& core) { acquire(locks, core, true); }
  void unlock(Locks& locks, cpu::Core& core) { release(locks, core); }
  void lock_shared(Locks& locks, cpu::Core& core) { acquire(locks, core, false); }
  void unlock_shared(Locks& locks, cpu::Core& core) { release(locks, core); }
  // Does the strand that runs own it?
  bool is_mine(Locks& locks) const {
    return locks.on() && owner_ == &locks.interleaver().current();
  }

 private:
  friend class Locks;
  struct Waiter {
    Locks::Strand* strand;
    bool exclusive;
  };

  void acquire(Locks& locks, cpu::Core& core, bool exclusive);
  void release(Locks& locks, cpu::Core& core);
  cpu::Seen seen_by() const {
    return kind_ == LockKind::kMmap ? cpu::Seen::kByAddressSpace : cpu::Seen::kByAll;
  }
  void take(Locks& locks, Locks::Strand& strand, bool exclusive);

  const LockKind kind_;
  Locks::Strand* owner_ = nullptr;  // exclusively
  std::size_t readers_ = 0;
  std::deque<Waiter> waiting_;
};

// A scope that holds one; null: it holds nothing.
class Holding {
 public:
  enum class How : std::uint8_t { kExclusive, kShared };
  Holding(Locks* locks, SleepingLock& lock, cpu::Core& core, How how = How::kExclusive)
      : locks_(locks != nullptr && locks->on() ? locks : nullptr),
        lock_(lock),
        core_(core),
        how_(how) {
    if (locks_ == nullptr) return;
    how_ == How::kShared ? lock_.lock_shared(*locks_, core_) : lock_.lock(*locks_, core_);
  }
  ~Holding() {
    if (locks_ == nullptr || !locks_->on()) return;
    how_ == How::kShared ? lock_.unlock_shared(*locks_, core_) : lock_.unlock(*locks_, core_);
  }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

 private:
  Locks* const locks_;
  SleepingLock& lock_;
  cpu::Core& core_;
  const How how_;
};

// A scope that holds a spinlock; null: it holds nothing. Who has it may take it again.
class Spinning {
 public:
  Spinning(Locks* locks, SpinLock& lock, cpu::Core& core, LockKind kind)
      : locks_(locks != nullptr && locks->on() ? locks : nullptr), lock_(lock), core_(core) {
    if (locks_ == nullptr) return;
    core_.turn();
    lock_.lock(*locks_, core_, kind);
  }
  ~Spinning() {
    if (locks_ == nullptr || !locks_->on()) return;
    core_.turn();
    lock_.unlock(*locks_, core_);
  }
  Spinning(const Spinning&) = delete;
  Spinning& operator=(const Spinning&) = delete;

 private:
  Locks* const locks_;
  SpinLock& lock_;
  cpu::Core& core_;
};

// The spinlocks in page-table pages (ALLOC_SPLIT_PTLOCKS): there are as many as are held.
class PageTableLocks {
 public:
  explicit PageTableLocks(Locks& locks) : locks_(locks) {}
  // `by`: whose page tables they are, all cores' or one address space's.
  void lock(cpu::Core& core, Pfn page, cpu::Seen by);
  void unlock(cpu::Core& core, Pfn page, cpu::Seen by);

 private:
  struct Hash {
    std::size_t operator()(Pfn pfn) const { return pfn.value; }
  };
  Locks& locks_;
  std::unordered_map<Pfn, SpinLock, Hash> held_;
};

}  // namespace kpksim::kernel
