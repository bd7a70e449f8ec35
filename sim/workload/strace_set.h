#pragma once
// Which files are one recording: strace -ff -o PREFIX writes PREFIX.PID for each task.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/workload/strace_line.h"

namespace kpksim::workload {

// The pid at the end of a name of strace -ff, also behind .gz or .zst; nullopt if there is none.
std::optional<std::uint32_t> pid_of_file(const std::string& path);

// PREFIX of such a name.
std::string prefix_of_file(const std::string& path);

// The files PREFIX.PID, by pid; empty if there are none.
std::vector<std::string> files_of_prefix(const std::string& prefix);

// Recordings, each one file or more: of the paths PREFIX.PID with one prefix those that are one
// run, as a call in one of them has made the task of another. The order is that of their first
// files.
std::vector<std::vector<std::string>> group_recordings(const std::vector<std::string>& paths);

// Lines of several files in one order: by time where all files have times, else the tasks that are
// alive take turns. A task begins when the call has returned that makes it, one in vfork() goes on
// when its child has executed a program or ended, and one that waits when that child has ended.
std::vector<StraceLine> join_files(std::vector<std::vector<StraceLine>> files,
                                   const std::vector<std::uint32_t>& pids);

}  // namespace kpksim::workload
