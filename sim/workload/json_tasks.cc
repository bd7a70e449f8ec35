// Tasks: how they begin, end, and where they run.

#include "sim/workload/json_reader.h"

namespace kpksim::workload {

void JsonOperations::Reader::migrate(From from, Task, Operation& op) {
  op.count = from.object.at("core").get<std::uint64_t>();
}

void JsonOperations::Reader::new_task(From from, Task task, Operation& op) {
  const std::string child = from.text("child");
  if (op.kind == OpKind::kFork) tasks_.fork(task, child, from.at("child"));
  if (op.kind == OpKind::kVfork) tasks_.vfork(task, child, from.at("child"));
  if (op.kind == OpKind::kCloneThread) tasks_.clone(task, child, from.at("child"));
}

void JsonOperations::Reader::exec(From from, Task task, Operation& op) {
  op.parent_runs = from.object.value("parent_runs", false);
  tasks_.exec(task);
}

void JsonOperations::Reader::exit(From, Task task, Operation&) { tasks_.exit(task); }

void JsonOperations::Reader::wait(From from, Task task, Operation&) {
  tasks_.wait(task, from.text("child"), from.at("child"));
}

}  // namespace kpksim::workload
