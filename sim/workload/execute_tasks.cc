// Operations of tasks: how they begin, take turns, call the kernel and end.

#include <array>

#include "sim/workload/execution.h"

namespace kpksim::workload {
namespace {

void spawn(Execution& x, const Operation& op) { x.kernel.spawn(op.task); }
void fork(Execution& x, const Operation& op) { x.kernel.fork(op.task, op.child); }
void vfork(Execution& x, const Operation& op) { x.kernel.vfork(op.task, op.child); }
void clone_thread(Execution& x, const Operation& op) { x.kernel.clone_thread(op.task, op.child); }
void exec(Execution& x, const Operation& op) {
  x.kernel.exec(op.task, x.image_of(op), op.parent_runs);
}
void exit(Execution& x, const Operation& op) { x.kernel.exit(op.task); }
void wait(Execution& x, const Operation& op) { x.kernel.wait(op.task, op.child); }
void switch_to(Execution& x, const Operation& op) { x.kernel.switch_to(op.task); }
void migrate(Execution& x, const Operation& op) { x.kernel.migrate(op.task, op.count); }
void system_call(Execution& x, const Operation& op) {
  const kernel::UserBuffer data{x.address_of(op), op.length, op.write};
  x.refuse_unless(x.kernel.system_call(op.task, op.call, op.count, data), op,
                  "the call's data lies where the program may not use memory so");
}

constexpr auto kTaskExecutors = std::to_array<Executor>({
    {OpKind::kSpawn, spawn},
    {OpKind::kFork, fork},
    {OpKind::kVfork, vfork},
    {OpKind::kCloneThread, clone_thread},
    {OpKind::kExec, exec},
    {OpKind::kExit, exit},
    {OpKind::kWait, wait},
    {OpKind::kSwitch, switch_to},
    {OpKind::kMigrate, migrate},
    {OpKind::kSyscall, system_call},
});

}  // namespace

std::span<const Executor> task_executors() { return kTaskExecutors; }

}  // namespace kpksim::workload
