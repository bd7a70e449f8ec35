// The calls of a trace that make, change and end mappings.

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

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

bool StraceReader::range(const StraceLine& line) {
  const std::uint64_t start = line.argument(0), length = line.argument(1);
  const bool duplicates = line.name == "mremap";  // with no length
  if (line.orphan || !line.is_number(0) || !line.is_number(1)) {
    unclear(line.orphan ? "call whose beginning is missing" : "memory call with unknown arguments");
  } else if (start + length < start || start + length > kUserEnd) {
    unclear("memory call beyond 48-bit addresses");
  } else if (length != 0 || duplicates) {
    return true;
  }
  syscall();
  return false;
}

// `mapped`: of a file, which bytes are mapped; or what else the area shares with others.
void StraceReader::map(StraceArea area, StraceFile* file, std::uint64_t offset, Bring bring) {
  const std::uint64_t huge_page = huge_page_of(area, file, offset);
  if (huge_page != 0) area.end = align_up(area.end, huge_page);
  if (huge_page != 0 && file != nullptr && (area.prot & kProtWrite) != 0) {
    file->grow(offset + (area.end - area.start));  // hugetlbfs_file_mmap()
  }
  Operation& op = emit(OpKind::kMmap, pid_);
  op.hugetlb = huge_page;
  op.address = area.start;
  op.fixed = true;
  op.length = area.end - area.start;
  op.prot = area.prot;
  op.shared = area.shared;
  op.file = area.file;
  op.populate = bring == Bring::kNow;
  op.locked = bring == Bring::kLocked;
  if (file != nullptr) {
    area.backing = file;
    area.bias = offset - area.start;
    op.file_id = id_of(*file);
    op.file_offset = offset;
    // The kernel brings no page that does not exist.
    file->told |= bring != Bring::kOnTouch && file->exists(offset, op.length) < op.length;
    if (file->told) op.file_bytes = file->size.value_or(0);
    // Its pages come, zeroed, when they are touched first.
    op.shmem = huge_page != 0 || !file->cached(offset);
  }
  if (area.prot != kProtNone && bring == Bring::kOnTouch && space().reservation(area)) {
    ++reservations_;
    reserved_bytes_ += op.length;
  }
  space().frees = false;
  const bool huge_pages = rule_.huge_pages && !space().no_huge_pages;
  if (!huge_pages && !area.file && !area.shared) op.advice = Advice::kNoHugepage;
  space().map(area);
  if (bring != Bring::kOnTouch || space().locks_all) space().populated(area.start, area.end);
}

void StraceReader::tell_reservations() {
  if (reservations_ == 0) return;
  workload_.assumptions.push_back(fmt::format(
      "{} mapping(s) of more than {} MB, {} MB together, are address space, not memory in use "
      "(MAP_NORESERVE, files that are only read or are mostly holes): their beginning is touched",
      reservations_, rule_.reserve_mb, reserved_bytes_ >> 20));
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
  if (area.start == 0 && !line.has(3, "MAP_FIXED") && !line.has(3, "MAP_FIXED_NOREPLACE")) {
    unclear("memory call with unknown result");
    return syscall();
  }
  if (area.end > kUserEnd || area.end < area.start) {
    unclear("memory call beyond 48-bit addresses");
    return syscall();
  }
  area.prot = prot_of(line, 2);
  area.file = !line.has(3, "MAP_ANONYMOUS") && !line.has(3, "MAP_ANON");
  area.shared = line.has(3, "MAP_SHARED") || line.has(3, "MAP_SHARED_VALIDATE");
  area.stack = line.has(3, "MAP_STACK");
  area.reserve = line.has(3, "MAP_NORESERVE");
  if (!area.file) area.huge_page = hugetlb_flag(line.text(3), "MAP");
  StraceFile* file = area.file ? &file_of(line.text(4)) : nullptr;
  if (file != nullptr && file->path == "/dev/zero") {
    file = nullptr;
    area.file = false;
  }
  const bool fixed = line.has(3, "MAP_FIXED");
  area.zero = fixed && file == nullptr && !area.shared && (area.prot & kProtWrite) != 0 &&
              space().continues_data(area.start, area.end);
  if (const ProgramTraces* traces = tasks_[pid_].traces; file != nullptr && traces != nullptr) {
    area.read_only_end = traces->read_only_end(area.start);
  }
  // Memory that is taken out of use in place had been used as if it were unmapped.
  if (fixed && file == nullptr && area.prot == kProtNone) use_up(area.start, area.end);
  // MAP_NONBLOCK makes MAP_POPULATE do nothing.
  Bring bring = Bring::kOnTouch;
  if (line.has(3, "MAP_POPULATE") && !line.has(3, "MAP_NONBLOCK")) bring = Bring::kNow;
  if (line.has(3, "MAP_LOCKED")) bring = Bring::kLocked;
  map(area, file, line.argument(5), bring);
}

// Before [start, end) goes, and stays reserved.
void StraceReader::use_up(std::uint64_t start, std::uint64_t end) {
  std::vector<PageTouch> used;
  space().use_up_large(start, end, true, used);
  touch(pid_, used);
}

void StraceReader::munmap(const StraceLine& line) {
  if (!range(line)) return;
  const std::uint64_t start = line.argument(0);
  const std::uint64_t end = start + align_up(line.argument(1), kPageSize);
  if (space().waits_whole(start, end)) settle(pid_);  // mapped, used and unmapped
  std::vector<PageTouch> freed = space().walk(start, end);
  space().use_up_large(start, end, false, freed);
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
  const std::uint64_t start = line.argument(0), length = align_up(line.argument(1), kPageSize);
  if (prot == kProtNone) use_up(start, start + length);
  Operation& op = emit(OpKind::kMprotect, pid_);
  op.address = start;
  op.length = length;
  op.prot = prot;
  space().protect(op.address, op.address + op.length, prot);
}

void StraceReader::mremap(const StraceLine& line) {
  if (!range(line)) return;
  settle(pid_);
  Operation& op = emit(OpKind::kMremap, pid_);
  op.address = line.argument(0);
  op.length = align_up(line.argument(1), kPageSize);
  op.new_length = align_up(line.argument(2), kPageSize);
  op.new_address = line.value();
  op.dont_unmap = line.has(3, "MREMAP_DONTUNMAP");
  if (op.dont_unmap || op.length == 0) {
    space().duplicate(op.address, op.new_address, op.new_length, op.dont_unmap);
  } else {
    space().move(op.address, op.length, op.new_address, op.new_length);
  }
}

// Since Linux 4.0 it is a mapping of another part of the file over this one.
void StraceReader::remap_file_pages(const StraceLine& line) {
  if (!range(line)) return;
  const StraceArea* old = space().find(line.argument(0));
  if (old == nullptr || !old->shared || old->backing == nullptr) return unmodelled(line);
  settle(pid_);
  StraceArea area = *old;
  area.start = align_down(line.argument(0), kPageSize);
  area.end = area.start + align_up(line.argument(1), kPageSize);
  map(area, area.backing, line.argument(3) * kPageSize,
      line.has(4, "MAP_NONBLOCK") ? Bring::kOnTouch : Bring::kNow);
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
    return map(area, nullptr, 0, Bring::kOnTouch);
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

}  // namespace kpksim::workload
