// How a program goes on: tasks, system calls and the kernel's own memory. draft_memory.cc has the
// rest.

#include "sim/fuzz/draft.h"

#include <utility>

namespace kpksim::fuzz {

Program Draft::make() {
  program_.cores = static_cast<unsigned>(1 + dice_.below(bounds_.cores));
  program_.interleave = bounds_.interleave && dice_.one_in(2);
  if (dice_.one_in(3)) program_.hz = dice_.of({250u, 1000u});
  if (!program_.interleave && dice_.one_in(8)) program_.pressure_every = dice_.of({1u, 5u, 20u});
  reference_.emplace(Abilities{program_.cores, bounds_.guard_pages, program_.interleave});
  if (!bounds_.leaves_nothing && dice_.one_in(6))
    add({{"op", "nr_hugepages"}, {"size", kPmdSize}, {"count", 16}});
  add({{"op", "spawn"}, {"task", new_task()}});
  const std::uint64_t wanted = program_.ops.size() + 4 + dice_.below(bounds_.operations - 3);
  // What is refused by the reference is not tried again: the next one is another.
  for (std::uint64_t tries = 0; program_.ops.size() < wanted && tries < 4 * wanted; ++tries) {
    propose();
  }
  if (bounds_.leaves_nothing || !dice_.one_in(4)) end();
  return std::move(program_);
}

void Draft::propose() {
  std::vector<const std::string*> running;
  for (const auto& [name, task] : reference_->tasks()) {
    if (task.runs()) running.push_back(&name);
  }
  if (running.empty()) {
    add({{"op", "spawn"}, {"task", new_task()}});
    return;
  }
  task_ = *dice_.element(running);
  const std::uint64_t what = dice_.below(100);
  if (what < 62) return memory();
  if (what < 78) return tasks();
  if (what < 86) return calls();
  kernel();
}

void Draft::tasks() {
  const auto& all = reference_->tasks();
  const bool many = all.size() > 8;
  switch (dice_.below(10)) {
    case 0:
    case 1:
      if (!many) add({{"op", "fork"}, {"task", task_}, {"child", new_task()}});
      break;
    case 2:
      if (!many) add({{"op", "clone"}, {"task", task_}, {"child", new_task()}});
      break;
    case 3:
      if (!many) add({{"op", "vfork"}, {"task", task_}, {"child", new_task()}});
      break;
    case 4:
      if (dice_.one_in(2)) add({{"op", "exec"}, {"task", task_}});
      break;
    case 5:
      if (all.size() > 1) add({{"op", "exit"}, {"task", task_}});
      break;
    case 6:
      for (const auto& [name, child] : all) {
        if (child.exited && child.parent == task().leader) {
          add({{"op", "wait"}, {"task", task_}, {"child", name}});
          break;
        }
      }
      break;
    case 7:
      if (!many) add({{"op", "spawn"}, {"task", new_task()}});
      break;
    case 8:
      add({{"op", "switch"}, {"task", task_}});
      break;
    default:
      add({{"op", "migrate"}, {"task", task_}, {"core", dice_.below(program_.cores)}});
  }
}

void Draft::calls() {
  Json op = {{"op", "syscall"}, {"task", task_}};
  const std::string call =
      dice_.of({"null", "small", "signal_mask", "stat", "open", "close", "read", "write", "pipe",
                "poll", "signal", "getrandom", "setuid"});
  op["call"] = call;
  if (call == "stat" || call == "open") op["components"] = 1 + dice_.below(3);
  if (call == "open" || call == "close") op["descriptor"] = 3 + dice_.below(3);
  if (call == "read" || call == "write" || call == "getrandom") {
    const std::uint64_t bytes = dice_.of<std::uint64_t>({8, 100, kPageSize, 5 * kPageSize});
    op["size"] = bytes;
    if (!task().space->regions.empty() && dice_.one_in(2)) {
      const auto& [name, region] = dice_.element(task().space->regions);
      op["region"] = name;
      op["offset"] = region.bytes() < bytes ? 0 : dice_.below(region.bytes() - bytes + 1);
    }
  }
  add(op);
}

void Draft::kernel() {
  switch (bounds_.leaves_nothing ? 6 + dice_.below(2) : dice_.below(10)) {
    case 0:
    case 1:
    case 2: {
      Json op = {{"op", dice_.of({"vmalloc", "vmalloc", "vm_map_ram"})},
                 {"region", new_region()},
                 {"pages", dice_.of({1u, 2u, 16u, 33u, 511u, 600u})}};
      if (op["op"] == "vmalloc" && dice_.one_in(3)) op["huge"] = true;
      if (!dice_.one_in(3)) op["write"] = true;
      add(op);
      break;
    }
    case 3:
    case 4:
      if (!reference_->kernel_regions().empty()) {
        const auto& [name, maker] = dice_.element(reference_->kernel_regions());
        add({{"op", maker == "vmalloc" ? "vfree" : "vm_unmap_ram"}, {"region", name}});
      }
      break;
    case 5:
      add({{"op", "vm_unmap_aliases"}});
      break;
    case 6:
      add({{"op", "pressure"}});
      break;
    case 7:
      add({{"op", "idle"}});
      break;
    case 8:
      add({{"op", "hugepages"},
           {"size", dice_.of<std::uint64_t>({16 << 10, 64 << 10, 2 << 20})},
           {"enabled", dice_.of({"never", "madvise", "always"})}});
      break;
    default:
      if (!add({{"op", "unfragment"}})) {
        add({{"op", "fragment"}, {"percent", 1 + dice_.below(50)}});
      }
  }
}

// All exit, in any order that the tasks allow.
void Draft::end() {
  for (bool any = true; any;) {
    any = false;
    for (const auto& [name, task] : reference_->tasks()) {
      if (task.runs()) {
        any = add({{"op", "exit"}, {"task", name}});
        break;
      }
    }
  }
}

}  // namespace kpksim::fuzz
