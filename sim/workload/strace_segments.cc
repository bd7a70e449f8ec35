// System V shared memory in a trace.

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {

// A segment that the recording makes is empty; one that was there before has its pages.
StraceFile& StraceReader::segment(std::uint64_t id, bool made) {
  StraceFile*& file = segments_[id];
  if (file != nullptr && !(made && file->removed)) return *file;
  file = &file_system_.unnamed(fmt::format("segment {}", id));
  file->memory = true;
  if (made) file->truncate(0);
  return *file;
}

void StraceReader::shmget(const StraceLine& line) {
  syscall();
  StraceFile& file = segment(line.value(), line.has(2, "IPC_CREAT"));
  if (line.has(2, "SHM_HUGETLB")) file.huge_page = hugetlb_flag(line.text(2), "SHM");
  const std::uint64_t bytes = align_up(line.argument(1), std::max(kPageSize, file.huge_page));
  if (bytes != 0) file.size = bytes;  // 0 asks for a segment of any size
}

void StraceReader::shmctl(const StraceLine& line) {
  settle(pid_);
  StraceFile& file = segment(line.argument(0), false);
  file.removed |= line.has(1, "IPC_RMID");
  if (file.forgotten()) {
    emit(OpKind::kClose, pid_).file_id = file.id;
  } else {
    syscall();
  }
  if (const auto bytes = line.field("shm_segsz"); bytes && line.is_number(0)) {
    file.size = align_up(*bytes, kPageSize);
  }
}

void StraceReader::shmat(const StraceLine& line) {
  StraceFile& file = segment(line.argument(0), false);
  if (!file.size || *file.size == 0 || line.value() == 0) {
    unclear("shared memory of unknown size");
    return syscall();
  }
  StraceArea area;
  area.start = line.value();
  area.end = area.start + *file.size;
  area.prot = kProtRead;
  if (!line.has(2, "SHM_RDONLY")) area.prot |= kProtWrite;
  if (line.has(2, "SHM_EXEC")) area.prot |= kProtExec;
  area.shared = area.file = true;
  map(area, &file, 0, Bring::kOnTouch);
}

void StraceReader::shmdt(const StraceLine& line) {
  const StraceArea* attached = space().find(line.argument(0));
  if (attached == nullptr || attached->backing == nullptr) return syscall();
  settle(pid_);
  Operation& op = emit(OpKind::kMunmap, pid_);
  op.address = attached->start;
  op.length = attached->backing->size.value_or(attached->end - attached->start);
  space().unmap(op.address, op.address + op.length);
}

}  // namespace kpksim::workload
