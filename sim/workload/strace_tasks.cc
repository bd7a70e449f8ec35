#include "sim/workload/strace_tasks.h"

#include <algorithm>

#include "sim/base/types.h"

namespace kpksim::workload {

bool makes_task(std::string_view call) {
  return call == "fork" || call == "vfork" || call == "clone" || call == "clone2" ||
         call == "clone3";
}

StraceParents::StraceParents(std::string_view text) {
  StraceLineParser parser;
  std::uint32_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view raw = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (raw.find("clone") == std::string_view::npos && raw.find("fork") == std::string_view::npos) {
      continue;
    }
    const StraceLine line = parser.parse(raw);
    if (line.kind != StraceLine::Kind::kCall || line.failed || !makes_task(line.name)) continue;
    returned_[static_cast<std::uint32_t>(line.value())][number] = line.pid;
  }
}

StraceParents::Parent StraceParents::of(std::uint32_t child, std::uint32_t line) const {
  const auto calls = returned_.find(child);
  if (calls == returned_.end()) return {};
  const auto call = calls->second.lower_bound(line);
  return call == calls->second.end() ? Parent{} : Parent{true, call->second};
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

std::uint32_t StraceTasks::only() const { return living_.size() == 1 ? *living_.begin() : 0; }

}  // namespace kpksim::workload
