// The calls of a trace that decide which file a descriptor stands for, and what is read from it.

#include <fmt/format.h>

#include <algorithm>

#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

int descriptor_of(std::uint64_t value) { return static_cast<int>(value); }

}  // namespace

std::uint32_t StraceReader::file_of(std::string_view descriptor) {
  std::string key(StraceLine::path_of(descriptor));
  const int number = descriptor_of(strace_number(descriptor).value_or(0));
  if (key.empty()) {
    const std::string* path = files().path(number);
    key = path != nullptr ? *path : fmt::format("descriptor {} of {}", number, pid_);
  }
  return file_ids_.try_emplace(key, static_cast<std::uint32_t>(file_ids_.size() + 1)).first->second;
}

void StraceReader::open(const StraceLine& line) {
  syscall();
  const std::size_t at = line.name.starts_with("openat") ? 1 : 0;
  std::string path(StraceLine::path_of(line.result));
  if (path.empty()) path = line.text(at);
  if (path.size() > 2 && path.front() == '"') path = path.substr(1, path.find('"', 1) - 1);
  if (line.name == "memfd_create") path = fmt::format("memory file of line {}", line_);
  const bool empty = line.has("O_TRUNC") || line.has("O_EXCL") || line.has("O_APPEND") ||
                     line.name == "creat" || line.name == "memfd_create" ||
                     (line.has("O_CREAT") && absent_.contains(path));
  absent_.erase(path);
  files().open(descriptor_of(line.value()), path, line.has("O_CLOEXEC") || line.has("MFD_CLOEXEC"),
               empty && !path.starts_with("/dev/"));
}

void StraceReader::duplicate(const StraceLine& line) {
  syscall();
  files().duplicate(descriptor_of(line.argument(0)), descriptor_of(line.value()),
                    line.has(2, "O_CLOEXEC"));
}

void StraceReader::fcntl(const StraceLine& line) {
  syscall();
  const int descriptor = descriptor_of(line.argument(0));
  if (line.has(1, "F_DUPFD") || line.has(1, "F_DUPFD_CLOEXEC")) {
    files().duplicate(descriptor, descriptor_of(line.value()), line.has(1, "F_DUPFD_CLOEXEC"));
  } else if (line.has(1, "F_SETFD")) {
    files().set_close_on_exec(descriptor, line.has(2, "FD_CLOEXEC") || line.argument(2) == 1);
  }
}

void StraceReader::close(const StraceLine& line) {
  syscall();
  files().close(descriptor_of(line.argument(0)));
}

void StraceReader::ftruncate(const StraceLine& line) {
  syscall();
  if (line.argument(1) == 0) files().truncate(descriptor_of(line.argument(0)));
}

void StraceReader::close_range(const StraceLine& line) {
  syscall();
  if (line.has(2, "CLOSE_RANGE_CLOEXEC")) return;
  files().close_range(descriptor_of(line.argument(0)),
                      descriptor_of(std::min<std::uint64_t>(line.argument(1), 1u << 30)));
}

void StraceReader::data_in(const StraceLine& line) {
  syscall();
  if (line.is_number(2) && line.argument(2) >= kLargeRequest) {
    settle(pid_);
    std::vector<PageTouch> data;
    space().read_into_large(line.value(), data);
    touch(pid_, data);
  }
  if (line.value() == 0 || !space().has_copies()) return;
  settle(pid_);
  touch(pid_, space().random(rule_.store_pages, random_));
}

}  // namespace kpksim::workload
