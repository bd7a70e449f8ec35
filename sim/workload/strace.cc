#include "sim/workload/strace.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "sim/base/error.h"
#include "sim/base/types.h"
#include "sim/workload/strace_line.h"
#include "sim/base/text_input.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kLarge = 64ull << 20;
constexpr std::size_t kHead = 100;  // lines that decide whether this is strace's output

// What the reader must know of a process to say what its calls mean.
struct Process {
  std::map<int, std::uint32_t> files;  // descriptor -> file
  std::uint64_t brk = 0;
  std::deque<std::uint64_t> written;  // pages, the newest last
  bool vforked = false;               // still in its parent's address space
};

class Reader {
 public:
  Reader(const std::string& path, const TouchRule& rule) : rule_(rule) {
    workload_.source = path;
    const std::size_t slash = path.find_last_of('/');
    workload_.name = path.substr(slash == std::string::npos ? 0 : slash + 1);
    workload_.name = workload_.name.substr(0, workload_.name.find(".strace"));
    workload_.phases.push_back({"trace", {}});
  }

  Workload read();

 private:
  void call(const StraceLine& line);
  void begun(const StraceLine& line);
  void memory_call(const StraceLine& line);
  bool process_call(const StraceLine& line);
  void child_of(const StraceLine& line, std::uint32_t child);
  void mapped(const StraceLine& line);
  void touch(std::uint64_t address, std::uint64_t length, unsigned percent, bool write);
  void touch_recent(std::uint32_t pid);
  void ensure(std::uint32_t pid);
  void exited(std::uint32_t pid);
  void finish();

  Operation& emit(OpKind kind, std::uint32_t pid) {
    Step step;
    step.op.kind = kind;
    step.op.task = pid;
    step.op.line = line_;
    step.op.may_fail = true;
    workload_.phases[0].steps.push_back(step);
    return workload_.phases[0].steps.back().op;
  }

  TouchRule rule_;
  Workload workload_;
  std::uint32_t line_ = 0, pid_ = 0;
  std::map<std::uint32_t, Process> processes_;
  std::set<std::uint32_t> dead_;
  // Calls that make a process, begun and not yet returned: the child may run before they return.
  std::map<std::uint32_t, StraceLine> begun_;
  std::map<std::string, std::uint32_t> file_ids_;
  std::map<std::string, std::uint64_t> not_understood_;
};

bool makes_process(const std::string& name) {
  return name == "fork" || name == "vfork" || name == "clone" || name == "clone3";
}

// A process seen for the first time: the child of a call that has not returned yet, or unknown.
void Reader::ensure(std::uint32_t pid) {
  if (processes_.contains(pid)) return;
  if (!begun_.empty()) {
    // The oldest unfinished call is the parent: children start in the order of the calls.
    const auto parent =
        std::min_element(begun_.begin(), begun_.end(),
                         [](const auto& a, const auto& b) { return a.second.pid < b.second.pid; });
    const StraceLine line = parent->second;
    begun_.erase(parent);
    child_of(line, pid);
    return;
  }
  processes_[pid];
  emit(OpKind::kSpawn, pid);
}

void Reader::child_of(const StraceLine& line, std::uint32_t child) {
  if (processes_.contains(child) && !dead_.contains(child)) return;  // seen before the return
  std::string flags;
  for (const std::string& a : line.arguments) flags += a + ",";
  StraceLine all = line;
  all.arguments = {flags};
  const bool shares_memory = all.has(0, "CLONE_VM");
  const bool vfork = line.name == "vfork" || all.has(0, "CLONE_VFORK");
  const OpKind kind = vfork ? OpKind::kVfork : shares_memory ? OpKind::kCloneThread : OpKind::kFork;
  emit(kind, line.pid).child = child;
  processes_[child] = processes_[line.pid];
  processes_[child].vforked = vfork;
  dead_.erase(child);
  if (kind != OpKind::kFork) return;
  touch_recent(child);
  touch_recent(line.pid);
}

void Reader::touch_recent(std::uint32_t pid) {
  const std::deque<std::uint64_t>& written = processes_[pid].written;
  const std::size_t n = std::min<std::size_t>(rule_.fork_pages, written.size());
  for (std::size_t i = written.size() - n; i < written.size(); ++i) {
    Operation& op = emit(OpKind::kTouch, pid);
    op.address = written[i];
    op.length = kPageSize;
    op.write = true;
  }
}

void Reader::exited(std::uint32_t pid) {
  if (!processes_.contains(pid) || !dead_.insert(pid).second) return;
  emit(OpKind::kExit, pid);
}

void Reader::touch(std::uint64_t address, std::uint64_t length, unsigned percent, bool write) {
  const std::uint64_t bytes = align_up(length * percent / 100, kPageSize);
  if (bytes == 0) return;
  Operation& op = emit(OpKind::kTouch, pid_);
  op.address = address;
  op.length = std::min(bytes, length);
  op.write = write;
  if (!write) return;
  std::deque<std::uint64_t>& written = processes_[pid_].written;
  const std::uint64_t keep = std::min<std::uint64_t>(rule_.fork_pages, op.length / kPageSize);
  for (std::uint64_t i = 0; i < keep; ++i)
    written.push_back(address + op.length - (keep - i) * kPageSize);
  while (written.size() > 64) written.pop_front();
}

void Reader::mapped(const StraceLine& line) {
  const std::uint64_t length = align_up(line.argument(1), kPageSize);
  if (length == 0) return;
  const bool anonymous = line.has(3, "MAP_ANONYMOUS") || line.has(3, "MAP_ANON");
  const bool r = line.has(2, "PROT_READ"), w = line.has(2, "PROT_WRITE"),
             x = line.has(2, "PROT_EXEC");
  Process& process = processes_[pid_];
  Operation op = emit(OpKind::kMmap, pid_);
  op.address = line.value();
  op.length = length;
  op.prot =
      static_cast<std::uint8_t>((r ? kProtRead : 0) | (w ? kProtWrite : 0) | (x ? kProtExec : 0));
  op.shared = line.has(3, "MAP_SHARED") || line.has(3, "MAP_SHARED_VALIDATE");
  op.file = !anonymous;
  op.file_offset = line.argument(5);
  if (op.file) {
    const int descriptor = static_cast<int>(line.argument(4));
    const auto known = process.files.find(descriptor);
    op.file_id = known != process.files.end()
                     ? known->second
                     : file_ids_
                           .try_emplace(fmt::format("descriptor {} of {}", descriptor, pid_),
                                        file_ids_.size() + 1)
                           .first->second;
  }
  workload_.phases[0].steps.back().op = op;
  if (op.prot == 0) return;
  if (anonymous || op.shared) {
    if (w)
      touch(op.address, length, length > kLarge ? rule_.large_percent : rule_.anonymous_percent,
            true);
  } else if (w) {
    touch(op.address, length, rule_.data_percent, true);
  } else {
    touch(op.address, length, x ? rule_.text_percent : rule_.file_percent, false);
  }
}

void Reader::memory_call(const StraceLine& line) {
  const std::uint64_t start = line.argument(0);
  const std::uint64_t length = align_up(line.argument(1), kPageSize);
  if (line.name == "mmap" || line.name == "mmap2") return mapped(line);
  if (line.name == "brk") {
    Process& process = processes_[pid_];
    const std::uint64_t old = process.brk;
    process.brk = line.value();
    Operation& op = emit(start == 0 && old != 0 ? OpKind::kSyscall : OpKind::kBrk, pid_);
    op.address = line.value();
    if (old != 0 && process.brk > old) touch(old, process.brk - old, rule_.heap_percent, true);
    return;
  }
  if (length == 0) {
    emit(OpKind::kSyscall, pid_);
    return;
  }
  if (line.name == "mremap") {
    Operation& op = emit(OpKind::kMremap, pid_);
    op.address = start;
    op.length = length;
    op.new_length = align_up(line.argument(2), kPageSize);
    op.new_address = line.value();
    if (op.new_length > length) {
      const std::uint64_t added = op.new_length - length;
      touch(line.value() + length, added, rule_.anonymous_percent, true);
    }
    return;
  }
  Operation& op = emit(line.name == "munmap"     ? OpKind::kMunmap
                       : line.name == "mprotect" ? OpKind::kMprotect
                                                 : OpKind::kMadvise,
                       pid_);
  op.address = start;
  op.length = length;
  if (line.name == "mprotect") {
    op.prot = static_cast<std::uint8_t>((line.has(2, "PROT_READ") ? kProtRead : 0) |
                                        (line.has(2, "PROT_WRITE") ? kProtWrite : 0) |
                                        (line.has(2, "PROT_EXEC") ? kProtExec : 0));
  } else if (line.name == "madvise") {
    op.advice = line.has(2, "MADV_DONTNEED")     ? Advice::kDontNeed
                : line.has(2, "MADV_FREE")       ? Advice::kFree
                : line.has(2, "MADV_HUGEPAGE")   ? Advice::kHugepage
                : line.has(2, "MADV_NOHUGEPAGE") ? Advice::kNoHugepage
                                                 : Advice::kOther;
  }
}

bool Reader::process_call(const StraceLine& line) {
  if (makes_process(line.name)) {
    begun_.erase(pid_);
    StraceLine whole = line;
    whole.pid = pid_;
    child_of(whole, static_cast<std::uint32_t>(line.value()));
    return true;
  }
  if (line.name == "execve" || line.name == "execveat") {
    emit(OpKind::kExec, pid_);
    processes_[pid_].brk = 0;
    processes_[pid_].written.clear();
    return true;
  }
  if (line.name == "wait4" || line.name == "waitpid" || line.name == "waitid") {
    const auto child = static_cast<std::uint32_t>(line.value());
    if (child != 0 && dead_.erase(child) != 0) {
      emit(OpKind::kWait, pid_).child = child;
      processes_.erase(child);
    } else {
      emit(OpKind::kSyscall, pid_);
    }
    return true;
  }
  return false;
}

void Reader::begun(const StraceLine& line) {
  if (!makes_process(line.name)) return;
  StraceLine whole = line;
  whole.pid = pid_;
  begun_[pid_] = whole;
}

void Reader::call(const StraceLine& line) {
  if (line.name == "exit_group" || line.name == "exit") {
    emit(OpKind::kSyscall, pid_);
    return;  // the +++ line ends the task, once
  }
  if (line.failed) {
    if (makes_process(line.name)) begun_.erase(pid_);
    emit(OpKind::kSyscall, pid_);
    return;
  }
  static const std::set<std::string> kMemory = {"mmap",    "mmap2",  "munmap", "mprotect",
                                                "madvise", "mremap", "brk"};
  if (kMemory.contains(line.name)) return memory_call(line);
  if (process_call(line)) return;
  if (line.name == "openat" || line.name == "open") {
    const std::string& name = line.arguments.size() > 1 && line.name == "openat"
                                  ? line.arguments[1]
                                  : line.arguments.at(0);
    processes_[pid_].files[static_cast<int>(line.value())] =
        file_ids_.try_emplace(name, file_ids_.size() + 1).first->second;
  } else if (line.name == "close") {
    processes_[pid_].files.erase(static_cast<int>(line.argument(0)));
  }
  emit(OpKind::kSyscall, pid_);
}

Workload Reader::read() {
  const std::string text = read_text_file(workload_.source);
  if (text.substr(0, 65536).find('\0') != std::string::npos) {
    throw InputError(fmt::format(
        "{}:1: binary data; expected the text that strace -f -o FILE writes", workload_.source));
  }
  StraceLineParser parser;
  std::size_t seen = 0, understood = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view raw = std::string_view(text).substr(at, end - at);
    const StraceLine line = parser.parse(raw);
    at = end + 1;
    ++line_;
    if (line.kind == StraceLine::Kind::kEmpty) continue;
    ++seen;
    if (line.kind == StraceLine::Kind::kUnknown) {
      ++not_understood_[std::string(raw.substr(0, raw.find_first_of(" (", 1)))];
    } else {
      ++understood;
    }
    if ((seen == kHead || at >= text.size()) && understood * 2 < seen) {
      throw InputError(
          fmt::format("{}:{}: not strace's output: {} of {} lines are not understood; expected "
                      "lines like '118 mmap(NULL, 8192, ...) = 0x7f...'",
                      workload_.source, line_, seen - understood, seen));
    }
    if (line.kind == StraceLine::Kind::kUnknown || line.kind == StraceLine::Kind::kNote ||
        line.kind == StraceLine::Kind::kSignal)
      continue;
    pid_ = line.pid == 0 ? 1 : line.pid;
    if (dead_.contains(pid_) && line.kind != StraceLine::Kind::kExited) continue;
    if (line.kind == StraceLine::Kind::kExited) {
      exited(pid_);
      continue;
    }
    ensure(pid_);
    if (line.kind == StraceLine::Kind::kBegun)
      begun(line);
    else
      call(line);
  }
  if (seen == 0)
    throw InputError(fmt::format("{}:1: no line; expected strace's output", workload_.source));
  finish();
  return std::move(workload_);
}

void Reader::finish() {
  const auto say = [&](const char* what, unsigned n, const char* unit) {
    workload_.assumptions.push_back(fmt::format("{}: {} {}", what, n, unit));
  };
  say("executable file mappings are read in their first", rule_.text_percent, "%");
  say("read-only file mappings are read in their first", rule_.file_percent, "%");
  say("private writable file mappings are written in their first", rule_.data_percent, "%");
  say("anonymous mappings are written in their first", rule_.anonymous_percent, "%");
  say("anonymous mappings above 64 MB are written in their first", rule_.large_percent, "%");
  say("what brk adds is written in its first", rule_.heap_percent, "%");
  say("after a fork parent and child each write their last written", rule_.fork_pages, "pages");
  for (const auto& [kind, n] : not_understood_) workload_.not_understood.emplace_back(kind, n);
}

}  // namespace

Workload read_strace(const std::string& path, const TouchRule& rule) {
  return Reader(path, rule).read();
}

}  // namespace kpksim::workload
