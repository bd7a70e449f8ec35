#include "sim/workload/task_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "sim/base/error.h"

namespace kpksim::workload {
namespace {

template <class Map>
std::string suggest_of(const std::string& given, const Map& map) {
  std::vector<std::string> known;
  known.reserve(map.size());
  for (const auto& [name, unused] : map) {
    if (name.starts_with("@") == given.starts_with("@")) known.push_back(name);
  }
  return known.empty() ? std::string() : suggest(given, known);
}

}  // namespace

bool Region::covers(std::uint64_t offset, std::uint64_t length) const {
  for (const auto& [begin, end] : mapped) {
    if (begin <= offset && offset < end && length <= end - offset) return true;
  }
  return false;
}

bool Region::overlaps(std::uint64_t offset, std::uint64_t length) const {
  for (const auto& [begin, end] : mapped) {
    if (begin < offset + length && offset < end) return true;
  }
  return false;
}

void Region::cut(std::uint64_t offset, std::uint64_t length) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> left;
  for (const auto& [begin, end] : mapped) {
    if (begin < offset) left.emplace_back(begin, std::min(end, offset));
    if (end > offset + length) left.emplace_back(std::max(begin, offset + length), end);
  }
  mapped = std::move(left);
}

void Region::grow(std::uint64_t bytes) {
  if (!mapped.empty() && mapped.back().second == size) {
    mapped.back().second += bytes;
  } else {
    mapped.emplace_back(size, size + bytes);
  }
  size += bytes;
}

void TaskTable::add(const std::string& name, Task task, const std::string& place) {
  const auto old = tasks_.find(name);
  if (old != tasks_.end()) {
    throw InputError(old->second.exited
                         ? fmt::format("{}: task '{}' has exited, but '{}' has not waited for it",
                                       place, name, old->second.parent)
                         : fmt::format("{}: there is a task '{}' already", place, name));
  }
  tasks_.emplace(name, std::move(task));
}

void TaskTable::check_runs(const std::string& task, const std::string& place) const {
  const auto found = tasks_.find(task);
  if (found == tasks_.end()) {
    throw InputError(
        fmt::format("{}: there is no task '{}' here{}", place, task, suggest_of(task, tasks_)));
  }
  if (found->second.exited) {
    throw InputError(fmt::format("{}: task '{}' has exited", place, task));
  }
  if (!found->second.vfork_child.empty()) {
    throw InputError(
        fmt::format("{}: task '{}' stands still until its vfork child '{}' execs or "
                    "exits",
                    place, task, found->second.vfork_child));
  }
}

std::shared_ptr<TaskTable::AddressSpace> TaskTable::new_program() const {
  auto memory = std::make_shared<AddressSpace>();
  for (const auto& [name, size] : image_) memory->emplace(name, Region{size, false, {{0, size}}});
  return memory;
}

void TaskTable::spawn(const std::string& task, const std::string& place) {
  add(task, {new_program(), task, "", false, ""}, place);
}

void TaskTable::fork(const std::string& task, const std::string& child, const std::string& place) {
  const Task& parent = tasks_.at(task);
  auto copy = std::make_shared<AddressSpace>(*parent.memory);
  auto files = std::make_shared<Descriptors>(*parent.files);
  add(child, {std::move(copy), child, parent.leader, false, "", std::move(files)}, place);
}

void TaskTable::vfork(const std::string& task, const std::string& child, const std::string& place) {
  Task& parent = tasks_.at(task);
  auto files = std::make_shared<Descriptors>(*parent.files);
  add(child, {parent.memory, child, parent.leader, false, "", std::move(files)}, place);
  parent.vfork_child = child;
}

void TaskTable::clone(const std::string& task, const std::string& child, const std::string& place) {
  const Task& parent = tasks_.at(task);
  add(child, {parent.memory, parent.leader, "", false, "", parent.files}, place);
}

void TaskTable::release_vfork(const std::string& child) {
  for (auto& [name, task] : tasks_) {
    if (task.vfork_child == child) task.vfork_child.clear();
  }
}

void TaskTable::exec(const std::string& name) {
  release_vfork(name);
  Task& task = tasks_.at(name);
  task.memory = new_program();
  task.files = std::make_shared<Descriptors>(*task.files);
  std::erase_if(*task.files, [](const auto& entry) { return entry.second; });
  // The other threads end, and whoever called goes on as the leader of the process.
  const std::string old_leader = task.leader;
  if (old_leader != name && tasks_.contains(old_leader)) task.parent = tasks_[old_leader].parent;
  task.leader = name;
  std::erase_if(tasks_, [&](const auto& entry) {
    return entry.first != name && entry.second.leader == old_leader;
  });
  for (auto& [unused, other] : tasks_) {
    if (other.parent == old_leader) other.parent = name;
  }
}

void TaskTable::exit(const std::string& name) {
  release_vfork(name);
  Task& task = tasks_.at(name);
  task.exited = true;
  task.memory = std::make_shared<AddressSpace>();
  const auto no_reaper = [&](const Task& of) { return of.parent.empty(); };
  if (no_reaper(task)) tasks_.erase(name);
  bool process_lives = false;
  for (const auto& [unused, other] : tasks_) {
    process_lives = process_lives || (other.leader == name && !other.exited);
  }
  if (process_lives) return;
  // Init adopts the children, and reaps at once those that have exited.
  for (auto& [unused, other] : tasks_) {
    if (other.parent == name) other.parent.clear();
  }
  std::erase_if(tasks_,
                [&](const auto& entry) { return entry.second.exited && no_reaper(entry.second); });
}

void TaskTable::wait(const std::string& task, const std::string& child, const std::string& place) {
  const auto found = tasks_.find(child);
  if (found == tasks_.end() || found->second.parent.empty() ||
      found->second.parent != tasks_.at(task).leader) {
    throw InputError(
        fmt::format("{}: task '{}' has no child '{}' to wait for", place, task, child));
  }
  if (!found->second.exited) {
    throw InputError(
        fmt::format("{}: child '{}' has not exited, the wait would never end", place, child));
  }
  tasks_.erase(found);
}

Region& TaskTable::region(const std::string& task, const std::string& name,
                          const std::string& place) {
  AddressSpace& memory = *tasks_.at(task).memory;
  const auto found = memory.find(name);
  if (found == memory.end()) {
    throw InputError(fmt::format("{}: region '{}' is not mapped in task '{}'{}", place, name, task,
                                 suggest_of(name, memory)));
  }
  return found->second;
}

// Region names are one name space of the whole workload: a name stands for one mapping, which only
// fork can multiply.
void TaskTable::check_free(const std::string& region, const std::string& place) const {
  if (region.starts_with("@")) {
    throw InputError(fmt::format("{}: names with @ are parts of the program image", place));
  }
  for (const auto& [name, task] : tasks_) {
    if (task.memory->contains(region)) {
      throw InputError(
          fmt::format("{}: region '{}' is mapped already, in task '{}'", place, region, name));
    }
  }
  const auto found = kernel_.find(region);
  if (found != kernel_.end()) {
    throw InputError(fmt::format("{}: region '{}' is in use by {}", place, region, found->second));
  }
}

void TaskTable::map(const std::string& task, const std::string& name, std::uint64_t size,
                    const std::string& place) {
  check_free(name, place);
  tasks_.at(task).memory->emplace(name, Region{size, false, {{0, size}}});
}

void TaskTable::grow_heap(const std::string& task, const std::string& name, std::uint64_t size,
                          const std::string& place) {
  AddressSpace& memory = *tasks_.at(task).memory;
  for (const auto& [other, region] : memory) {
    if (region.heap != (other == name) && (region.heap || other == name)) {
      throw InputError(
          region.heap ? fmt::format("{}: the heap of task '{}' is region '{}'", place, task, other)
                      : fmt::format("{}: region '{}' was mapped by mmap", place, name));
    }
  }
  if (!memory.contains(name)) {
    check_free(name, place);
    memory.emplace(name, Region{0, true, {}});
  }
  memory.at(name).grow(size);
}

void TaskTable::shrink_heap(const std::string& task, const std::string& name, std::uint64_t size,
                            const std::string& place) {
  AddressSpace& memory = *tasks_.at(task).memory;
  const auto it = memory.find(name);
  if (it == memory.end() || !it->second.heap) {
    throw InputError(
        fmt::format("{}/region: '{}' is not the heap of task '{}'", place, name, task));
  }
  Region& heap = it->second;
  if (size > heap.size) {
    throw InputError(fmt::format("{}/size: the heap has grown by {} bytes only", place, heap.size));
  }
  heap.cut(heap.size - size, size);
  heap.size -= size;
}

std::map<std::string, std::uint64_t> TaskTable::heap_sizes() const {
  std::map<std::string, std::uint64_t> sizes;
  for (const auto& [unused, task] : tasks_) {
    for (const auto& [name, region] : *task.memory) {
      if (region.heap) sizes[name] = region.size;
    }
  }
  return sizes;
}

void TaskTable::repeat_growth(const std::map<std::string, std::uint64_t>& before,
                              std::uint64_t rounds, const std::string& place) {
  std::set<AddressSpace*> seen;  // threads share one
  for (const auto& [unused, task] : tasks_) {
    if (!seen.insert(task.memory.get()).second) continue;
    for (auto& [name, region] : *task.memory) {
      const auto old = before.find(name);
      if (region.heap && old != before.end() && region.size > old->second) {
        region.grow((region.size - old->second) * rounds);
      } else if (region.heap && old != before.end() && region.size < old->second) {
        const std::uint64_t each = old->second - region.size;
        if (rounds > region.size / each) {
          throw InputError(
              fmt::format("{}: heap '{}' shrinks by {} bytes in each round: it has not "
                          "as many as that",
                          place, name, each));
        }
        region.cut(region.size - each * rounds, each * rounds);
        region.size -= each * rounds;
      }
    }
  }
}

void TaskTable::unmap(const std::string& task, const std::string& name, std::uint64_t offset,
                      std::uint64_t size, const std::string& place) {
  Region& at = region(task, name, place);
  if (!at.overlaps(offset, size)) {
    throw InputError(fmt::format("{}: that part of region '{}' is unmapped already", place, name));
  }
  at.cut(offset, size);
  if (at.mapped.empty()) tasks_.at(task).memory->erase(name);
}

void TaskTable::check_open(const std::string& task, int descriptor,
                           const std::string& place) const {
  if (tasks_.at(task).files->contains(descriptor)) return;
  throw InputError(
      fmt::format("{}: task '{}' has no descriptor {} that stays", place, task, descriptor));
}

void TaskTable::open(const std::string& task, int descriptor, bool close_on_exec,
                     const std::string& place) {
  if (tasks_.at(task).files->emplace(descriptor, close_on_exec).second) return;
  throw InputError(
      fmt::format("{}: descriptor {} of task '{}' is open already", place, descriptor, task));
}

void TaskTable::close(const std::string& task, int descriptor, const std::string& place) {
  check_open(task, descriptor, place);
  tasks_.at(task).files->erase(descriptor);
}

void TaskTable::map_kernel(const std::string& name, const std::string& maker,
                           const std::string& place) {
  check_free(name, place);
  kernel_.emplace(name, maker);
}

void TaskTable::unmap_kernel(const std::string& name, const std::string& maker,
                             const std::string& place) {
  const auto found = kernel_.find(name);
  if (found == kernel_.end() || found->second != maker) {
    throw InputError(
        fmt::format("{}: there is no {} of region '{}' to free here", place, maker, name));
  }
  kernel_.erase(found);
}

void TaskTable::fragment(const std::string& place) {
  if (fragmented_) throw InputError(place + ": memory is fragmented already; unfragment it first");
  fragmented_ = true;
}

void TaskTable::unfragment(const std::string& place) {
  if (!fragmented_) throw InputError(place + ": there is no fragment before this unfragment");
  fragmented_ = false;
}

}  // namespace kpksim::workload
