// What a trace tells the kernel of the use of its memory: madvise, and mlock.

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

// include/uapi/asm-generic/mman-common.h. A strace that is older than an advice prints its number.
struct NamedAdvice {
  std::string_view name;
  std::uint64_t number;
  std::optional<Advice> advice;  // nullopt: the model has nothing of the kind
};
constexpr NamedAdvice kAdvices[] = {
    {"MADV_NORMAL", 0, Advice::kOther},
    {"MADV_RANDOM", 1, Advice::kOther},
    {"MADV_SEQUENTIAL", 2, Advice::kOther},
    {"MADV_WILLNEED", 3, Advice::kOther},
    {"MADV_DONTNEED", 4, Advice::kDontNeed},
    {"MADV_FREE", 8, Advice::kFree},
    {"MADV_REMOVE", 9, std::nullopt},  // as fallocate: see advise()
    {"MADV_DONTFORK", 10, Advice::kDontFork},
    {"MADV_DOFORK", 11, Advice::kDoFork},
    {"MADV_MERGEABLE", 12, std::nullopt},
    {"MADV_UNMERGEABLE", 13, std::nullopt},
    {"MADV_HUGEPAGE", 14, Advice::kHugepage},
    {"MADV_NOHUGEPAGE", 15, Advice::kNoHugepage},
    {"MADV_DONTDUMP", 16, Advice::kOther},
    {"MADV_DODUMP", 17, Advice::kOther},
    {"MADV_WIPEONFORK", 18, Advice::kWipeOnFork},
    {"MADV_KEEPONFORK", 19, Advice::kKeepOnFork},
    {"MADV_COLD", 20, Advice::kCold},
    {"MADV_PAGEOUT", 21, Advice::kPageout},
    {"MADV_POPULATE_READ", 22, Advice::kPopulateRead},
    {"MADV_POPULATE_WRITE", 23, Advice::kPopulateWrite},
    {"MADV_DONTNEED_LOCKED", 24, Advice::kDontNeedLocked},
    {"MADV_COLLAPSE", 25, Advice::kCollapse},
    {"MADV_HWPOISON", 100, std::nullopt},
    {"MADV_SOFT_OFFLINE", 101, std::nullopt},
    {"MADV_GUARD_INSTALL", 102, Advice::kGuardInstall},
    {"MADV_GUARD_REMOVE", 103, Advice::kGuardRemove},
};

const NamedAdvice* advice_of(const StraceLine& line, std::size_t i) {
  const bool number = line.is_number(i);
  for (const NamedAdvice& known : kAdvices) {
    if (number ? line.argument(i) == known.number : line.has(i, known.name)) return &known;
  }
  return nullptr;
}

// "[{iov_base=0x7f00, iov_len=4096}, ...]": addresses and lengths.
std::vector<std::pair<std::uint64_t, std::uint64_t>> vectors_of(std::string_view text) {
  constexpr std::string_view kBase = "iov_base=", kLength = "iov_len=";
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  for (std::size_t at = text.find(kBase); at != std::string_view::npos; at = text.find(kBase, at)) {
    const auto base = strace_number(text.substr(at += kBase.size()));
    at = text.find(kLength, at);
    if (at == std::string_view::npos) break;
    const auto length = strace_number(text.substr(at + kLength.size()));
    if (base && length) out.emplace_back(*base, *length);
  }
  return out;
}

}  // namespace

void StraceReader::madvise(const StraceLine& line) {
  if (!range(line)) return;
  advise(line, 2, line.argument(0), line.argument(0) + align_up(line.argument(1), kPageSize));
}

// The advice is the line's argument `which`.
void StraceReader::advise(const StraceLine& line, std::size_t which, std::uint64_t start,
                          std::uint64_t end) {
  const NamedAdvice* named = advice_of(line, which);
  const std::string_view name = named == nullptr ? line.text(which) : named->name;
  if (name == "MADV_POPULATE_WRITE") space().populated(start, end);
  settle(pid_);
  if (name == "MADV_DONTNEED" || name == "MADV_FREE") {
    std::vector<PageTouch> used;
    space().use_up(start, end, used);
    touch(pid_, used);
  }
  const bool hole = name == "MADV_REMOVE";
  if (!hole && (named == nullptr || !named->advice)) {
    unclear("call without a model: madvise(" + std::string(name) + ")");
    return syscall();
  }
  Operation& op = emit(hole ? OpKind::kPunchHole : OpKind::kMadvise, pid_);
  op.address = start;
  op.length = end - start;
  if (hole) return space().discard(start, end);
  op.advice = *named->advice;
  told(op.advice, start, end);
}

// What the program is known to have, after the advice.
void StraceReader::told(Advice advice, std::uint64_t start, std::uint64_t end) {
  switch (advice) {
    case Advice::kDontNeed:
    case Advice::kDontNeedLocked:
    case Advice::kPageout:
      return space().discard(start, end);
    case Advice::kGuardInstall:
      return space().guard(start, end, true);
    case Advice::kGuardRemove:
      return space().guard(start, end, false);
    case Advice::kDontFork:
    case Advice::kDoFork:
      return space().mark(start, end, &StraceArea::dont_fork, advice == Advice::kDontFork);
    case Advice::kWipeOnFork:
    case Advice::kKeepOnFork:
      return space().mark(start, end, &StraceArea::wipe_on_fork, advice == Advice::kWipeOnFork);
    default:
      return;
  }
}

// Of the calling process alone: to give another one advice is not modelled.
void StraceReader::process_madvise(const StraceLine& line) {
  const StraceFile* file = files().file(static_cast<int>(line.argument(0)));
  const bool own = line.has(0, "PIDFD_SELF") || line.has(0, "PIDFD_SELF_THREAD_GROUP") ||
                   (file != nullptr && file->process != 0 && tasks_.known(file->process) &&
                    tasks_[file->process].space == tasks_[pid_].space);
  if (!own) return unmodelled(line);
  std::uint64_t left = line.value();
  for (const auto& [start, length] : vectors_of(line.text(1))) {
    if (left == 0) break;
    const std::uint64_t bytes = std::min(left, length);
    left -= bytes;
    advise(line, 3, start, start + align_up(bytes, kPageSize));
  }
}

// The kernel brings all pages, unless they are to be locked when they are touched.
void StraceReader::mlock(const StraceLine& line) {
  if (!range(line)) return;
  const std::uint64_t start = align_down(line.argument(0), kPageSize);
  const std::uint64_t end = align_up(line.argument(0) + line.argument(1), kPageSize);
  const bool lock = line.name != "munlock";
  const bool on_fault = line.name == "mlock2" && (line.has(2, "MLOCK_ONFAULT") ||
                                                  (line.is_number(2) && line.argument(2) == 1));
  if (lock && !on_fault) space().populated(start, end);
  settle(pid_);
  Operation& op = emit(lock ? OpKind::kMlock : OpKind::kMunlock, pid_);
  op.address = start;
  op.length = end - start;
  op.on_fault = on_fault;
}

void StraceReader::mlockall(const StraceLine& line) {
  const bool on_fault = line.has(0, "MCL_ONFAULT"), current = line.has(0, "MCL_CURRENT");
  const bool lock = line.name == "mlockall";
  space().locks_all = lock && line.has(0, "MCL_FUTURE") && !on_fault;
  if (current && !on_fault) space().populated(0, ~std::uint64_t{0});
  settle(pid_);
  Operation& op = emit(lock ? OpKind::kMlockAll : OpKind::kMunlockAll, pid_);
  op.current = current;
  op.future = line.has(0, "MCL_FUTURE");
  op.on_fault = on_fault;
}

}  // namespace kpksim::workload
