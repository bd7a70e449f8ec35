#pragma once
// What is no usable recording, and why: the output of other tools, and what strace was told to
// leave out. All of these throw InputError.

#include <string>
#include <string_view>
#include <vector>

#include "sim/workload/strace_line.h"

namespace kpksim::workload {

inline constexpr std::size_t kHeadLines = 100;  // they decide whether this is strace's output

// Refuses what cannot be strace's output: binary data, JSON.
void check_head(const std::string& path, std::string_view text);

// Refuses lines of which most are not strace's. `text`: where the marks of other tools are.
void check_known(const std::string& path, std::string_view text,
                 const std::vector<StraceLine>& lines);

// Refuses a whole recording that shows nothing of what a program asks of the memory manager.
void check_use(const std::string& path, std::string_view text,
               const std::vector<StraceLine>& lines);

}  // namespace kpksim::workload
