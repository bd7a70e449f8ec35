// The calls of a trace that make, change and end mappings.

#include <fmt/format.h>

#include "sim/base/error.h"
#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kUserEnd = 1ull << 48;

bool is_raw(std::string_view flags) {
  return !flags.empty() && flags.front() >= '0' && flags.front() <= '9' &&
         flags.find("/*") == std::string_view::npos;
}

std::uint8_t prot_of(const StraceLine& line, std::size_t i) {
  return static_cast<std::uint8_t>((line.has(i, "PROT_READ") ? kProtRead : 0) |
                                   (line.has(i, "PROT_WRITE") ? kProtWrite : 0) |
                                   (line.has(i, "PROT_EXEC") ? kProtExec : 0));
}

}  // namespace

void StraceReader::map(StraceArea area, std::uint32_t file, std::uint64_t offset) {
  Operation& op = emit(OpKind::kMmap, pid_);
  op.address = area.start;
  op.length = area.end - area.start;
  op.prot = area.prot;
  op.shared = area.shared;
  op.file = area.file;
  op.file_id = file;
  op.file_offset = offset;
  space().frees = false;
  const bool huge_pages = rule_.huge_pages && !space().no_huge_pages;
  if (!huge_pages && !area.file && !area.shared) op.advice = Advice::kNoHugepage;
  space().map(area);
}

void StraceReader::mmap(const StraceLine& line) {
  if (!range(line)) return;
  const bool whole = line.arguments.size() == 6;
  if (whole && is_raw(line.text(2)) && is_raw(line.text(3))) {
    throw InputError(
        fmt::format("{}:{}: flags as numbers ('{}'); expected names, record without -X raw",
                    workload_.source, line_, line.text(2)));
  }
  if (!whole || is_raw(line.text(2)) || is_raw(line.text(3))) {
    unclear("memory call with unknown arguments");
    return syscall();
  }
  StraceArea area;
  area.start = line.value();
  area.end = area.start + align_up(line.argument(1), kPageSize);
  if (area.start == 0 || area.end > kUserEnd) {
    unclear("memory call beyond 48-bit addresses");
    return syscall();
  }
  area.prot = prot_of(line, 2);
  area.file = !line.has(3, "MAP_ANONYMOUS") && !line.has(3, "MAP_ANON");
  area.shared = line.has(3, "MAP_SHARED") || line.has(3, "MAP_SHARED_VALIDATE");
  area.stack = line.has(3, "MAP_STACK");
  area.zero = !area.file && line.has(3, "MAP_FIXED");  // a loader's, behind a file's data
  area.populate = line.has(3, "MAP_POPULATE") || line.has(3, "MAP_LOCKED");
  if (const ProgramTraces* traces = tasks_[pid_].traces; area.file && traces != nullptr) {
    area.read_only_end = traces->read_only_end(area.start);
  }
  map(area, area.file ? file_of(line.text(4)) : 0, line.argument(5));
}

void StraceReader::munmap(const StraceLine& line) {
  if (!range(line)) return;
  const std::uint64_t start = line.argument(0);
  const std::uint64_t end = start + align_up(line.argument(1), kPageSize);
  if (space().waits_whole(start, end)) settle(pid_);  // mapped, used and unmapped
  std::vector<PageTouch> freed = space().walk(start, end);
  space().use_up_large(start, end, freed);
  touch(pid_, freed);
  space().frees = !freed.empty();
  Operation& op = emit(OpKind::kMunmap, pid_);
  op.address = start;
  op.length = end - start;
  space().unmap(start, end);
}

void StraceReader::mprotect(const StraceLine& line) {
  if (!range(line)) return;
  const std::uint8_t prot = prot_of(line, 2);
  // Relocated tables become read-only: the linker has written them.
  if (prot != kProtNone && (prot & kProtWrite) == 0) settle(pid_);
  Operation& op = emit(OpKind::kMprotect, pid_);
  op.address = line.argument(0);
  op.length = align_up(line.argument(1), kPageSize);
  op.prot = prot;
  space().protect(op.address, op.address + op.length, prot);
}

void StraceReader::mremap(const StraceLine& line) {
  if (!range(line)) return;
  settle(pid_);
  const std::uint64_t new_length = align_up(line.argument(2), kPageSize);
  if (new_length == 0 || line.has(3, "MREMAP_DONTUNMAP")) {
    unclear("mremap that leaves the old mapping");
    return syscall();
  }
  Operation& op = emit(OpKind::kMremap, pid_);
  op.address = line.argument(0);
  op.length = align_up(line.argument(1), kPageSize);
  op.new_length = new_length;
  op.new_address = line.value();
  space().move(op.address, op.length, op.new_address, new_length);
}

// The heap lies where the recorded program had it, which is not where the model's own exec puts
// one: what brk adds and takes is mapped and unmapped as the kernel's brk does it.
void StraceReader::brk(const StraceLine& line) {
  settle(pid_);
  const std::uint64_t old = space().brk, now = line.value();
  space().brk = now;
  const std::uint64_t from = align_up(old, kPageSize), to = align_up(now, kPageSize);
  if (line.argument(0) == 0 && old != 0 && old != now) unclear("break that no call has set");
  // Only a question: if the answer is new, a call that set it is missing.
  if (line.argument(0) == 0 || old == 0 || from == to) return syscall();
  if (from < to) {
    StraceArea area;
    area.start = from;
    area.end = to;
    area.prot = kProtRead | kProtWrite;
    area.heap = true;
    return map(area, 0, 0);
  }
  if (rule_.touch) {
    touch(pid_, {{to, kPageSize, kPageSize, true}});  // the heap had reached up to here
  }
  space().frees = true;
  Operation& op = emit(OpKind::kMunmap, pid_);
  op.address = to;
  op.length = from - to;
  space().unmap(to, from);
}

void StraceReader::shmget(const StraceLine& line) {
  segment_bytes_[line.value()] = align_up(line.argument(1), kPageSize);
  syscall();
}

void StraceReader::shmat(const StraceLine& line) {
  const auto segment = segment_bytes_.find(line.argument(0));
  if (segment == segment_bytes_.end() || segment->second == 0 || line.value() == 0) {
    unclear("shared memory of unknown size");
    return syscall();
  }
  StraceArea area;
  area.start = line.value();
  area.end = area.start + segment->second;
  area.prot = kProtRead;
  if (!line.has(2, "SHM_RDONLY")) area.prot |= kProtWrite;
  area.shared = area.file = true;
  attached_bytes_[area.start] = segment->second;
  const auto id = static_cast<std::uint32_t>(file_ids_.size() + 1);
  map(area, file_ids_.try_emplace(fmt::format("segment {}", segment->first), id).first->second, 0);
}

void StraceReader::shmdt(const StraceLine& line) {
  const auto attached = attached_bytes_.find(line.argument(0));
  if (attached == attached_bytes_.end()) return syscall();
  settle(pid_);
  Operation& op = emit(OpKind::kMunmap, pid_);
  op.address = attached->first;
  op.length = attached->second;
  space().unmap(op.address, op.address + op.length);
}

}  // namespace kpksim::workload
