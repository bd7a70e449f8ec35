#pragma once
// Read-copy-update (kernel/rcu/tree.c), as far as it puts work off: what call_rcu() is given is
// done after a grace period, which timer interrupts carry forward. Here only page tables are worth
// doing something with; other objects (VMAs, maple tree nodes, tasks) merely keep grace periods
// going.

#include <cstdint>
#include <deque>
#include <vector>

#include "sim/base/types.h"

namespace kpksim::kernel {

class Rcu {
 public:
  void call(std::uint64_t callbacks = 1) { next_.resize(next_.size() + callbacks); }
  void call(std::vector<Pfn> tables);
  // delayed_put_task_struct(): it hands on the credentials, which wait for a grace period too.
  void call_for_task() { next_.push_back({{}, true}); }
  // A timer interrupt: how often it lets kernel threads run, one after the other.
  unsigned tick();
  // The tables whose callbacks have been called; or all, as if grace periods had passed.
  std::vector<Pfn> take_ready();
  std::vector<Pfn> take_all();

  std::uint64_t tables() const { return tables_; }  // that were ever given
  std::size_t pending() const { return pending_; }  // tables whose free is still put off

 private:
  struct Callback {
    std::vector<Pfn> tables;
    bool task = false;
  };
  using Callbacks = std::deque<Callback>;

  bool pass();
  void do_batch();
  void run_thread();

  bool running_ = false;      // a grace period
  Callbacks next_, waiting_;  // since it started, and for its end
  Callbacks done_;            // whose grace period is over
  std::vector<Pfn> ready_;
  std::uint64_t tables_ = 0;
  std::size_t pending_ = 0;
};

}  // namespace kpksim::kernel
