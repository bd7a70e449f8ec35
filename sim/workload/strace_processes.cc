// Calls that make, change and end tasks, and what lines tell of that without a call.

#include <algorithm>

#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {

// Makes sure that the task lives: the child of a call that has not returned, or one that ran before
// the recording began. False if it is dead.
bool StraceReader::ensure(std::uint32_t pid) {
  if (tasks_.alive(pid)) return true;
  const std::uint32_t parent = parents_->of(pid, index_);
  auto call = begun_.end();
  if (parent != 0) {
    call = begun_.find(parent);
  } else if (!tasks_.known(pid)) {
    // The trace ends before the call returns: children start in the order of the calls.
    call = std::min_element(begun_.begin(), begun_.end(), [](const auto& a, const auto& b) {
      return a.second.number < b.second.number;
    });
  }
  if (call != begun_.end() && tasks_.alive(call->first)) {
    const Begun begun = call->second;
    const std::uint32_t maker = call->first;
    begun_.erase(call);
    early_.insert(pid);
    child_of(maker, begun.line, pid);
    return true;
  }
  if (tasks_.known(pid)) return false;
  tasks_.spawn(pid);
  step(OpKind::kSpawn, pid);
  return true;
}

void StraceReader::child_of(std::uint32_t parent, const StraceLine& line, std::uint32_t child) {
  if (tasks_.alive(child)) end(child);  // its end is missing, its number was used again
  const bool vfork = line.name == "vfork" || line.has("CLONE_VFORK");
  const bool shares = vfork || line.has("CLONE_VM");
  settle(parent);
  emit(vfork    ? OpKind::kVfork
       : shares ? OpKind::kCloneThread
                : OpKind::kFork,
       parent)
      .child = child;
  tasks_.clone(parent, child,
               line.has("CLONE_THREAD") ? StraceTasks::Share::kThread
               : shares                 ? StraceTasks::Share::kSpace
                                        : StraceTasks::Share::kNothing,
               line.has("CLONE_FILES"));
  if (!shares) {
    // The fork has ended the parent's turn, and both run at once: no turn delays these.
    for (const std::uint32_t pid : {parent, child}) {
      for (const PageTouch& t : tasks_[pid].space->forked(pid == child)) {
        fill(step(OpKind::kTouch, pid), t);
      }
    }
    return;
  }
  // The top of the new stack: clone's child_stack, clone3's stack and stack_size.
  const std::uint64_t top =
      line.field("child_stack")
          .value_or(line.field("stack").value_or(0) + line.field("stack_size").value_or(0));
  const std::uint64_t bytes = rule_.thread_pages * kPageSize;
  const std::uint64_t from = align_up(top, kPageSize) - bytes;
  if (top <= bytes || !tasks_[child].space->knows(from)) return;
  touch(child, {{from, bytes, kPageSize, true}});
  tasks_[child].space->wrote(from, from + bytes);
}

void StraceReader::make_task(const StraceLine& line) {
  const std::uint32_t child = line.child;
  begun_.erase(pid_);
  if (early_.erase(child) != 0) return;
  if (child == 0 || child == pid_) return unclear("new task without a number of its own");
  if (line.orphan) unclear("call whose beginning is missing");
  child_of(pid_, line, child);
}

void StraceReader::execve(const StraceLine& line) {
  settle(pid_);
  for (const std::uint32_t other : tasks_.group(pid_)) {
    if (other != pid_) end(other);
  }
  const std::uint32_t loaded = image(line);
  emit(OpKind::kExec, pid_).image = loaded;
  tasks_.exec(pid_, images_->of(index_));
  if (loaded != 0) start_program(loaded);
}

// A thread that is not the first runs execve: it goes on under the first one's number.
void StraceReader::superseded(const StraceLine& line) {
  if (!tasks_.alive(line.other)) return;
  for (const std::uint32_t other : tasks_.group(pid_)) {
    if (other != pid_) end(other);
  }
}

void StraceReader::end(std::uint32_t pid) {
  if (tasks_[pid].space.use_count() == 1) touch(pid, tasks_[pid].space->finish());
  close_all(pid);
  emit(OpKind::kExit, pid);
  tasks_.exit(pid);
  begun_.erase(pid);
}

void StraceReader::exit_thread(const StraceLine&) { end(pid_); }

void StraceReader::exit_group(const StraceLine&) {
  for (const std::uint32_t member : tasks_.group(pid_)) end(member);
}

void StraceReader::wait(const StraceLine& line) {
  const std::uint32_t child = line.child;
  const bool lives = line.has("WIFSTOPPED") || line.has("WIFCONTINUED") ||
                     line.has("CLD_STOPPED") || line.has("CLD_TRAPPED") || line.has("WNOWAIT");
  if (child == 0 || lives || !tasks_.known(child) || tasks_[child].reaped || child == pid_) {
    return syscall();
  }
  if (tasks_.alive(child)) {
    // Nobody waits for a thread of its own process: the number has been given to another task.
    const std::vector<std::uint32_t> members = tasks_.group(child);
    if (std::find(members.begin(), members.end(), pid_) != members.end()) return syscall();
    for (const std::uint32_t member : members) end(member);
  }
  emit(OpKind::kWait, pid_).child = child;
  tasks_[child].reaped = true;
}

}  // namespace kpksim::workload
