#include "sim/kernel/kernel.h"

#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/kernel_syscall.h"
#include "sim/kernel/object/keyed_classes.h"
#include "sim/kernel/span.h"

namespace kpksim::kernel {

Kernel::Kernel(const cpu::CoreProfile& core, const KernelProfile& profile, const Config& config)
    : system_(core, profile, (check(config), config)),
      scheduler_(system_),
      clock_(system_, scheduler_),
      memory_(system_, scheduler_, clock_),
      files_(system_, tasks_),
      access_(system_, scheduler_, clock_),
      loader_(system_, access_) {
  clock_.start();
  if (Locks* const locks = system_.locks()) scheduler_.wait_at(*locks);
  if (system_.classes) {
    system_.classes->set_sleep([this](cpu::Core& c) { scheduler_.run_kernel_threads(c, 1); });
  }
}

unsigned Kernel::reserve_cpu(std::uint32_t id) {
  return reserved_.try_emplace(id, next_cpu()).first->second;
}

void Kernel::spawn(std::uint32_t id) {
  const unsigned cpu = reserve_cpu(id);
  reserved_.erase(id);
  cpu::Core& core = system_.machine.core(cpu);
  system_.exposure.runs(cpu);
  core.continue_at(1);  // whatever ran there before
  const Because because(core, Cause::kExec);
  const Span span(system_.taps, core, Work::kSpawn);
  Task& t = tasks_.add(id, std::make_shared<Mm>(system_, files_.cache(), core), cpu);
  t.stack = memory_.allocate_stack(core);
  first_creds(t, core);
  scheduler_.run_on(t);
  loader_.load(t, core);
  leave_kernel(core);
  t.fresh = false;
}

void Kernel::fork(std::uint32_t parent, std::uint32_t child) {
  Syscall call(*this, parent, Trigger::kFork);
  const Because because(call.core(), Cause::kFork);
  if (system_.profile.switch_reads_register) {
    system_.taps.injector.at(call.core(), FaultSite::kSaveFork,
                             [this](cpu::Core& on) { system_.protection->save(on); });
  }
  const std::uint64_t stack = memory_.allocate_stack(call.core());
  std::vector<Pfn> slab = process_pages(call.core());
  auto mm = std::make_shared<Mm>(system_, files_.cache(), call.core());
  {
    const MmLocks::Write lock(call.mm().locks, call.core());
    call.mm().fork_into(*mm, call.core());
  }
  Task& c = tasks_.add(child, std::move(mm), next_cpu());
  c.stack = stack;
  c.slab = std::move(slab);
  give_creds(c, call.task(), false, call.core());
}

std::vector<Pfn> Kernel::process_pages(const cpu::Core& core) {
  std::vector<Pfn> pages;
  for (unsigned i = 0; i < system_.profile.process_pages; ++i) {
    const auto pfn = system_.buddy.allocate(core, 0, Mobility::kUnmovable);
    if (!pfn) throw InputError("out of memory: no pages for a process (give more --memory)");
    pages.push_back(*pfn);
  }
  return pages;
}

void Kernel::vfork(std::uint32_t parent, std::uint32_t child) {
  share_mm(parent, child, false);
  tasks_.get(child).vfork_parent = parent;
}

void Kernel::clone_thread(std::uint32_t parent, std::uint32_t child) {
  share_mm(parent, child, true);
}

void Kernel::share_mm(std::uint32_t parent, std::uint32_t child, bool thread) {
  Syscall call(*this, parent, Trigger::kThread);
  const Because because(call.core(), Cause::kFork);
  call.core().execute(system_.path().thread);
  if (system_.profile.switch_reads_register) {
    system_.taps.injector.at(call.core(), FaultSite::kSaveFork,
                             [this](cpu::Core& on) { system_.protection->save(on); });
  }
  const std::uint64_t stack = memory_.allocate_stack(call.core());
  ++call.mm().users;
  Task& c = tasks_.add(child, call.task().mm, next_cpu());
  c.stack = stack;
  give_creds(c, call.task(), thread, call.core());
}

void Kernel::drop_mm(std::shared_ptr<Mm>& mm, cpu::Core& core) {
  if (--mm->users == 0) {
    scheduler_.leave(*mm, core);
    const std::vector<FileRange> files = mm->anonymous_files(0, kUserEnd);
    mm->exit(core);
    close_program(*mm, core);
    files_.drop_unmapped(files, core);
  }
  mm.reset();
}

void Kernel::exec(std::uint32_t id, const MappedProgram* program, bool parent_runs) {
  Syscall call(*this, id, Trigger::kExec);
  const Because because(call.core(), Cause::kExec);
  Task& t = call.task();
  // exec_mmap(): exec_mm_release() wakes the parent while the child still has its address space.
  const std::uint32_t parent = std::exchange(t.vfork_parent, 0);
  if (parent_runs && parent != 0 && alive(parent) && tasks_.get(parent).cpu == t.cpu) {
    scheduler_.context_switch(tasks_.get(parent), call.core());
    scheduler_.context_switch(t, call.core());
  }
  std::shared_ptr<Mm> old = std::move(t.mm);
  t.mm = std::make_shared<Mm>(system_, files_.cache(), call.core());
  open_program(t, program, call.core());
  scheduler_.switch_mm(*t.mm, call.core());
  drop_mm(old, call.core());
  close_on_exec(t, call.core());
  replace_creds(t, call.core());
  if (program != nullptr) {
    loader_.load(t, *program, call.core());
  } else {
    loader_.load(t, call.core());
  }
}

void Kernel::exit(std::uint32_t id) {
  Syscall call(*this, id, Trigger::kExit);
  const Because because(call.core(), Cause::kExit);
  call.core().execute(system_.path().exit);
  Task& t = call.task();
  scheduler_.enter_lazy(call.core());  // exit_mm()
  drop_mm(t.mm, call.core());
  close_files(t, call.core());
  memory_.free_stack(t.stack, call.core());
  for (const Pfn pfn : t.slab) system_.buddy.free(call.core(), pfn, 0);
  t.slab.clear();
  t.dead = true;
  scheduler_.ended(t);
  system_.rcu.call_for_task(call.core(), t.cred.object);
  system_.rcu.call(call.core(), 2);  // delayed_put_pid(), radix_tree_node_rcu_free()
  // proc_flush_pid(): of the folder and one entry in it: dentry, inode, what security has of it
  if (t.in_proc) system_.rcu.call(call.core(), 2 * 3);
  for (unsigned i = 0; i < system_.profile.task_isb; ++i) {
    system_.taps.injector.at(call.core(), FaultSite::kIsbExit, [](cpu::Core& on) { on.isb(); });
  }
  call.does_not_return();
}

void Kernel::wait(std::uint32_t id, std::uint32_t child) {
  Syscall call(*this, id, Trigger::kWait);
  call.core().execute(system_.path().wait);
  tasks_.reap(id, child);
}

void Kernel::exit_all() {
  for (const std::uint32_t id : tasks_.all_alive()) exit(id);
}

// Its return to EL0 is counted where it was called: one core has it or the other.
void Kernel::migrate(std::uint32_t id, std::uint64_t cpu) {
  { const Syscall call(*this, id, Trigger::kMigrate); }
  scheduler_.migrate(tasks_.get(id), static_cast<unsigned>(cpu % system_.config.cores));
}

bool Kernel::stray_store(std::uint32_t id, VirtAddr address, unsigned level, bool refused) {
  Syscall call(*this, id, Trigger::kSmall);
  const Because because(call.core(), Cause::kSyscall);
  const PhysAddr entry = system_.existing_entry(call.task().mm->root(), address, level);
  if (entry == PhysAddr(0)) return false;
  memory_.stray_store(call.core(), entry, refused);
  return true;
}

bool Kernel::system_call(std::uint32_t id, const Call& kind, std::uint64_t instructions,
                         const UserBuffer& buffer) {
  Syscall call(*this, id, trigger_of(kind.kind));
  const Because because(call.core(), Cause::kSyscall);
  call.core().execute(instructions_of(kind, system_.path()) + instructions);
  system_.rcu.call(call.core(), callbacks_of(kind));
  if (kind.kind == CallKind::kSetCred) replace_creds(call.task(), call.core());
  use_files(call.task(), kind, call.core());
  call.task().in_proc |= kind.proc;
  if (data_) data_->call(call.core(), kind);
  const auto access = buffer.write ? poe::AccessKind::kWrite : poe::AccessKind::kRead;
  const std::uint64_t end = buffer.address + buffer.length;
  for (std::uint64_t at = buffer.address; at < end; at = align_down(at, kPageSize) + kPageSize) {
    if (!access_.in_call(call.task(), at, access, call.core())) return false;
  }
  return true;
}

}  // namespace kpksim::kernel
