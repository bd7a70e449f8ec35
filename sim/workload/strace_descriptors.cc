// The calls of a trace that decide which file a descriptor stands for, and what is read from it.

#include <fmt/format.h>

#include <algorithm>

#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

int descriptor_of(std::uint64_t value) { return static_cast<int>(value); }

}  // namespace

std::uint32_t StraceReader::id_of(StraceFile& file) {
  if (file.id == 0) {
    file.id = static_cast<std::uint32_t>(file_ids_.size() + 1);
    file_ids_.emplace(fmt::format("{}: {}", file.id, file.path), file.id);
  }
  return file.id;
}

// What a call says of a descriptor (-y) is newer than what its open said, but a file that has no
// name is told apart only by that.
StraceFile& StraceReader::file_of(std::string_view descriptor) {
  const std::string_view shown = StraceLine::path_of(descriptor);
  const int number = descriptor_of(strace_number(descriptor).value_or(0));
  StraceFile* file = files().file(number);
  if (file != nullptr && (shown.empty() || shown == file->path || file->removed)) return *file;
  return file_system_.at(shown.empty() ? fmt::format("descriptor {} of {}", number, pid_)
                                       : std::string(shown));
}

void StraceReader::open(const StraceLine& line) {
  syscall();
  const std::size_t at = line.name.starts_with("openat") ? 1 : 0;
  std::string path(StraceLine::path_of(line.result));
  if (path.empty()) path = quoted(line.text(at));
  const bool nameless = line.name == "memfd_create" || line.has("O_TMPFILE");
  const bool made =
      nameless || line.has("O_EXCL") || (line.has("O_CREAT") && absent_.contains(path));
  const bool empty = made || line.has("O_TRUNC") || line.name == "creat";
  const bool device = path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
  absent_.erase(path);
  if (nameless) path = fmt::format("nameless file of line {}", line_);
  StraceFile& file = nameless          ? file_system_.unnamed(path)
                     : made && !device ? file_system_.create(path)
                                       : file_system_.at(path);
  if (empty && !device) cut(file, 0);
  file.removed |= nameless;
  file.memory |= line.name == "memfd_create";
  if (line.name == "memfd_create") file.huge_page = hugetlb_flag(line.text(1), "MFD");
  files().open(descriptor_of(line.value()), file, line.has("O_CLOEXEC") || line.has("MFD_CLOEXEC"),
               (empty || line.has("O_APPEND")) && !device);
  if (line.has("O_APPEND")) files().seek(descriptor_of(line.value()), file.size.value_or(0));
}

void StraceReader::pidfd_open(const StraceLine& line) {
  settle(pid_);
  syscall();
  StraceFile& file = file_system_.unnamed(fmt::format("pidfd of {}", line.argument(0)));
  file.process = static_cast<std::uint32_t>(line.argument(0));
  file.removed = true;
  files().open(descriptor_of(line.value()), file, true, false);
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
  const StraceFile* file = files().file(descriptor_of(line.argument(0)));
  files().close(descriptor_of(line.argument(0)));
  if (file == nullptr || !file->forgotten()) return syscall();
  Operation& op = emit(OpKind::kClose, pid_);
  op.file_id = file->id;
  op.call = call_;
}

// The descriptors of a process go with it.
void StraceReader::close_all(std::uint32_t pid) {
  if (tasks_[pid].files.use_count() != 1) return;
  for (const StraceFile* file : tasks_[pid].files->last()) {
    Operation& op = emit(OpKind::kClose, pid);
    op.file_id = file->id;
    op.unnamed = true;
  }
}

void StraceReader::close_range(const StraceLine& line) {
  syscall();
  if (line.has(2, "CLOSE_RANGE_CLOEXEC")) return;
  files().close_range(descriptor_of(line.argument(0)),
                      descriptor_of(std::min<std::uint64_t>(line.argument(1), 1u << 30)));
}

void StraceReader::seek(const StraceLine& line) {
  syscall();
  const int descriptor = descriptor_of(line.argument(0));
  files().seek(descriptor, line.value());
  StraceFile* file = files().file(descriptor);
  if (file != nullptr && line.has(2, "SEEK_END") && line.is_number(1) && line.argument(1) == 0) {
    file->size = line.value();
  }
}

void StraceReader::data_in(const StraceLine& line) {
  syscall();
  if (line.name == "read" || line.name == "readv") {
    files().read(descriptor_of(line.argument(0)), line.value());
  }
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
