#include "sim/workload/order.h"

#include <algorithm>

namespace kpksim::workload {
namespace {

constexpr std::uint32_t kKernelTask = ~0u;

bool is_any(OpKind kind, std::initializer_list<OpKind> kinds) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

// Uses memory as it is.
bool only_uses(const Operation& op) {
  if (op.kind == OpKind::kMadvise) {
    return op.advice == Advice::kDontNeed || op.advice == Advice::kPopulateRead ||
           op.advice == Advice::kPopulateWrite;
  }
  return is_any(op.kind, {OpKind::kTouch, OpKind::kSyscall, OpKind::kFork, OpKind::kVfork,
                          OpKind::kCloneThread, OpKind::kPunchHole, OpKind::kStrayStore});
}

bool has_memory(const Operation& op) {
  return is_any(op.kind, {OpKind::kMmap, OpKind::kMunmap, OpKind::kMprotect, OpKind::kMadvise,
                          OpKind::kMlock, OpKind::kMunlock, OpKind::kMlockAll, OpKind::kMunlockAll,
                          OpKind::kMremap, OpKind::kBrk, OpKind::kTouch, OpKind::kPunchHole,
                          OpKind::kStrayStore}) ||
         (op.kind == OpKind::kSyscall && op.length != 0);
}

}  // namespace

bool OperationOrder::alone(const Operation& op) {
  return is_any(op.kind, {OpKind::kIdle, OpKind::kPressure, OpKind::kNrHugepages,
                          OpKind::kHugepages, OpKind::kFragment, OpKind::kUnfragment});
}

bool OperationOrder::of_kernel(const Operation& op) {
  return is_any(op.kind, {OpKind::kVmalloc, OpKind::kVfree, OpKind::kVmMapRam, OpKind::kVmUnmapRam,
                          OpKind::kVmUnmapAliases});
}

void OperationOrder::add(const Operation& op) {
  items_.push_back({&op});
  use(What::kTask, of_kernel(op) ? kKernelTask : op.task, Use::kAlone);
  if (is_any(op.kind, {OpKind::kFork, OpKind::kVfork, OpKind::kCloneThread, OpKind::kWait})) {
    use(What::kTask, op.child, Use::kAlone);
  }
  const Use how = only_uses(op) ? Use::kAmongOthers : Use::kAlone;
  if (op.region != 0) use(What::kRegion, op.region, how);
  if (op.new_region != 0) use(What::kRegion, op.new_region, Use::kAlone);
  if (op.region == 0 && has_memory(op)) use(What::kProcess, process_of(op.task), how);
  if (is_any(op.kind, {OpKind::kTruncate, OpKind::kClose})) {
    use(What::kFile, op.file_id, Use::kAlone);
  } else if (op.kind == OpKind::kMmap && op.file) {
    use(What::kFile, op.file_id, Use::kAmongOthers);
  }
  follow_processes(op);
}

void OperationOrder::forget_operations() {
  items_.clear();
  edges_.clear();
  things_.clear();
}

void OperationOrder::follow_processes(const Operation& op) {
  switch (op.kind) {
    case OpKind::kVfork:
      vfork_parents_[op.child] = op.task;
      [[fallthrough]];
    case OpKind::kCloneThread:
      processes_[op.child] = process_of(op.task);
      break;
    case OpKind::kSpawn:
    case OpKind::kExec:
      processes_[op.task] = ++last_process_;
      break;
    case OpKind::kFork:
      processes_[op.child] = ++last_process_;
      break;
    default:
      break;
  }
  if (op.kind != OpKind::kExec && op.kind != OpKind::kExit) return;
  const auto parent = vfork_parents_.find(op.task);
  if (parent == vfork_parents_.end()) return;
  use(What::kTask, parent->second, Use::kAlone);
  vfork_parents_.erase(parent);
}

std::uint32_t OperationOrder::process_of(TaskId task) {
  const auto [it, fresh] = processes_.try_emplace(task, last_process_ + 1);
  if (fresh) ++last_process_;
  return it->second;
}

void OperationOrder::use(What what, std::uint32_t id, Use how) {
  const auto n = static_cast<Number>(items_.size() - 1);
  Thing& thing = things_[{what, id}];
  if (how == Use::kAmongOthers) {
    if (thing.alone != kNone) wait_for(thing.alone);
    thing.since.push_back(n);
    return;
  }
  for (const Number earlier : thing.since) wait_for(earlier);
  if (thing.since.empty() && thing.alone != kNone) wait_for(thing.alone);
  thing.since.clear();
  thing.alone = n;
}

void OperationOrder::wait_for(Number earlier) {
  const auto n = static_cast<Number>(items_.size() - 1);
  if (earlier == n) return;
  edges_.push_back({n, items_[earlier].edges});
  items_[earlier].edges = static_cast<std::uint32_t>(edges_.size() - 1);
  ++items_[n].waits_for;
}

}  // namespace kpksim::workload
