#include "sim/workload/strace_set.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "sim/base/text_input.h"
#include "sim/workload/strace_recording.h"

namespace kpksim::workload {
namespace {

namespace fs = std::filesystem;

std::string without_packing(const std::string& path) {
  for (const std::string_view ending : {".gz", ".zst"}) {
    if (path.ends_with(ending)) return path.substr(0, path.size() - ending.size());
  }
  return path;
}

// The tasks that calls in the file have made.
std::set<std::uint32_t> made_in(const std::string& path) {
  std::set<std::uint32_t> made;
  StraceParser parser;
  std::vector<StraceLine> lines;
  each_line(read_text_file(path), [&](std::string_view raw) {
    lines.clear();
    parser.parse(raw, lines);
    for (const StraceLine& line : lines) {
      if (line.kind == StraceLine::Kind::kCall && !line.failed && makes_task(line.name)) {
        made.insert(strace_pid(line.result));
      }
    }
    return true;
  });
  return made;
}

bool is_one_run(const std::vector<std::string>& paths) {
  std::set<std::uint32_t> pids;
  for (const std::string& path : paths) pids.insert(*pid_of_file(path));
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
    const std::set<std::uint32_t> made = made_in(path);
    return std::any_of(made.begin(), made.end(), [&](std::uint32_t p) { return pids.contains(p); });
  });
}

}  // namespace

std::optional<std::uint32_t> pid_of_file(const std::string& path) {
  const std::string plain = without_packing(path);
  const std::size_t dot = plain.find_last_of("./");
  if (dot == std::string::npos || plain[dot] != '.' || dot == 0 || plain[dot - 1] == '/') {
    return std::nullopt;
  }
  const std::string_view digits = std::string_view(plain).substr(dot + 1);
  if (digits.empty() || digits_of(digits) != digits.size()) {
    return std::nullopt;
  }
  const std::uint32_t pid = strace_pid(digits);
  return pid == 0 ? std::nullopt : std::optional(pid);
}

std::string prefix_of_file(const std::string& path) {
  const std::string plain = without_packing(path);
  return plain.substr(0, plain.find_last_of('.'));
}

std::vector<std::string> files_of_prefix(const std::string& prefix) {
  const fs::path whole(prefix);
  const fs::path folder = whole.has_parent_path() ? whole.parent_path() : fs::path(".");
  std::map<std::uint32_t, std::string> found;
  std::error_code unreadable;
  if (!whole.has_filename() || !fs::is_directory(folder, unreadable)) return {};
  for (const auto& entry : fs::directory_iterator(folder, unreadable)) {
    const std::string name = entry.path().filename().string();
    const auto pid = pid_of_file(name);
    if (!pid || prefix_of_file(name) != whole.filename().string()) continue;
    found.emplace(*pid, (whole.parent_path() / name).string());
  }
  std::vector<std::string> paths;
  paths.reserve(found.size());
  for (auto& [pid, path] : found) paths.push_back(std::move(path));
  return paths;
}

std::vector<std::vector<std::string>> group_recordings(const std::vector<std::string>& paths) {
  std::map<std::string, std::vector<std::string>> sets;
  for (const std::string& path : paths) {
    std::error_code unreadable;
    if (pid_of_file(path) && fs::is_regular_file(path, unreadable)) {
      sets[prefix_of_file(path)].push_back(path);
    }
  }
  std::erase_if(sets,
                [](const auto& set) { return set.second.size() < 2 || !is_one_run(set.second); });
  std::vector<std::vector<std::string>> groups;
  for (const std::string& path : paths) {
    const auto set = pid_of_file(path) ? sets.find(prefix_of_file(path)) : sets.end();
    if (set == sets.end()) {
      groups.push_back({path});
    } else if (!set->second.empty()) {
      groups.push_back(std::move(set->second));
      set->second.clear();
    }
  }
  return groups;
}

namespace {

constexpr std::uint64_t kHour = 3'600'000'000'000, kDay = 24 * kHour;

class Joiner {
 public:
  Joiner(std::vector<std::vector<StraceLine>> files, const std::vector<std::uint32_t>& pids)
      : timed_(true) {
    for (std::size_t f = 0; f < files.size(); ++f) {
      tasks_[pids[f]] = {pids[f], std::move(files[f])};
    }
    for (auto& [pid, task] : tasks_) {
      timed_ &= set_times(task.lines);
      for (const StraceLine& line : task.lines) find_children(line);
    }
    find_roots();
  }

  std::vector<StraceLine> join() {
    std::vector<StraceLine> out;
    while (Task* next = choose()) take(*next, out);
    return out;
  }

 private:
  struct Task {
    std::uint32_t pid = 0;
    std::vector<StraceLine> lines;
    std::size_t at = 0;
    bool made = false;  // by a call in one of the files
    bool started = false;
    std::uint32_t waits_for_exec = 0;  // in vfork()
    bool executed = false;
    StraceLine begun = {};  // the last half of a call

    bool done() const { return at == lines.size(); }
  };

  static bool set_times(std::vector<StraceLine>& lines);
  static std::uint32_t child_in(const StraceLine& line) {
    if (line.kind != StraceLine::Kind::kCall || line.failed || !makes_task(line.name)) return 0;
    return strace_pid(line.result);
  }
  void find_children(const StraceLine& line);
  void align_days(std::uint64_t start);
  void find_roots();
  bool blocked(const Task& task) const;
  bool runs(std::uint32_t pid) const {
    const auto it = tasks_.find(pid);
    return it != tasks_.end() && !it->second.done();
  }
  Task* choose();
  void take(Task& task, std::vector<StraceLine>& out);

  std::map<std::uint32_t, Task> tasks_;
  std::set<std::uint32_t> unmatched_;  // made in a PID namespace: their number is another
  bool timed_;
  std::uint32_t last_ = 0;
};

// Every line gets the time of the one before if it has none; the days of -t and -tt are told apart.
// False if there are no times.
bool Joiner::set_times(std::vector<StraceLine>& lines) {
  std::uint64_t last = 0, days = 0;
  for (StraceLine& line : lines) {
    if (line.time != 0 && line.time + days + kDay / 2 < last) days += kDay;
    last = line.time = line.time == 0 ? last : line.time + days;
  }
  return last != 0;
}

void Joiner::find_children(const StraceLine& line) {
  const std::uint32_t child = child_in(line);
  if (child == 0) return;
  if (const auto it = tasks_.find(child); it != tasks_.end()) {
    it->second.made = true;
  } else {
    unmatched_.insert(child);
  }
}

// A file that begins after midnight goes on with the day of the first one: no task begins long
// before it. Dates need no such care.
void Joiner::align_days(std::uint64_t start) {
  for (auto& [pid, task] : tasks_) {
    if (task.lines.empty() || task.lines.front().time + kHour >= start || start > 2 * kDay)
      continue;
    for (StraceLine& line : task.lines) line.time += kDay;
  }
}

// Tasks that no call has made run from the beginning; but where calls have made tasks of which no
// number is known, as in a PID namespace, only the first: that which executes a program at once.
void Joiner::find_roots() {
  std::vector<std::pair<bool, Task*>> roots;
  for (auto& [pid, task] : tasks_) {
    if (task.made) continue;
    const bool executes = !task.lines.empty() && task.lines.front().name.starts_with("exec");
    roots.emplace_back(!executes, &task);
  }
  std::stable_sort(roots.begin(), roots.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < roots.size(); ++i) {
    roots[i].second->started = i == 0 || unmatched_.empty();
  }
  if (!roots.empty() && !roots[0].second->lines.empty()) {
    align_days(roots[0].second->lines.front().time);
  }
}

bool Joiner::blocked(const Task& task) const {
  if (task.waits_for_exec != 0) {
    const Task& child = tasks_.at(task.waits_for_exec);
    if (!child.done() && !child.executed) return true;
  }
  const StraceLine& next = task.lines[task.at];
  if (next.kind == StraceLine::Kind::kSuperseded) return runs(next.other);
  if (next.kind != StraceLine::Kind::kCall || next.failed || !waits_for_task(next.name))
    return false;
  return runs(strace_pid(next.name == "waitid" ? next.field_text("si_pid") : next.result));
}

Joiner::Task* Joiner::choose() {
  Task *best = nullptr, *stuck = nullptr, *unborn = nullptr;
  // In the order of pids, from the one behind the last.
  auto it = tasks_.upper_bound(last_);
  for (std::size_t i = 0; i < tasks_.size(); ++i, ++it) {
    if (it == tasks_.end()) it = tasks_.begin();
    Task& task = it->second;
    if (task.done()) continue;
    if (!task.started) {
      if (unborn == nullptr) unborn = &task;
    } else if (blocked(task)) {
      if (stuck == nullptr) stuck = &task;
    } else if (best == nullptr ||
               (timed_ && task.lines[task.at].time < best->lines[best->at].time)) {
      best = &task;
    }
  }
  if (best != nullptr) return best;
  return stuck != nullptr ? stuck : unborn;
}

void Joiner::take(Task& task, std::vector<StraceLine>& out) {
  StraceLine line = std::move(task.lines[task.at++]);
  task.started = true;
  task.waits_for_exec = 0;
  last_ = task.pid;
  if (line.kind == StraceLine::Kind::kBegun) task.begun = line;
  if (line.kind == StraceLine::Kind::kSuperseded && tasks_.contains(line.other)) {
    task.begun = tasks_.at(line.other).begun;
  }
  if (line.orphan && task.begun.name == line.name) {  // the call that another thread began
    line.arguments = task.begun.arguments;
    line.orphan = false;
  }
  if (line.kind == StraceLine::Kind::kCall && !line.failed && line.name.starts_with("exec")) {
    task.executed = true;
  }
  if (const std::uint32_t number = child_in(line); number != 0) {
    auto child = tasks_.find(number);
    if (child == tasks_.end()) {  // the next one that no call has made
      child = std::find_if(tasks_.begin(), tasks_.end(), [](const auto& other) {
        return !other.second.started && !other.second.made;
      });
    }
    if (child != tasks_.end()) {
      child->second.started = true;
      const bool vfork = line.name == "vfork" || line.has("CLONE_VFORK");
      if (vfork) task.waits_for_exec = child->first;
    }
  }
  out.push_back(std::move(line));
}

}  // namespace

std::vector<StraceLine> join_files(std::vector<std::vector<StraceLine>> files,
                                   const std::vector<std::uint32_t>& pids) {
  return Joiner(std::move(files), pids).join();
}

}  // namespace kpksim::workload
