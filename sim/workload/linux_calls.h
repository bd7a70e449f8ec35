#pragma once
// The system calls of Linux, on any architecture, by the names that strace prints.

#include <string_view>

namespace kpksim::workload {

extern const char* const kLinuxCalls;  // one on each line

bool is_linux_call(std::string_view name);

}  // namespace kpksim::workload
