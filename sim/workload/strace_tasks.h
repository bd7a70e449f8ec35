#pragma once
// The tasks of a trace: which are alive, in which group, with which address space and open files.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "sim/workload/strace_files.h"
#include "sim/workload/strace_ids.h"
#include "sim/workload/strace_images.h"
#include "sim/workload/strace_line.h"
#include "sim/workload/strace_space.h"

namespace kpksim::workload {

struct StraceTask {
  std::uint32_t group = 0;  // pid of the first thread
  bool alive = true;
  bool reaped = false;                    // dead and waited for
  const ProgramTraces* traces = nullptr;  // of the last execve
  std::shared_ptr<StraceSpace> space;
  std::shared_ptr<StraceFiles> files;
  StraceIds ids;
};

// Which task made which child: known from where the call returned, also when the child's first
// line stands before that.
class StraceParents {
 public:
  explicit StraceParents(const std::vector<StraceLine>& lines);
  // The parent of a child that is first seen at the line with this index: whose call returns it
  // next. 0: none does.
  std::uint32_t of(std::uint32_t child, std::size_t line) const;

 private:
  std::map<std::uint32_t, std::map<std::size_t, std::uint32_t>> returned_;  // child, line: parent
};

class StraceTasks {
 public:
  explicit StraceTasks(const TouchRule& rule) : rule_(rule) {}

  bool known(std::uint32_t pid) const { return tasks_.contains(pid); }
  bool alive(std::uint32_t pid) const;
  StraceTask& operator[](std::uint32_t pid) { return tasks_.at(pid); }

  void spawn(std::uint32_t pid);
  enum class Share { kNothing, kSpace, kThread };
  // `files`: CLONE_FILES.
  void clone(std::uint32_t pid, std::uint32_t child, Share share, bool files);
  void exec(std::uint32_t pid, const ProgramTraces& traces);
  void exit(std::uint32_t pid);
  // The living threads of the task's group, itself last.
  std::vector<std::uint32_t> group(std::uint32_t pid) const;
  const std::set<std::uint32_t>& living() const { return living_; }

 private:
  TouchRule rule_;
  std::map<std::uint32_t, StraceTask> tasks_;
  std::map<std::uint32_t, std::set<std::uint32_t>> groups_;  // of the living
  std::set<std::uint32_t> living_;
};

}  // namespace kpksim::workload
