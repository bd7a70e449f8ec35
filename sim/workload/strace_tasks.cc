#include "sim/workload/strace_tasks.h"

#include <algorithm>

#include "sim/base/types.h"

namespace kpksim::workload {

StraceParents::StraceParents(const std::vector<StraceLine>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const StraceLine& line = lines[i];
    if (line.kind == StraceLine::Kind::kCall && line.child != 0 && makes_task(line.name)) {
      returned_[line.child][i] = line.pid;
    }
  }
}

std::uint32_t StraceParents::of(std::uint32_t child, std::size_t line) const {
  const auto calls = returned_.find(child);
  if (calls == returned_.end()) return 0;
  const auto call = calls->second.lower_bound(line);
  return call == calls->second.end() ? 0 : call->second;
}

bool StraceTasks::alive(std::uint32_t pid) const {
  const auto it = tasks_.find(pid);
  return it != tasks_.end() && it->second.alive;
}

void StraceTasks::spawn(std::uint32_t pid) {
  StraceTask task;
  task.group = pid;
  task.space = std::make_shared<StraceSpace>(rule_);
  task.files = std::make_shared<StraceFiles>();
  tasks_[pid] = std::move(task);
  groups_[pid] = {pid};
  living_.insert(pid);
}

void StraceTasks::clone(std::uint32_t pid, std::uint32_t child, Share share, bool files) {
  StraceTask task = tasks_.at(pid);
  if (share == Share::kNothing) task.space = std::make_shared<StraceSpace>(*task.space);
  if (!files) task.files = std::make_shared<StraceFiles>(*task.files);
  if (share != Share::kThread) task.group = child;
  task.alive = true;
  task.reaped = false;
  groups_[task.group].insert(child);
  living_.insert(child);
  tasks_[child] = std::move(task);
}

void StraceTasks::exec(std::uint32_t pid, const ProgramTraces& traces) {
  StraceTask& task = tasks_.at(pid);
  const bool no_huge_pages = task.space->no_huge_pages;  // outlives execve (MMF_INIT_MASK)
  task.space = std::make_shared<StraceSpace>(rule_);
  task.space->no_huge_pages = no_huge_pages;
  task.files = std::make_shared<StraceFiles>(*task.files);
  task.files->executed();
  task.traces = &traces;
}

void StraceTasks::exit(std::uint32_t pid) {
  StraceTask& task = tasks_.at(pid);
  task.alive = false;
  task.space.reset();
  task.files.reset();
  if (auto& group = groups_[task.group]; group.erase(pid) != 0 && group.empty()) {
    groups_.erase(task.group);
  }
  living_.erase(pid);
}

std::vector<std::uint32_t> StraceTasks::group(std::uint32_t pid) const {
  std::vector<std::uint32_t> out;
  for (const std::uint32_t other : groups_.at(tasks_.at(pid).group)) {
    if (other != pid) out.push_back(other);
  }
  out.push_back(pid);
  return out;
}

}  // namespace kpksim::workload
