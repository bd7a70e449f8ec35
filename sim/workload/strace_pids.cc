#include "sim/workload/strace_pids.h"

#include <algorithm>
#include <map>
#include <set>

namespace kpksim::workload {
namespace {

bool shows_its_task(const StraceLine& line) {
  return line.kind == StraceLine::Kind::kCall || line.kind == StraceLine::Kind::kBegun ||
         line.kind == StraceLine::Kind::kExited || line.kind == StraceLine::Kind::kSuperseded ||
         line.kind == StraceLine::Kind::kSignal || line.kind == StraceLine::Kind::kCut;
}

bool tells_own_number(const StraceLine& line) {
  return line.kind == StraceLine::Kind::kCall && !line.failed &&
         (line.name == "gettid" || line.name == "getpid" || line.name == "set_tid_address");
}

class Namer {
 public:
  explicit Namer(std::vector<StraceLine>& lines) : lines_(lines) {
    look();
    match_by_number();
    match_by_order();
  }
  void name();
  std::uint64_t missing() const {
    return static_cast<std::uint64_t>(std::count_if(
        calls_.begin(), calls_.end(), [](const auto& call) { return call.second.child == 0; }));
  }

 private:
  // A call that has made a task.
  struct Call {
    std::size_t begun = 0;
    std::uint32_t number = 0;  // as it returned it
    std::uint32_t child = 0;   // as the child's lines bear it; 0: there are none
  };
  // A number that lines bear.
  struct Task {
    std::size_t first = 0, last = 0;
    std::uint32_t own_number = 0;  // as it sees itself; 0: unknown
    bool attached = false;         // a note says that it is new
    bool made = false;             // by one of the calls
  };

  void look();
  void match_by_number();
  void match_by_order();
  void attach(std::uint32_t pid);
  std::uint32_t task_of(std::uint32_t pid);
  void leave(const StraceLine& line);
  void follow(std::size_t i);

  std::vector<StraceLine>& lines_;
  std::map<std::size_t, Call> calls_;  // by the line of their return
  std::map<std::uint32_t, Task> tasks_;
  std::size_t first_nameless_ = ~std::size_t{0};
  std::uint32_t nameless_ = 0;  // the pid of the task whose first lines bear none

  // While the lines get their tasks.
  std::set<std::uint32_t> alive_, leaving_;
  std::map<std::uint32_t, std::uint32_t> group_;       // of threads
  std::map<std::uint32_t, std::uint32_t> namespaced_;  // number in a namespace: as lines bear it
  std::uint32_t last_ = 0;
};

void Namer::look() {
  std::map<std::uint32_t, std::size_t> begun;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const StraceLine& line = lines_[i];
    const bool attached = line.kind == StraceLine::Kind::kAttached;
    if (!attached && !shows_its_task(line)) continue;
    const std::uint32_t pid = attached ? line.other : line.pid;
    if (pid == 0) {
      first_nameless_ = std::min(first_nameless_, i);
    } else {
      Task& task = tasks_.try_emplace(pid, Task{i, i, 0, false, false}).first->second;
      task.last = i;
      task.attached |= attached;
      if (task.own_number == 0 && tells_own_number(line)) task.own_number = strace_pid(line.result);
    }
    if (!makes_task(line.name)) continue;
    if (line.kind == StraceLine::Kind::kBegun) begun[line.pid] = i;
    if (line.kind != StraceLine::Kind::kCall) continue;
    std::size_t start = i;
    if (auto half = begun.extract(line.pid); !half.empty()) start = half.mapped();
    if (const std::uint32_t number = strace_pid(line.result); !line.failed && number != 0) {
      calls_[i] = {start, number, 0};
    }
  }
}

void Namer::match_by_number() {
  for (auto& [line, call] : calls_) {
    const auto task = tasks_.find(call.number);
    if (task == tasks_.end() || task->second.last <= call.begun) continue;
    call.child = call.number;
    task->second.made = true;
  }
}

// Tasks that no call returned, and calls whose tasks have no line: in a PID namespace they belong
// together, in their order, unless a task has said its number.
void Namer::match_by_order() {
  std::vector<std::pair<std::size_t, std::uint32_t>> unmade;
  for (const auto& [pid, task] : tasks_) {
    if (!task.made) unmade.emplace_back(task.first, pid);
  }
  std::sort(unmade.begin(), unmade.end());
  for (const auto& [first, pid] : unmade) {
    Task& task = tasks_.at(pid);
    if (nameless_ == 0 && first_nameless_ < first && !task.attached) {
      nameless_ = pid;
      continue;
    }
    Call* best = nullptr;
    for (auto& [line, call] : calls_) {
      if (call.child != 0 || call.begun >= first) continue;
      const bool says_so = call.number == task.own_number;
      if (best == nullptr || says_so) best = &call;
      if (says_so) break;
    }
    if (best != nullptr) best->child = pid;
  }
}

void Namer::attach(std::uint32_t pid) {
  alive_.insert(pid);
  leaving_.erase(pid);
}

std::uint32_t Namer::task_of(std::uint32_t pid) {
  const std::uint32_t first = nameless_ != 0 ? nameless_ : kNamelessTask;
  if (pid != 0) return pid;
  std::vector<std::uint32_t> staying;
  std::set_difference(alive_.begin(), alive_.end(), leaving_.begin(), leaving_.end(),
                      std::back_inserter(staying));
  if (staying.empty() && alive_.size() == 1) return *alive_.begin();  // its last words
  if (staying.size() == 1) return staying.front();
  return alive_.contains(first) || last_ == 0 || staying.empty() ? first : last_;
}

// A task says that it ends, in case strace does not (-qq).
void Namer::leave(const StraceLine& line) {
  leaving_.insert(line.pid);
  if (line.name != "exit_group") return;
  const std::uint32_t group = group_.contains(line.pid) ? group_[line.pid] : line.pid;
  for (const std::uint32_t pid : alive_) {
    const auto it = group_.find(pid);
    if (pid == group || (it != group_.end() && it->second == group)) leaving_.insert(pid);
  }
}

void Namer::follow(std::size_t i) {
  StraceLine& line = lines_[i];
  if (line.kind == StraceLine::Kind::kExited) {
    alive_.erase(line.pid);
    leaving_.erase(line.pid);
    group_.erase(line.pid);
    return;
  }
  if (line.kind == StraceLine::Kind::kSuperseded) {
    line.other = task_of(line.other);
    alive_.erase(line.other);
  }
  attach(line.pid);
  if (line.name == "exit" || line.name == "exit_group") leave(line);
  if (line.kind != StraceLine::Kind::kCall || line.failed) return;
  if (waits_for_task(line.name)) {
    const std::uint32_t number =
        strace_pid(line.name == "waitid" ? line.field_text("si_pid") : line.result);
    const auto known = namespaced_.find(number);
    line.child = number == 0 ? 0 : task_of(known == namespaced_.end() ? number : known->second);
  } else if (makes_task(line.name)) {
    const auto call = calls_.find(i);
    if (call == calls_.end()) return;
    const Call& made = call->second;
    line.child = made.child != 0 ? made.child : made.number;
    if (made.child != 0 && made.child != made.number) namespaced_[made.number] = made.child;
    if (line.has("CLONE_THREAD")) {
      group_[line.child] = group_.contains(line.pid) ? group_[line.pid] : line.pid;
    }
  }
}

void Namer::name() {
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    StraceLine& line = lines_[i];
    if (line.kind == StraceLine::Kind::kAttached) attach(task_of(line.other));
    if (!shows_its_task(line)) continue;
    line.pid = last_ = task_of(line.pid);
    follow(i);
  }
}

}  // namespace

std::uint64_t name_tasks(std::vector<StraceLine>& lines) {
  Namer namer(lines);
  namer.name();
  return namer.missing();
}

}  // namespace kpksim::workload
