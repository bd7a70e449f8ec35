#pragma once
// Which task each line of a recording belongs to. strace leaves the pid out while there is only one
// task on a terminal, and a call that makes or waits for a task returns the number that this task
// has in the caller's PID namespace, which is not the one that its lines bear.

#include <cstdint>
#include <vector>

#include "sim/workload/strace_line.h"

namespace kpksim::workload {

inline constexpr std::uint32_t kNamelessTask = 1;  // of a trace whose lines bear no pid

// Sets pid and child of all lines. Returns how many tasks were made of which there is no line.
std::uint64_t name_tasks(std::vector<StraceLine>& lines);

}  // namespace kpksim::workload
