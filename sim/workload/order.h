#pragma once
// Which operations of a phase must have ended before another one begins, where cores are
// interleaved. A workload is one list; its order between tasks says nothing, but for what they
// share:
// - Operations that name a task, as who acts or as child, keep their order.
// - So do those that name a region, unless all of them only use it: one that maps, unmaps or
//   protects it comes after all before it, and before all after it. The same for a file that is cut
//   or closed. Where a recording has addresses instead of regions, the process takes the region's
//   place: a recording does not say how threads wait for each other.
// - A parent stands still in vfork() until its child's next exec or exit.
// - Operations without a task (vmalloc and the like) are those of one task more, on core 0.

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "sim/workload/operation.h"

namespace kpksim::workload {

class OperationOrder {
 public:
  using Number = std::uint32_t;  // of an operation, in the workload's order

  // The next operation of the phase.
  void add(const Operation& op);
  // All of them have ended. Who waits in vfork(), and which tasks are of one process, is kept.
  void forget_operations();

  std::size_t size() const { return items_.size(); }
  const Operation& operation(Number n) const { return *items_[n].op; }
  bool ready(Number n) const { return items_[n].waits_for == 0; }
  // It has ended: calls fn(number) for each operation that waited for it and for nothing else.
  template <class Fn>
  void ended(Number n, Fn&& fn) {
    for (std::uint32_t e = items_[n].edges; e != kNone; e = edges_[e].next) {
      if (--items_[edges_[e].to].waits_for == 0) fn(edges_[e].to);
    }
  }

  // Nothing else may run beside it: what it changes has no lock in the model.
  static bool alone(const Operation& op);
  // It has no task.
  static bool of_kernel(const Operation& op);

 private:
  static constexpr std::uint32_t kNone = ~0u;
  enum class What : std::uint8_t { kTask, kRegion, kFile, kProcess };
  enum class Use : std::uint8_t { kAmongOthers, kAlone };
  struct Item {
    const Operation* op;
    std::uint32_t waits_for = 0;
    std::uint32_t edges = kNone;  // the first one
  };
  struct Edge {
    Number to;
    std::uint32_t next;
  };
  struct Thing {
    Number alone = kNone;       // the last one that used it alone
    std::vector<Number> since;  // and all that did not, since then
  };

  void use(What what, std::uint32_t id, Use how);
  void wait_for(Number earlier);
  std::uint32_t process_of(TaskId task);
  void follow_processes(const Operation& op);

  std::vector<Item> items_;
  std::vector<Edge> edges_;
  std::map<std::pair<What, std::uint32_t>, Thing> things_;
  std::map<TaskId, std::uint32_t> processes_;
  std::map<TaskId, TaskId> vfork_parents_;
  std::uint32_t last_process_ = 0;
};

}  // namespace kpksim::workload
