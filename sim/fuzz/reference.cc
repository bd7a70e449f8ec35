// Tasks, and what operations on memory (reference_memory.cc) and on the kernel
// (reference_kernel.cc) share.

#include "sim/fuzz/reference.h"

#include <algorithm>

namespace kpksim::fuzz {
const std::map<std::string, Reference::Take>& Reference::operations() {
  static const std::map<std::string, Take> all = {
      {"spawn", &Reference::spawn},
      {"fork", &Reference::fork},
      {"vfork", &Reference::vfork},
      {"clone", &Reference::clone},
      {"exec", &Reference::exec},
      {"exit", &Reference::exit},
      {"wait", &Reference::wait},
      {"switch", &Reference::scheduled},
      {"migrate", &Reference::migrate},
      {"syscall", &Reference::syscall},
      {"mmap", &Reference::mmap},
      {"munmap", &Reference::munmap},
      {"mprotect", &Reference::mprotect},
      {"madvise", &Reference::madvise},
      {"mlock", &Reference::mlock},
      {"munlock", &Reference::munlock},
      {"mlockall", &Reference::mlockall},
      {"munlockall", &Reference::munlockall},
      {"mremap", &Reference::mremap},
      {"brk", &Reference::brk},
      {"touch", &Reference::touch},
      {"stray_store", &Reference::stray_store},
      {"punch_hole", &Reference::punch_hole},
      {"truncate", &Reference::truncate},
      {"vmalloc", &Reference::kernel_map},
      {"vm_map_ram", &Reference::kernel_map},
      {"vfree", &Reference::kernel_unmap},
      {"vm_unmap_ram", &Reference::kernel_unmap},
      {"vm_unmap_aliases", &Reference::whole_kernel},
      {"idle", &Reference::whole_kernel},
      {"pressure", &Reference::whole_kernel},
      {"hugepages", &Reference::whole_kernel},
      {"nr_hugepages", &Reference::nr_hugepages},
      {"fragment", &Reference::fragment},
      {"unfragment", &Reference::unfragment},
  };
  return all;
}

bool Reference::take(const Json& op) {
  const auto found = operations().find(text_in(op, "op"));
  return found != operations().end() && (this->*found->second)(op);
}

Task* Reference::running(const Json& op) {
  const auto found = tasks_.find(text_in(op, "task"));
  return found == tasks_.end() || !found->second.runs() ? nullptr : &found->second;
}

bool Reference::task_is_free(const Json& op) const {
  const char* const key = op.contains("child") ? "child" : "task";
  return !text_in(op, key).empty() && !tasks_so_far_.contains(text_in(op, key));
}

bool Reference::name_is_free(const std::string& region) const {
  return !region.empty() && !regions_so_far_.contains(region);
}

std::uint64_t Reference::mapped_pages() const {
  std::set<const AddressSpace*> seen;
  std::uint64_t pages = 0;
  for (const auto& [unused, task] : tasks_) {
    if (!task.space || !seen.insert(task.space.get()).second) continue;
    for (const auto& [name, region] : task.space->regions) pages += region.pages.size();
  }
  return pages;
}

std::uint64_t Reference::hugetlb_pages() const {
  std::set<const AddressSpace*> seen;
  std::uint64_t bytes = 0;
  for (const auto& [unused, task] : tasks_) {
    if (!task.space || !seen.insert(task.space.get()).second) continue;
    for (const auto& [name, region] : task.space->regions) {
      if (region.hugetlb) bytes += region.bytes();
    }
  }
  return bytes / kPmdSize;
}

// The huge pages that were ever mapped, where it is not known which of them are given back first.
bool Reference::reserve(std::uint64_t huge_pages) {
  if ((abilities_.interleave ? ever_huge_ : hugetlb_pages()) + huge_pages > reserved_) return false;
  ever_huge_ += huge_pages;
  return true;
}

bool Reference::spawn(const Json& op) {
  if (!task_is_free(op)) return false;
  const std::string name = text_in(op, "task");
  tasks_so_far_.insert(name);
  tasks_[name] = {std::make_shared<AddressSpace>(), name};
  return true;
}

bool Reference::fork(const Json& op) {
  const Task* const parent = running(op);
  if (parent == nullptr || !task_is_free(op) || races(*parent)) return false;
  auto copy = std::make_shared<AddressSpace>(*parent->space);
  copy->locks_future = false;
  std::erase_if(copy->regions, [](const auto& entry) {
    const Region& r = entry.second;
    return std::any_of(r.pages.begin(), r.pages.end(), [](auto p) { return p & kNotForked; });
  });
  std::uint64_t huge = 0;
  for (auto& [unused, region] : copy->regions) {
    if (region.hugetlb) huge += region.bytes() / kPmdSize;
    for (std::uint8_t& page : region.pages) page &= static_cast<std::uint8_t>(~(kLocked | kUsed));
  }
  if (!reserve(huge)) return false;
  const std::string child = text_in(op, "child");
  tasks_so_far_.insert(child);
  tasks_[child] = {std::move(copy), child, parent->leader,
                   false,           "",    std::make_shared<std::set<int>>(*parent->descriptors)};
  return true;
}

bool Reference::vfork(const Json& op) {
  Task* const parent = running(op);
  if (parent == nullptr || !task_is_free(op)) return false;
  const std::string child = text_in(op, "child");
  tasks_so_far_.insert(child);
  parent->vfork_child = child;
  tasks_[child] = {parent->space, child, parent->leader,
                   false,         "",    std::make_shared<std::set<int>>(*parent->descriptors)};
  return true;
}

bool Reference::clone(const Json& op) {
  const Task* const task = running(op);
  if (task == nullptr || !task_is_free(op)) return false;
  const std::string child = text_in(op, "child");
  tasks_so_far_.insert(child);
  task->space->had_threads = true;
  tasks_[child] = {task->space, task->leader, "", false, "", task->descriptors};
  return true;
}

void Reference::release_vfork(const std::string& child) {
  for (auto& [unused, task] : tasks_) {
    if (task.vfork_child == child) task.vfork_child.clear();
  }
}

// As the readers of workloads have it (workload::TaskTable): the other threads end, and whoever
// called goes on as the leader.
bool Reference::exec(const Json& op) {
  Task* const task = running(op);
  if (task == nullptr) return false;
  const std::string name = text_in(op, "task"), old_leader = task->leader;
  if (races(*task)) return false;
  release_vfork(name);
  task->space = std::make_shared<AddressSpace>();
  task->descriptors = std::make_shared<std::set<int>>(*task->descriptors);
  if (old_leader != name && tasks_.contains(old_leader)) task->parent = tasks_[old_leader].parent;
  task->leader = name;
  std::erase_if(tasks_, [&](const auto& entry) {
    return entry.first != name && entry.second.leader == old_leader;
  });
  for (auto& [unused, other] : tasks_) {
    if (other.parent == old_leader) other.parent = name;
  }
  return true;
}

bool Reference::exit(const Json& op) {
  Task* const task = running(op);
  if (task == nullptr) return false;
  const std::string name = text_in(op, "task"), leader = task->leader;
  release_vfork(name);
  task->exited = true;
  task->space.reset();
  if (task->parent.empty()) tasks_.erase(name);
  const bool process_lives = std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
    return entry.second.leader == leader && !entry.second.exited;
  });
  if (process_lives) return true;
  for (auto& [unused, other] : tasks_) {
    if (other.parent == leader) other.parent.clear();
  }
  std::erase_if(
      tasks_, [](const auto& entry) { return entry.second.exited && entry.second.parent.empty(); });
  return true;
}

bool Reference::wait(const Json& op) {
  const Task* const task = running(op);
  const auto child = tasks_.find(text_in(op, "child"));
  if (task == nullptr || child == tasks_.end() || !child->second.exited) return false;
  if (child->second.parent != task->leader) return false;
  tasks_.erase(child);
  return true;
}

bool Reference::scheduled(const Json& op) { return running(op) != nullptr; }

bool Reference::migrate(const Json& op) {
  return running(op) != nullptr && op.value("core", 0u) < abilities_.cores;
}

bool Reference::find(const Json& op, Range& out, bool whole) {
  Task* const task = running(op);
  if (task == nullptr) return false;
  const auto found = task->space->regions.find(text_in(op, "region"));
  if (found == task->space->regions.end()) return false;
  out.region = &found->second;
  const std::uint64_t offset = number_in(op, "offset");
  if (offset >= out.region->bytes()) return false;
  const std::uint64_t size = op.value("size", out.region->bytes() - offset);
  if (size == 0 || size > out.region->bytes() - offset) return false;
  out.first = offset / kPageSize;
  out.end = (offset + size + kPageSize - 1) / kPageSize;
  return !whole || all(out, kMapped);
}

bool Reference::all(const Range& range, std::uint8_t flags) {
  for (std::uint64_t p = range.first; p < range.end; ++p) {
    if ((range.region->pages[p] & flags) != flags) return false;
  }
  return true;
}

bool Reference::any(const Range& range, std::uint8_t flags) {
  for (std::uint64_t p = range.first; p < range.end; ++p) {
    if ((range.region->pages[p] & flags) != 0) return true;
  }
  return false;
}

void Reference::change(const Range& range, std::uint8_t clear, std::uint8_t set) {
  Region& region = *range.region;
  if (range.first != 0 || range.end != region.pages.size()) region.one_vma = false;
  for (std::uint64_t p = range.first; p < range.end; ++p) {
    region.pages[p] = static_cast<std::uint8_t>((region.pages[p] & ~clear) | set);
  }
}

}  // namespace kpksim::fuzz
