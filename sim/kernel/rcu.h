#pragma once
// Read-copy-update (kernel/rcu/tree.c), as far as it puts work off: what call_rcu() is given is
// done after a grace period, which timer interrupts carry forward. Here only page tables are worth
// doing something with; other objects (VMAs, maple tree nodes, tasks) merely keep grace periods
// going.

#include <cstdint>
#include <vector>

#include "sim/base/types.h"

namespace kpksim::kernel {

class Rcu {
 public:
  void call(std::uint64_t callbacks = 1) { next_callbacks_ += callbacks; }
  void call(std::vector<Pfn> tables) {
    call();
    tables_ += tables.size();
    next_.insert(next_.end(), tables.begin(), tables.end());
  }
  // A timer interrupt: how often it lets kernel threads run.
  unsigned tick();
  // The tables whose grace period is over; or all, as if one had passed.
  std::vector<Pfn> take_ready();
  std::vector<Pfn> take_all();

  std::uint64_t tables() const { return tables_; }  // that were ever given
  // Tables whose free is still put off.
  std::size_t pending() const {
    return next_.size() + waiting_.size() + ended_.size() + ready_.size();
  }

 private:
  bool running_ = false;              // a grace period
  std::uint64_t next_callbacks_ = 0;  // since the current grace period started
  std::uint64_t waiting_callbacks_ = 0, ended_callbacks_ = 0;
  std::uint64_t tables_ = 0;
  std::vector<Pfn> next_, waiting_, ended_, ready_;
};

}  // namespace kpksim::kernel
