#pragma once
// Files that are open, as far as they keep credentials alive: each has a reference to those of its
// opener (alloc_empty_file(): file->f_cred), which the last of its users gives back (file_free()).
// Users are descriptors, duplicated and inherited ones too, and the address space that a program's
// file was executed in (mm->exe_file and the mappings). What else a process maps keeps its file
// open in a real kernel; here that goes with its descriptor.

#include <map>
#include <memory>

#include "sim/kernel/call.h"
#include "sim/kernel/object/cred.h"

namespace kpksim::kernel {

// struct file; its users are the copies of this pointer (f_count).
using OpenFile = std::shared_ptr<const LiveCred>;
OpenFile open_file(Creds& creds, cpu::Core& core, LiveCred opener);
// fput()
void put_file(Creds& creds, cpu::Core& core, OpenFile file);

// struct files_struct, which the threads of a process share. A copy is that of a forked child
// (dup_fd()). A descriptor that nothing is known of, as one that was open before a recording began,
// stands for no file here.
class OpenFiles {
 public:
  explicit OpenFiles(Creds& creds) : creds_(creds) {}

  // What a call of a task with these credentials does.
  void use(cpu::Core& core, const DescriptorUse& use, LiveCred by);
  // execve(): what is marked close-on-exec goes (do_close_on_exec()).
  void executed(cpu::Core& core);
  // The last task that has the table ends.
  void close_all(cpu::Core& core);

 private:
  struct Descriptor {
    OpenFile file;
    bool close_on_exec = false;
  };
  using Table = std::map<int, Descriptor>;

  void set(cpu::Core& core, int descriptor, Descriptor to);
  void duplicate(cpu::Core& core, const DescriptorUse& use);
  void close(cpu::Core& core, Table::iterator from, Table::iterator to);

  Creds& creds_;
  Table open_;
};

}  // namespace kpksim::kernel
