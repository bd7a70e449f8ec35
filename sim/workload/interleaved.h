#pragma once
// Runs operations on cores that are interleaved (cpu/interleaver.h): which operation a core does
// next, and which core a task is on.
// - A core does operations of its tasks, the first of the workload that waits for nothing
//   (order.h), and each to its end unless it sleeps at a lock. A task that wakes goes on as soon as
//   the operation ends that its core is at. So one core does all of them in the workload's order.
// - A task begins on the core after the one that the last task began on, and stays there, but for
//   `migrate`, and for idle cores: one without work takes a task from the core that has most tasks
//   ready and is busy (of several the lowest), the one whose operation comes first
//   (newidle_balance()).

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "sim/workload/execution.h"
#include "sim/workload/order.h"

namespace kpksim::workload {

// What happens on cores beside the workload (sim/attack).
class Beside {
 public:
  virtual ~Beside() = default;
  // When, in millicycles of the core's clock, something is to happen on it next; nullopt: nothing.
  virtual std::optional<std::uint64_t> due(unsigned core) const = 0;
  // It happens: the core is between operations, or at a point of one where the order of cores
  // matters, and no other is behind it. Must not throw.
  virtual void happen(cpu::Core& core) = 0;
};

class InterleavedRun {
 public:
  // `execute` does one operation. `order` is that of the whole workload. `beside` may be null.
  InterleavedRun(kernel::Kernel& kernel, OperationOrder& order,
                 std::function<void(const Operation&)> execute, Beside* beside = nullptr)
      : kernel_(kernel),
        order_(order),
        interleaver_(kernel.system().interleaving->locks.interleaver()),
        execute_(std::move(execute)),
        beside_(beside),
        ready_(kernel.system().config.cores) {}

  // The next operation of the phase: it is done by finish(), at the latest.
  void add(const Operation& op);
  void finish();

 private:
  using Number = OperationOrder::Number;

  std::function<void()> next(unsigned core);
  std::optional<Number> choose(unsigned core) const;
  std::optional<Number> pull(unsigned core);
  void make_ready(Number n, std::uint64_t time);
  void run(Number n, unsigned core);
  // Does no other core run the address space of its task?
  bool unseen(const Operation& op) const;
  const kernel::Task* alive(TaskId id) const;
  unsigned core_of(const Operation& op);

  kernel::Kernel& kernel_;
  OperationOrder& order_;
  cpu::Interleaver& interleaver_;
  const std::function<void(const Operation&)> execute_;
  Beside* const beside_;
  std::vector<std::uint64_t> ready_at_;
  std::vector<std::set<Number>> ready_;  // by core
};

}  // namespace kpksim::workload
