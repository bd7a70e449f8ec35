// What calls do with credentials that have a key: who gets which, and who references them. Nothing,
// where they have none: the paths' lengths have what a kernel executes for them anyway.

#include <algorithm>
#include <set>

#include "sim/kernel/kernel.h"

namespace kpksim::kernel {

void Kernel::first_creds(Task& t, cpu::Core& core) {
  if (!system_.creds) return;
  t.cred = system_.creds->commit(core, system_.creds->fresh(core));
  t.files = std::make_shared<OpenFiles>(*system_.creds);
  open_program(t, nullptr, core);
}

// copy_creds() and copy_files(); the mappings of a copied address space are users of its files too.
void Kernel::give_creds(Task& child, const Task& parent, bool thread, cpu::Core& core) {
  if (!system_.creds) return;
  if (thread) {
    child.cred = parent.cred;
    child.files = parent.files;
    return system_.creds->get(core, child.cred, 2);
  }
  child.cred = system_.creds->commit(core, system_.creds->prepare(core, parent.cred));
  child.files = std::make_shared<OpenFiles>(*parent.files);
  if (child.mm != parent.mm) child.mm->program_files = parent.mm->program_files;
}

// prepare_creds() and commit_creds(), which puts the old ones: at the last put, RCU has them.
void Kernel::replace_creds(Task& t, cpu::Core& core) {
  if (!system_.creds) return system_.rcu.call(core);
  const LiveCred old = t.cred;
  t.cred = system_.creds->commit(core, system_.creds->prepare(core, old));
  system_.creds->put(core, old, 2);
}

void Kernel::use_files(Task& t, const Call& call, cpu::Core& core) {
  if (!system_.creds) return;
  t.files->use(core, call.descriptors, t.cred);
  for (unsigned i = 0; i < opened_by(call); ++i) system_.creds->get(core, t.cred);
  for (unsigned i = 0; i < opened_by(call); ++i) system_.creds->put(core, t.cred);
}

// do_open_execat(): the program's file, and its interpreter's, with the credentials before.
void Kernel::open_program(Task& t, const MappedProgram* program, cpu::Core& core) {
  if (!system_.creds) return;
  std::set<std::uint32_t> files;
  if (program != nullptr) {
    for (const Vma& segment : program->segments) {
      if (segment.file) files.insert(segment.file_id);
    }
  }
  for (std::size_t n = std::max<std::size_t>(files.size(), 1); n != 0; --n) {
    t.mm->program_files.push_back(open_file(*system_.creds, core, t.cred));
  }
}

void Kernel::close_program(Mm& mm, cpu::Core& core) {
  for (OpenFile& file : mm.program_files) put_file(*system_.creds, core, std::move(file));
  mm.program_files.clear();
}

// begin_new_exec(): a table that others have too is copied first (unshare_files()).
void Kernel::close_on_exec(Task& t, cpu::Core& core) {
  if (!system_.creds) return;
  if (t.files.use_count() > 1) t.files = std::make_shared<OpenFiles>(*t.files);
  t.files->executed(core);
}

// exit_files()
void Kernel::close_files(Task& t, cpu::Core& core) {
  if (t.files.use_count() == 1) t.files->close_all(core);
  t.files.reset();
}

}  // namespace kpksim::kernel
