// What a call of a trace does with descriptors, as the kernel model takes it: whose credentials a
// file references, and for how long.

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

using kernel::DescriptorUse;
using Kind = DescriptorUse::Kind;

// Their result is a new descriptor, which stands for a new file.
constexpr auto kOpens = std::to_array<std::string_view>(
    {"open",          "openat",          "openat2",       "creat",          "socket",
     "accept",        "accept4",         "epoll_create",  "epoll_create1",  "eventfd",
     "eventfd2",      "signalfd",        "signalfd4",     "timerfd_create", "inotify_init",
     "inotify_init1", "memfd_create",    "memfd_secret",  "pidfd_open",     "userfaultfd",
     "fanotify_init", "perf_event_open", "io_uring_setup"});
// These allocate the file before they know whether they can have it; execve() opens its program so.
constexpr auto kWalks =
    std::to_array<std::string_view>({"open", "openat", "openat2", "creat", "execve", "execveat"});

bool is_one_of(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "[3, 4]", or "[3<pipe:[7]>, 4<pipe:[7]>]"
std::optional<DescriptorUse> pair_of(std::string_view text) {
  const std::size_t comma = text.find(", ");
  if (!text.starts_with('[') || comma == std::string_view::npos) return std::nullopt;
  const auto first = strace_number(text.substr(1)), second = strace_number(text.substr(comma + 2));
  if (!first || !second) return std::nullopt;
  return DescriptorUse{Kind::kOpenTwo, false, static_cast<int>(*first), static_cast<int>(*second)};
}

bool closes_on_exec(const StraceLine& line) {
  constexpr std::string_view kFlags[] = {"O_CLOEXEC",     "SOCK_CLOEXEC", "EFD_CLOEXEC",
                                         "EPOLL_CLOEXEC", "SFD_CLOEXEC",  "TFD_CLOEXEC",
                                         "IN_CLOEXEC",    "MFD_CLOEXEC"};
  return std::any_of(std::begin(kFlags), std::end(kFlags),
                     [&](std::string_view flag) { return line.has(flag); });
}

int number(std::uint64_t value) {
  return static_cast<int>(std::min<std::uint64_t>(value, 1u << 30));
}

}  // namespace

DescriptorUse descriptors_of(const StraceLine& line) {
  const std::string_view name = line.name;
  if (line.failed) return {is_one_of(kWalks, name) ? Kind::kFailedOpen : Kind::kNone};
  const int first = number(line.argument(0)), result = number(line.value());
  if (is_one_of(kOpens, name)) {
    // Of signalfd(), the descriptor may be there already.
    if (name.starts_with("signalfd") && line.is_number(0) && first == result) return {};
    const bool always = name == "pidfd_open" || name == "io_uring_setup";
    return {Kind::kOpen, closes_on_exec(line) || always, result, result};
  }
  if (name == "pipe" || name == "pipe2" || name == "socketpair") {
    const auto two = pair_of(line.text(name == "socketpair" ? 3 : 0));
    if (!two) return {};
    return {Kind::kOpenTwo, closes_on_exec(line), two->first, two->second};
  }
  if (name == "close") return {Kind::kClose, false, first, first};
  if (name == "close_range") {
    const int last = number(line.argument(1));
    const bool marks = line.has(2, "CLOSE_RANGE_CLOEXEC");
    return {marks ? Kind::kMark : Kind::kClose, marks, first, last};
  }
  if (name == "dup" || name == "dup2" || name == "dup3") {
    return {Kind::kDuplicate, closes_on_exec(line), first, result};
  }
  if (!name.starts_with("fcntl")) return {};
  if (line.has(1, "F_DUPFD_CLOEXEC")) return {Kind::kDuplicate, true, first, result};
  if (line.has(1, "F_DUPFD")) return {Kind::kDuplicate, false, first, result};
  if (!line.has(1, "F_SETFD")) return {};
  return {Kind::kMark, line.has(2, "FD_CLOEXEC") || line.argument(2) == 1, first, first};
}

}  // namespace kpksim::workload
