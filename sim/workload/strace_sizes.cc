// The calls of a trace that say or change how large a file is, and which file a path stands for.

#include <algorithm>

#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kBlock = 512;  // of st_blocks

}  // namespace

// Only of regular files: what a device's mapping shows has nothing to do with its size.
void StraceReader::learn_size(const StraceLine& line, StraceFile& file) {
  const auto size = line.field(line.name == "statx" ? "stx_size" : "st_size");
  if (!size || !line.has("S_IFREG")) return;
  file.size = size;
  const auto blocks = line.field(line.name == "statx" ? "stx_blocks" : "st_blocks");
  if (!blocks || *blocks * kBlock + kPageSize > *size) return;
  file.holes = true;
  file.filled_end = std::max(file.filled_end, *blocks * kBlock);
}

void StraceReader::status(const StraceLine& line) {
  syscall();
  const bool by_descriptor = line.name.starts_with("fstat") && !line.name.starts_with("fstatat");
  if (by_descriptor) return learn_size(line, file_of(line.text(0)));
  const std::string path = quoted(line.text(1));
  if (path.empty()) {
    if (line.has("AT_EMPTY_PATH")) learn_size(line, file_of(line.text(0)));
    return;
  }
  if (line.has("S_IFREG")) learn_size(line, file_system_.at(path));
}

void StraceReader::status_of_path(const StraceLine& line) {
  settle(pid_);
  syscall();
  const std::string path = quoted(line.text(0));
  if (line.has("S_IFREG")) learn_size(line, file_system_.at(path));
}

void StraceReader::ftruncate(const StraceLine& line) {
  StraceFile* file = files().file(static_cast<int>(line.argument(0)));
  if (file == nullptr || !cut(*file, line.argument(1))) syscall();
  files().truncate(static_cast<int>(line.argument(0)), line.argument(1));
}

void StraceReader::truncate(const StraceLine& line) {
  settle(pid_);
  if (!cut(file_system_.at(quoted(line.text(0))), line.argument(1))) syscall();
}

// False: no process maps it, so that it is nothing to the kernel's memory.
bool StraceReader::cut(StraceFile& file, std::uint64_t to) {
  file.truncate(to);
  const auto& living = tasks_.living();
  const bool mapped = file.id != 0 && std::any_of(living.begin(), living.end(), [&](auto pid) {
                        return tasks_[pid].space->mapped(file, 0, ~std::uint64_t{0}).has_value();
                      });
  if (!mapped) {
    if (to == 0) file.id = 0;  // what is mapped from now on has other pages
    return false;
  }
  Operation& op = emit(OpKind::kTruncate, pid_);
  op.file_id = file.id;
  op.length = to;
  file.told = true;
  return true;
}

void StraceReader::fallocate(const StraceLine& line) {
  settle(pid_);
  StraceFile& file = file_of(line.text(0));
  const std::uint64_t first = line.argument(2), last = first + line.argument(3);
  const bool hole = line.has(1, "FALLOC_FL_PUNCH_HOLE");
  const bool moves = line.has(1, "FALLOC_FL_COLLAPSE_RANGE") ||
                     line.has(1, "FALLOC_FL_INSERT_RANGE");  // all that is behind, too
  if (hole || moves || line.has(1, "FALLOC_FL_ZERO_RANGE")) {
    const auto part = space().mapped(file, align_up(first, kPageSize),
                                     moves ? ~std::uint64_t{0} : align_down(last, kPageSize));
    if (!part) return syscall();
    Operation& op = emit(OpKind::kPunchHole, pid_);
    op.address = part->start;
    op.length = part->end - part->start;
    return space().discard(part->start, part->end);
  }
  syscall();
  if (!line.has(1, "FALLOC_FL_KEEP_SIZE")) file.grow(last);
  file.filled_end = std::max(file.filled_end, last);
}

void StraceReader::remove(const StraceLine& line) {
  settle(pid_);
  const std::string path = quoted(line.text(line.name == "unlinkat" ? 1 : 0));
  const StraceFile* file = file_system_.find(path);
  file_system_.remove(path);
  if (file != nullptr && file->forgotten()) {
    emit(OpKind::kClose, pid_).file_id = file->id;
  } else {
    syscall();
  }
  absent_.insert(path);
}

void StraceReader::rename(const StraceLine& line) {
  settle(pid_);
  syscall();
  const bool at = line.name != "rename";
  const std::string from = quoted(line.text(at ? 1 : 0));
  const std::string to = quoted(line.text(at ? 3 : 1));
  file_system_.rename(from, to);
  absent_.insert(from);
  absent_.erase(to);
}

}  // namespace kpksim::workload
