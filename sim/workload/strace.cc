#include "sim/workload/strace.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/text_input.h"
#include "sim/base/types.h"
#include "sim/workload/linux_calls.h"
#include "sim/workload/strace_pids.h"
#include "sim/workload/strace_reader.h"
#include "sim/workload/strace_recording.h"
#include "sim/workload/strace_set.h"
#include "sim/workload/strace_usable.h"

namespace kpksim::workload {
namespace {

constexpr std::size_t kMaxFiles = 65536;  // of one recording
constexpr std::size_t kLongestName = 40;  // of a call, in a message
// What makes room for lines and steps at once. Of memory that is not used the host has none.
constexpr std::size_t kTypicalLine = 64;  // bytes
constexpr std::size_t kStepsOfLine = 2;

bool returns_address(std::string_view call) {
  return call == "mmap" || call == "mremap" || call == "brk" || call == "shmat";
}

Operation operation(OpKind kind, std::uint32_t pid, std::uint32_t line) {
  Operation op;
  op.kind = kind;
  op.task = pid;
  op.line = line;
  op.may_fail = true;
  return op;
}

}  // namespace

StraceReader::StraceReader(const std::vector<std::string>& paths, const TouchRule& rule,
                           const std::vector<std::string>& sizes)
    : rule_(rule), paths_(paths), tasks_(rule) {
  const bool set = paths.size() > 1;  // of strace -ff
  const std::string& first = paths.front();
  workload_.source = set ? prefix_of_file(first) : first;
  const std::size_t slash = workload_.source.find_last_of('/');
  workload_.name = workload_.source.substr(slash == std::string::npos ? 0 : slash + 1);
  workload_.name = workload_.name.substr(0, workload_.name.find(".strace"));
  workload_.phases.push_back({"trace", {}});
  for (const std::string& file : sizes) read_sizes(file);
}

void StraceReader::fill(Operation& op, const PageTouch& touch) {
  op.address = touch.address;
  op.length = touch.length;
  op.stride = touch.stride;
  op.write = touch.write;
}

Operation& StraceReader::step(OpKind kind, std::uint32_t pid) {
  Operation& op = workload_.phases[0].steps.emplace_back().op;
  op = operation(kind, pid, line_);
  return op;
}

Operation& StraceReader::emit(OpKind kind, std::uint32_t pid) {
  if (rule_.turn_calls <= 1) return step(kind, pid);
  StraceSpace& at = *tasks_[pid].space;
  switch (kind) {
    case OpKind::kFork:
    case OpKind::kVfork:
    case OpKind::kCloneThread:
    case OpKind::kExec:
    case OpKind::kExit:
    case OpKind::kWait:
      end_turn(at);
      return step(kind, pid);
    default:
      break;
  }
  if (kind != OpKind::kTouch && at.turn_calls++ >= rule_.turn_calls) {
    end_turn(at);
    at.turn_calls = 1;
  }
  at.turn.push_back(operation(kind, pid, line_));
  return at.turn.back();
}

void StraceReader::end_turn(StraceSpace& space) {
  for (const Operation& op : space.turn) workload_.phases[0].steps.emplace_back().op = op;
  space.turn.clear();
  space.turn_calls = 0;
}

void StraceReader::touch(std::uint32_t pid, const std::vector<PageTouch>& touches) {
  for (const PageTouch& t : touches) fill(emit(OpKind::kTouch, pid), t);
}

void StraceReader::begin(const StraceLine& line) {
  if (makes_task(line.name)) begun_[pid_] = {line, line_};
}

void StraceReader::call(const StraceLine& line) {
  if (line.name == "exit_group") return exit_group(line);
  if (line.name == "exit") return exit_thread(line);
  const Handler handler = handler_of(line.name);
  if (handler == nullptr && !is_linux_call(line.name)) {
    unclear(fmt::format("call '{}', which is none of Linux's", line.name.substr(0, kLongestName)));
  }
  if (line.failed && makes_task(line.name)) begun_.erase(pid_);
  if (line.failed || handler == nullptr) {
    if (line.failed) return syscall();
    if (lacks_model(line.name)) return unmodelled(line);
    settle(pid_);
    return syscall();
  }
  if (returns_address(line.name) && line.value() > kUserEnd) {
    unclear("memory call beyond 48-bit addresses");
    return syscall();
  }
  (this->*handler)(line);
}

void StraceReader::line(const StraceLine& line) {
  if (line.kind == StraceLine::Kind::kUnknown) return unclear("text that is not strace's");
  if (line.kind == StraceLine::Kind::kCut) return unclear("call without its end");
  if (line.kind == StraceLine::Kind::kProgram || line.kind == StraceLine::Kind::kLink)
    return program(line);
  if (line.kind != StraceLine::Kind::kCall && line.kind != StraceLine::Kind::kBegun &&
      line.kind != StraceLine::Kind::kExited && line.kind != StraceLine::Kind::kSuperseded) {
    return;
  }
  pid_ = line.pid;
  if (line.kind == StraceLine::Kind::kExited) {
    if (tasks_.alive(pid_)) end(pid_);
    return;
  }
  if (line.kind == StraceLine::Kind::kSuperseded) return superseded(line);
  // The last words of a task that exit_group has ended.
  if (!ensure(pid_)) return;
  if (line.kind == StraceLine::Kind::kBegun) return begin(line);
  call_ = call_of(line);
  call(line);
  if (tasks_.alive(pid_)) touch(pid_, space().go_on());
}

// The lines of one file. `text`: the first file's.
std::vector<StraceLine> StraceReader::read_file(std::size_t file, std::uint32_t pid,
                                                std::string& text) const {
  const std::string& path = paths_[file];
  std::string own = read_text_file(path);
  check_head(path, own);
  std::vector<StraceLine> lines;
  lines.reserve(own.size() / kTypicalLine);
  StraceParser parser(static_cast<std::uint16_t>(file), pid);
  bool checked = false;
  each_line(own, [&](std::string_view raw) {
    parser.parse(raw, lines);
    if (!checked && lines.size() >= kHeadLines) check_known(path, own, lines);
    checked |= lines.size() >= kHeadLines;
    return true;
  });
  parser.end(lines);
  if (!checked) check_known(path, own, lines);
  if (file == 0) text = std::move(own);
  return lines;
}

std::vector<StraceLine> StraceReader::read_lines() {
  std::string text;
  if (paths_.size() == 1) {
    std::vector<StraceLine> lines = read_file(0, 0, text);
    check_use(paths_[0], text, lines);
    return lines;
  }
  if (paths_.size() > kMaxFiles) {
    throw InputError(fmt::format("{}: {} files of strace -ff; at most {}", workload_.source,
                                 paths_.size(), kMaxFiles));
  }
  std::vector<std::vector<StraceLine>> files;
  std::vector<std::uint32_t> pids;
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    pids.push_back(pid_of_file(paths_[i]).value_or(0));
    files.push_back(read_file(i, pids.back(), text));
  }
  std::vector<StraceLine> lines = join_files(std::move(files), pids);
  check_use(paths_[0], text, lines);
  return lines;
}

// What strace was not told to follow is missing.
void StraceReader::note_missing(std::uint64_t children) {
  if (children == 0) return;
  std::string how = "record with strace -f";
  if (const auto pid = pid_of_file(paths_[0]); paths_.size() == 1 && pid) {
    const std::string prefix = prefix_of_file(paths_[0]);
    if (files_of_prefix(prefix).size() > 1) {
      how = fmt::format("the files of strace -ff are one run, by the name '{}'", prefix);
    }
  }
  workload_.notes.push_back(fmt::format("{} {} of which the recording has no line {} left out; {}",
                                        children, children == 1 ? "child" : "children",
                                        children == 1 ? "is" : "are", how));
}

Workload StraceReader::read() {
  std::vector<StraceLine> lines = read_lines();
  workload_.phases[0].steps.reserve(lines.size() * kStepsOfLine);
  note_missing(name_tasks(lines));
  const StraceParents parents(lines);
  parents_ = &parents;
  const StraceImages images(lines);
  images_ = &images;
  for (const StraceLine& next : lines) {
    index_ = static_cast<std::size_t>(&next - lines.data());
    line_ = paths_.size() == 1 ? next.number : static_cast<std::uint32_t>(index_ + 1);
    line(next);
  }
  finish();
  tell_reservations();
  return std::move(workload_);
}

void StraceReader::finish() {
  for (const std::uint32_t pid : tasks_.living()) {
    settle(pid);
    end_turn(*tasks_[pid].space);
  }
  workload_.assumptions = {
      "strace shows no page accesses; they follow a rule of a few numbers (TouchRule)",
      fmt::format("1. of a program's own text {} % of the 64 KB windows is read, and as much is "
                  "written of tables that it has outgrown",
                  rule_.own_percent),
      fmt::format(
          "2. of libraries' text, of other files, of a program's zeroed memory (.bss), and of heap "
          "that large requests have used up {} % is used, of libraries' zeroed memory {} %; data "
          "of files is read once, then all written",
          rule_.used_percent, rule_.library_zero_percent),
      fmt::format(
          "3. the heap and mappings above 128 KB: {} KB at once, and what a request beyond the "
          "heap was for; all of it when small requests ask for more, or for another of the same "
          "size, or give it back; smaller mappings are written in full",
          rule_.open_kb),
      fmt::format("4. a program writes {} page(s) of its stack", rule_.stack_pages),
      fmt::format(
          "5. after a fork parent and child each write {} of the pages written before, the "
          "last ones, at most a quarter, and the child reads as many text windows again, at "
          "most a third; once more when it ends without execve",
          rule_.fork_pages),
      fmt::format("6. and with each call {} % of a page and {} % of a window more",
                  rule_.fork_call_percent, rule_.fork_call_text_percent),
      fmt::format(
          "execve's own mappings, which strace does not show: the program (where no "
          "'# program' line says it {} KB of text, {} KB of data, {} KB zeroed), the dynamic "
          "linker, vdso and stack; where they lie is seen from later calls",
          rule_.image_text_kb, rule_.image_data_kb, rule_.image_zero_kb),
      fmt::format("shared mappings: {} % is written; a new thread writes {} pages of its stack; "
                  "while a forked copy lives, incoming data is followed by writes to {} page(s) at "
                  "random",
                  rule_.shared_percent, rule_.thread_pages, rule_.store_pages),
      fmt::format("transparent huge pages: {}",
                  rule_.huge_pages
                      ? "as the kernel profile has them, unless the program switches them off"
                      : "only where the program asks for them"),
      fmt::format("the order of the lines is the schedule, in turns of up to {} calls",
                  rule_.turn_calls)};
  for (const auto& [kind, n] : not_understood_) workload_.not_understood.emplace_back(kind, n);
}

Workload read_strace(const std::string& path, const TouchRule& rule,
                     const std::vector<std::string>& sizes) {
  return StraceReader({path}, rule, sizes).read();
}

Workload read_strace(const std::vector<std::string>& paths, const TouchRule& rule,
                     const std::vector<std::string>& sizes) {
  return StraceReader(paths, rule, sizes).read();
}

}  // namespace kpksim::workload
