#pragma once
// Read-copy-update (kernel/rcu/tree.c), as far as it puts work off: what call_rcu() is given is
// done after a grace period, which timer interrupts carry forward. Here only page tables and
// credentials are worth doing something with; other objects (VMAs, maple tree nodes, tasks) merely
// keep grace periods going. Each core has callbacks of its own (struct rcu_data) and calls them
// itself, so that what it frees goes to its own lists of free pages; grace periods are for all. One
// ends with the next timer interrupt of any core: the others' quiescent states are not waited for.
//
// Callbacks are lists through heads that lie in the objects (rcu_segcblist): who protects objects
// hears of each write to a head.

#include <cstdint>
#include <deque>
#include <vector>

#include "sim/base/types.h"
#include "sim/cpu/core.h"

namespace kpksim::kernel {

// The owner of credentials. A head is named by its object; PhysAddr(0) is that of any other object,
// which nobody protects.
class RcuHeads {
 public:
  virtual ~RcuHeads() = default;
  // call_rcu() adds a head behind the last one.
  virtual void queued(cpu::Core& core, PhysAddr last, PhysAddr added) = 0;
  // A list is cut off behind its last head, or put before another (rcu_segcblist_extract_done_cbs()
  // and rcu_segcblist_insert_done_cbs()): `next` follows that head from now on.
  virtual void spliced(cpu::Core& core, PhysAddr last, PhysAddr next) = 0;
  // rcu_do_batch() clears the function in a head, then calls it: put_cred_rcu(), or
  // delayed_put_task_struct() of a task with these credentials.
  virtual void called(cpu::Core& core, PhysAddr object) = 0;
  virtual void free(cpu::Core& core, PhysAddr cred) = 0;
  virtual void free_task(cpu::Core& core, PhysAddr cred) = 0;
};

class Rcu {
 public:
  void set_heads(RcuHeads& heads) { heads_ = &heads; }

  void call(cpu::Core& core, std::uint64_t callbacks = 1);
  void call(cpu::Core& core, std::vector<Pfn> tables);
  // delayed_put_task_struct(): it hands on the credentials, which wait for a grace period too.
  // `cred`: those, where somebody protects them.
  void call_for_task(cpu::Core& core, PhysAddr cred = PhysAddr(0)) {
    add(core, {{}, Kind::kTask, cred});
  }
  void call_for_cred(cpu::Core& core, PhysAddr cred) { add(core, {{}, Kind::kCred, cred}); }
  // A timer interrupt: how often it lets kernel threads run, one after the other.
  unsigned tick(cpu::Core& core);
  // The core's tables whose callbacks have been called; or all of its own, as if grace periods had
  // passed.
  std::vector<Pfn> take_ready(const cpu::Core& core);
  std::vector<Pfn> take_all(cpu::Core& core);
  // Has the core something to call?
  bool has_callbacks(const cpu::Core& core) const {
    return core.id() < of_cores_.size() && !of_cores_[core.id()].empty();
  }

  std::uint64_t tables() const { return tables_; }  // that were ever given
  std::size_t pending() const { return pending_; }  // tables whose free is still put off

 private:
  enum class Kind : std::uint8_t { kOther, kTask, kCred };
  struct Callback {
    std::vector<Pfn> tables;
    Kind kind = Kind::kOther;
    PhysAddr cred{0};

    PhysAddr head() const { return kind == Kind::kCred ? cred : PhysAddr(0); }
  };
  using Callbacks = std::deque<Callback>;
  struct OfCore {
    Callbacks next, waiting;  // since the grace period started, and for its end
    Callbacks done;           // whose grace period is over
    std::vector<Pfn> ready;

    bool empty() const { return next.empty() && waiting.empty() && done.empty() && ready.empty(); }
    PhysAddr last_head() const;
  };

  OfCore& of(const cpu::Core& core) {
    if (core.id() >= of_cores_.size()) of_cores_.resize(core.id() + 1);
    return of_cores_[core.id()];
  }
  void add(cpu::Core& core, Callback callback);
  bool pass(cpu::Core& core);
  void do_batch(cpu::Core& core);
  void run_thread();

  RcuHeads* heads_ = nullptr;
  bool running_ = false;  // a grace period
  std::vector<OfCore> of_cores_;
  std::uint64_t tables_ = 0;
  std::size_t pending_ = 0;
};

}  // namespace kpksim::kernel
