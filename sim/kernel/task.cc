#include "sim/kernel/task.h"

#include <fmt/core.h>

#include <utility>

#include "sim/base/error.h"

namespace kpksim::kernel {

Task& Tasks::get(std::uint32_t id) {
  const auto it = tasks_.find(id);
  if (it == tasks_.end() || it->second.dead) {
    throw InputError(fmt::format("task {} does not exist or has exited", id));
  }
  return it->second;
}

const Task* Tasks::find(std::uint32_t id) const {
  const auto it = tasks_.find(id);
  return it == tasks_.end() ? nullptr : &it->second;
}

Task& Tasks::add(std::uint32_t id, std::shared_ptr<Mm> mm, unsigned cpu) {
  const auto [it, fresh] = tasks_.try_emplace(id);
  if (!fresh && !it->second.dead) throw InputError(fmt::format("task {} exists already", id));
  it->second = {};
  it->second.id = id;
  it->second.mm = std::move(mm);
  it->second.cpu = cpu;
  return it->second;
}

void Tasks::reap(std::uint32_t parent, std::uint32_t child) {
  const auto it = tasks_.find(child);
  if (it == tasks_.end() || !it->second.dead) {
    throw InputError(fmt::format("task {} waits for {}, which has not exited", parent, child));
  }
  tasks_.erase(it);
}

bool Tasks::alive(std::uint32_t id) const {
  const Task* t = find(id);
  return t != nullptr && !t->dead;
}

std::vector<std::uint32_t> Tasks::all_alive() const {
  std::vector<std::uint32_t> ids;
  ids.reserve(tasks_.size());
  for (const auto& [id, t] : tasks_) {
    if (!t.dead) ids.push_back(id);
  }
  return ids;
}

std::vector<Mm*> Tasks::spaces() const {
  std::set<const Mm*> seen;
  std::vector<Mm*> spaces;
  spaces.reserve(tasks_.size());
  for (const auto& [unused, t] : tasks_) {
    if (t.mm != nullptr && seen.insert(t.mm.get()).second) spaces.push_back(t.mm.get());
  }
  return spaces;
}

}  // namespace kpksim::kernel
