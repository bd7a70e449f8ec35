#pragma once
// Tasks, by the numbers that workloads give them.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "sim/kernel/mm.h"
#include "sim/kernel/open_files.h"

namespace kpksim::kernel {

struct Task {
  std::uint32_t id = 0;
  std::shared_ptr<Mm> mm;
  unsigned cpu = 0;
  std::uint64_t stack = 0;         // VMAP_STACK address
  std::uint32_t vfork_parent = 0;  // that waits for its exec or exit
  std::uint64_t left_at = 0;       // switches of its core when it last left it
  bool fresh = true;               // has not returned to EL0 yet
  bool sve_trap = false;           // its first use of SVE traps
  bool sve = false;                // has used it (TIF_SVE)
  bool dead = false;               // exited, not reaped
  bool in_proc = false;            // /proc has looked-up entries of it
  LiveCred cred;                   // if credentials have a key; and what it has open, with threads
  std::shared_ptr<OpenFiles> files;
  std::vector<Pfn> slab;  // pages of its kernel objects: they lie between page tables
};

class Tasks {
 public:
  // InputError for a task that is not there, or has exited.
  Task& get(std::uint32_t id);
  // nullptr for one that is not there; one that has exited is, until it is reaped.
  const Task* find(std::uint32_t id) const;
  // InputError if there is such a task that has not exited.
  Task& add(std::uint32_t id, std::shared_ptr<Mm> mm, unsigned cpu);
  // InputError if `child` has not exited.
  void reap(std::uint32_t parent, std::uint32_t child);

  bool alive(std::uint32_t id) const;
  std::vector<std::uint32_t> all_alive() const;  // by number
  // Each address space once, as threads share theirs; in the order of their tasks.
  std::vector<Mm*> spaces() const;

 private:
  std::map<std::uint32_t, Task> tasks_;
};

}  // namespace kpksim::kernel
