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
    {"MADV_WIPEONFORK", 18, std::nullopt},
    {"MADV_KEEPONFORK", 19, std::nullopt},
    {"MADV_COLD", 20, Advice::kCold},
    {"MADV_PAGEOUT", 21, std::nullopt},
    {"MADV_POPULATE_READ", 22, Advice::kPopulateRead},
    {"MADV_POPULATE_WRITE", 23, Advice::kPopulateWrite},
    {"MADV_DONTNEED_LOCKED", 24, Advice::kDontNeed},
    {"MADV_COLLAPSE", 25, Advice::kCollapse},
    {"MADV_HWPOISON", 100, std::nullopt},
    {"MADV_SOFT_OFFLINE", 101, std::nullopt},
    {"MADV_GUARD_INSTALL", 102, std::nullopt},
    {"MADV_GUARD_REMOVE", 103, std::nullopt},
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
  if (op.advice == Advice::kDontNeed) space().discard(start, end);
  if (op.advice == Advice::kDontFork || op.advice == Advice::kDoFork) {
    space().set_fork(start, end, &StraceArea::dont_fork, op.advice == Advice::kDontFork);
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
  if (line.name == "mlock2" && line.text(2) != "0") return unmodelled(line);
  if (lock) space().populated(start, end);
  settle(pid_);
  Operation& op = emit(lock ? OpKind::kMlock : OpKind::kMunlock, pid_);
  op.address = start;
  op.length = end - start;
}

}  // namespace kpksim::workload
