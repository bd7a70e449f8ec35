#include "sim/workload/strace.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/text_input.h"
#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

constexpr std::size_t kHead = 100;          // lines that decide whether this is strace's output
constexpr std::uint32_t kNamelessTask = 1;  // of a trace whose lines bear no pid

constexpr const char* kExpected =
    "expected the output of strace -f, lines like '118 mmap(NULL, 8192, ...) = 0x7f...'";

Operation operation(OpKind kind, std::uint32_t pid, std::uint32_t line) {
  Operation op;
  op.kind = kind;
  op.task = pid;
  op.line = line;
  op.may_fail = true;
  return op;
}

void fill(Operation& op, const PageTouch& touch) {
  op.address = touch.address;
  op.length = touch.length;
  op.stride = touch.stride;
  op.write = touch.write;
}

}  // namespace

StraceReader::StraceReader(const std::string& path, const TouchRule& rule,
                           const std::vector<std::string>& sizes)
    : rule_(rule), tasks_(rule) {
  workload_.source = path;
  const std::size_t slash = path.find_last_of('/');
  workload_.name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  workload_.name = workload_.name.substr(0, workload_.name.find(".strace"));
  workload_.phases.push_back({"trace", {}});
  for (const std::string& file : sizes) read_sizes(file);
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

// The task a line belongs to. Without -o, strace leaves the pid out while there is only one task.
std::uint32_t StraceReader::resolve(std::uint32_t pid) {
  if (pid == 0) {
    if (tasks_.only() != 0) return tasks_.only();
    return tasks_.alive(kNamelessTask) || pid_ == 0 ? kNamelessTask : pid_;
  }
  if (pid == nameless_) return kNamelessTask;
  if (nameless_ == 0 && tasks_.alive(kNamelessTask) && !tasks_.known(pid) &&
      !parents_->of(pid, line_).known) {
    nameless_ = pid;  // now it has a name
    return kNamelessTask;
  }
  return pid;
}

// Makes sure that the task lives: the child of a call that has not returned, or one that ran before
// the recording began. False if it is dead.
bool StraceReader::ensure(std::uint32_t pid) {
  if (tasks_.alive(pid)) return true;
  const StraceParents::Parent parent = parents_->of(pid, line_);
  auto call = begun_.end();
  if (parent.known) {
    call = begun_.find(resolve(parent.pid));
  } else if (!tasks_.known(pid)) {
    // The trace ends before the call returns: children start in the order of the calls.
    call = std::min_element(begun_.begin(), begun_.end(), [](const auto& a, const auto& b) {
      return a.second.number < b.second.number;
    });
  }
  if (call != begun_.end() && tasks_.alive(call->first)) {
    const Begun begun = call->second;
    const std::uint32_t maker = call->first;
    begun_.erase(call);
    early_.insert(pid);
    child_of(maker, begun.line, pid);
    return true;
  }
  if (tasks_.known(pid)) return false;
  tasks_.spawn(pid);
  step(OpKind::kSpawn, pid);
  return true;
}

void StraceReader::child_of(std::uint32_t parent, const StraceLine& line, std::uint32_t child) {
  if (tasks_.alive(child)) end(child);  // its end is missing, its number was used again
  const bool vfork = line.name == "vfork" || line.has("CLONE_VFORK");
  const bool shares = vfork || line.has("CLONE_VM");
  settle(parent);
  emit(vfork    ? OpKind::kVfork
       : shares ? OpKind::kCloneThread
                : OpKind::kFork,
       parent)
      .child = child;
  tasks_.clone(parent, child,
               line.has("CLONE_THREAD") ? StraceTasks::Share::kThread
               : shares                 ? StraceTasks::Share::kSpace
                                        : StraceTasks::Share::kNothing,
               line.has("CLONE_FILES"));
  if (!shares) {
    // The fork has ended the parent's turn, and both run at once: no turn delays these.
    for (const std::uint32_t pid : {parent, child}) {
      for (const PageTouch& t : tasks_[pid].space->forked(pid == child)) {
        fill(step(OpKind::kTouch, pid), t);
      }
    }
    return;
  }
  // The top of the new stack: clone's child_stack, clone3's stack and stack_size.
  const std::uint64_t top =
      line.field("child_stack")
          .value_or(line.field("stack").value_or(0) + line.field("stack_size").value_or(0));
  const std::uint64_t bytes = rule_.thread_pages * kPageSize;
  const std::uint64_t from = align_up(top, kPageSize) - bytes;
  if (top <= bytes || !tasks_[child].space->knows(from)) return;
  touch(child, {{from, bytes, kPageSize, true}});
  tasks_[child].space->wrote(from, from + bytes);
}

void StraceReader::make_task(const StraceLine& line) {
  const auto child = static_cast<std::uint32_t>(line.value());
  begun_.erase(pid_);
  if (early_.erase(child) != 0) return;
  if (child == 0 || child == pid_) return unclear("new task without a number of its own");
  if (line.orphan) unclear("call whose beginning is missing");
  child_of(pid_, line, child);
}

void StraceReader::execve(const StraceLine& line) {
  settle(pid_);
  for (const std::uint32_t other : tasks_.group(pid_)) {
    if (other != pid_) end(other);
  }
  const std::string path(line.text(line.name == "execveat" ? 1 : 0));
  const std::uint32_t loaded = image(path);
  emit(OpKind::kExec, pid_).image = loaded;
  tasks_.exec(pid_, images_->of(line_));
  if (loaded != 0) start_program(loaded);
}

// A thread that is not the first runs execve: it goes on under the first one's number.
void StraceReader::superseded(const StraceLine& line) {
  if (!tasks_.alive(line.other)) return;
  for (const std::uint32_t other : tasks_.group(pid_)) {
    if (other != pid_) end(other);
  }
}

void StraceReader::end(std::uint32_t pid) {
  if (tasks_[pid].space.use_count() == 1) touch(pid, tasks_[pid].space->finish());
  close_all(pid);
  emit(OpKind::kExit, pid);
  tasks_.exit(pid);
  begun_.erase(pid);
}

void StraceReader::exit_thread(const StraceLine&) { end(pid_); }

void StraceReader::exit_group(const StraceLine&) {
  for (const std::uint32_t member : tasks_.group(pid_)) end(member);
}

void StraceReader::wait(const StraceLine& line) {
  auto child = static_cast<std::uint32_t>(line.value());
  if (line.name == "waitid") child = static_cast<std::uint32_t>(line.field("si_pid").value_or(0));
  const bool lives = line.has("WIFSTOPPED") || line.has("WIFCONTINUED") ||
                     line.has("CLD_STOPPED") || line.has("CLD_TRAPPED") || line.has("WNOWAIT");
  if (child != 0) child = resolve(child);
  if (child == 0 || lives || !tasks_.known(child) || tasks_[child].reaped || child == pid_) {
    return syscall();
  }
  if (tasks_.alive(child)) {
    for (const std::uint32_t member : tasks_.group(child)) end(member);
  }
  emit(OpKind::kWait, pid_).child = child;
  tasks_[child].reaped = true;
}

void StraceReader::begin(const StraceLine& line) {
  if (makes_task(line.name)) begun_[pid_] = {line, line_};
}

void StraceReader::call(const StraceLine& line) {
  if (line.name == "exit_group") return exit_group(line);
  if (line.name == "exit") return exit_thread(line);
  const Handler handler = handler_of(line.name);
  if (line.failed && makes_task(line.name)) begun_.erase(pid_);
  if (line.failed || handler == nullptr) {
    if (line.failed) return syscall();
    if (lacks_model(line.name)) return unmodelled(line);
    settle(pid_);
    return syscall();
  }
  (this->*handler)(line);
}

void StraceReader::line(const StraceLine& line) {
  using Kind = StraceLine::Kind;
  if (line.kind == Kind::kUnknown) return unclear("text that is not strace's");
  if (line.kind == Kind::kCut) return unclear("call without its end");
  if (line.kind == Kind::kProgram) return program(line);
  if (line.kind != Kind::kCall && line.kind != Kind::kBegun && line.kind != Kind::kExited &&
      line.kind != Kind::kSuperseded) {
    return;
  }
  pid_ = resolve(line.pid);
  if (line.kind == Kind::kExited) {
    if (tasks_.alive(pid_)) end(pid_);
    return;
  }
  if (line.kind == Kind::kSuperseded) return superseded(line);
  // The last words of a task that exit_group has ended.
  if (!ensure(pid_)) return;
  if (line.kind == Kind::kBegun) return begin(line);
  call_ = call_of(line);
  call(line);
  if (tasks_.alive(pid_)) touch(pid_, space().go_on());
}

// Refuses at once what cannot be strace's output.
void StraceReader::check_head(std::string_view text) const {
  if (const std::size_t zero = text.substr(0, 65536).find('\0'); zero != std::string_view::npos) {
    throw InputError(fmt::format("{}:1: binary data (a zero byte at byte {}); {}", workload_.source,
                                 zero, kExpected));
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) {
    throw InputError(fmt::format("{}:1: no line; {}", workload_.source, kExpected));
  }
  const std::string_view head = text.substr(first);
  const std::size_t next = head.find_first_not_of(" \t\r\n", 1);
  if (head.front() == '{' || (head.front() == '[' && next != std::string_view::npos &&
                              (head[next] == '{' || head[next] == '"' || head[next] == ']'))) {
    throw InputError(fmt::format("{}:1: JSON; {} (a JSON workload's name ends in .json)",
                                 workload_.source, kExpected));
  }
}

Workload StraceReader::read() {
  const std::string text = read_text_file(workload_.source);
  check_head(text);
  const StraceParents parents(text);
  parents_ = &parents;
  const StraceImages images(text);
  images_ = &images;
  StraceLineParser parser;
  std::size_t seen = 0, bad = 0;
  std::uint32_t first_bad = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view raw = std::string_view(text).substr(at, end - at);
    const StraceLine parsed = parser.parse(raw);
    at = end + 1;
    ++line_;
    if (parsed.kind == StraceLine::Kind::kEmpty) continue;
    ++seen;
    if (parsed.kind == StraceLine::Kind::kUnknown && bad++ == 0) first_bad = line_;
    if ((seen == kHead || at >= text.size()) && bad * 2 > seen) {
      throw InputError(fmt::format("{}:{}: not strace's output ({} of the first {} lines); {}",
                                   workload_.source, first_bad, bad, seen, kExpected));
    }
    line(parsed);
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
  return StraceReader(path, rule, sizes).read();
}

}  // namespace kpksim::workload
