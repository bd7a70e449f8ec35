#include "sim/kernel/kernel.h"

#include <fmt/core.h>

#include <algorithm>
#include <random>
#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/kernel_syscall.h"

namespace kpksim::kernel {
namespace {

constexpr std::size_t kCachedStacks = 2;  // NR_CACHED_STACKS

}  // namespace

Kernel::Kernel(const cpu::CoreProfile& core, const KernelProfile& profile, const Config& config)
    : system_(core, profile, (check(config), config)),
      pauth_(core.pauth),
      vmalloc_(system_),
      current_(config.cores),
      switches_(config.cores),
      mm_on_(config.cores),
      stack_cache_(config.cores),
      asids_(core.asid_bits, config.cores) {
  if (config.hz != 0) start_clock();
}

void Kernel::enter_kernel(cpu::Core& core) {
  core.take_exception();
  entered_from_user(core);
}

// kernel_ventry of a core that needs it: mitigate_spectre_bhb_loop; kernel_entry: keys of pointer
// authentication.
void Kernel::entered_from_user(cpu::Core& core) const {
  const cpu::CoreProfile& profile = system_.machine.profile();
  core.execute(profile.entry_instructions);
  if (profile.entry_barriers) {
    core.dsb_nsh();
    core.isb();
  }
  if (pauth_) core.isb();
}

void Kernel::leave_kernel(cpu::Core& core) { core.eret(0); }

Task& Kernel::task(std::uint32_t id) {
  const auto it = tasks_.find(id);
  if (it == tasks_.end() || it->second.dead) {
    throw InputError(fmt::format("task {} does not exist or has exited", id));
  }
  return it->second;
}

bool Kernel::alive(std::uint32_t id) const {
  const auto it = tasks_.find(id);
  return it != tasks_.end() && !it->second.dead;
}

std::size_t Kernel::task_count() const {
  return static_cast<std::size_t>(
      std::count_if(tasks_.begin(), tasks_.end(), [](const auto& t) { return !t.second.dead; }));
}

Task& Kernel::add_task(std::uint32_t id, std::shared_ptr<Mm> mm, unsigned cpu) {
  const auto [it, fresh] = tasks_.try_emplace(id);
  if (!fresh && !it->second.dead) throw InputError(fmt::format("task {} exists already", id));
  it->second = {};
  it->second.id = id;
  it->second.mm = std::move(mm);
  it->second.cpu = cpu;
  return it->second;
}

cpu::Core& Kernel::run_on(Task& t) {
  cpu::Core& core = system_.machine.core(t.cpu);
  system_.exposure.runs(t.cpu);
  if (current_[t.cpu] != t.id) {
    context_switch(t, core);
    core.continue_at(t.fresh ? 1 : 0);
  }
  return core;
}

void Kernel::context_switch(Task& t, cpu::Core& core) {
  const Because because(core, Cause::kSwitch);
  core.execute(system_.path().context_switch);
  if (current_[t.cpu] != 0) tasks_.at(current_[t.cpu]).left_at = switches_[t.cpu];
  ++switches_[t.cpu];
  // EEVDF's delayed dequeue: who blocks stays in the queue for a while. If it is woken before the
  // second switch from then on, as where two tasks take turns, it is still there; else it has been
  // dequeued (pick_next_entity()) and is enqueued.
  if (!t.fresh && switches_[t.cpu] > t.left_at + 2) {
    core.execute(system_.path().wake_dequeued);
    read_clock(core, system_.profile.dequeued_milli_isb);
  }
  current_[t.cpu] = t.id;
  if (mm_on_[t.cpu] != t.mm.get()) switch_mm(*t.mm, core);
  thread_switch(core, system_.profile.switch_milli_isb);
}

// __switch_to(): the thread may go on elsewhere, and has keys of its own for pointer
// authentication.
void Kernel::thread_switch(cpu::Core& core, std::uint64_t milli_isb) {
  if (system_.profile.switch_reads_register) system_.protection->save(core);
  core.dsb_ish();
  if (pauth_) core.isb();
  read_clock(core, milli_isb);
}

void Kernel::switch_mm(Mm& mm, cpu::Core& core) {
  if (asids_.switch_to(mm, core.id())) system_.flush.local_all(core, FlushSite::kAsidRollover);
  const std::uint64_t ttbr1 =
      mmu::ttbr::kAsid.set(address_of(system_.linear_map.root()).value, mm.asid.value);
  core.msr_ttbr(address_of(mm.root()).value, ttbr1);
  for (unsigned i = 0; i < system_.profile.switch_mm_isb; ++i) core.isb();
  mm_on_[core.id()] = &mm;
  system_.exposure.switch_to(core.id(), mm.root());
}

std::uint64_t Kernel::allocate_stack(cpu::Core& core, unsigned cpu) {
  if (!stack_cache_[cpu].empty()) {
    const std::uint64_t stack = stack_cache_[cpu].back();
    stack_cache_[cpu].pop_back();
    return stack;
  }
  return vmalloc_.allocate_stack(core);
}

void Kernel::free_stack(std::uint64_t stack, cpu::Core& core, unsigned cpu) {
  if (stack_cache_[cpu].size() < kCachedStacks)
    stack_cache_[cpu].push_back(stack);
  else if (vmalloc_.free(stack, core))
    run_kernel_threads(core, 1);
}

void Kernel::spawn(std::uint32_t id) {
  const unsigned cpu = next_cpu_++ % system_.config.cores;
  cpu::Core& core = system_.machine.core(cpu);
  system_.exposure.runs(cpu);
  const Because because(core, Cause::kExec);
  Task& t = add_task(id, std::make_shared<Mm>(system_, cache_, core), cpu);
  t.stack = allocate_stack(core, cpu);
  run_on(t);
  load_program(t, core);
  leave_kernel(core);
  t.fresh = false;
}

void Kernel::fork(std::uint32_t parent, std::uint32_t child) {
  Syscall call(*this, parent);
  const Because because(call.core(), Cause::kFork);
  const Task& p = task(parent);
  if (system_.profile.switch_reads_register) system_.protection->save(call.core());
  const std::uint64_t stack = allocate_stack(call.core(), p.cpu);
  std::vector<Pfn> slab = process_pages();
  auto mm = std::make_shared<Mm>(system_, cache_, call.core());
  p.mm->fork_into(*mm, call.core());
  Task& c = add_task(child, std::move(mm), next_cpu_++ % system_.config.cores);
  c.stack = stack;
  c.slab = std::move(slab);
}

std::vector<Pfn> Kernel::process_pages() {
  std::vector<Pfn> pages;
  for (unsigned i = 0; i < system_.profile.process_pages; ++i) {
    const auto pfn = system_.buddy.allocate(0, Mobility::kUnmovable);
    if (!pfn) throw InputError("out of memory: no pages for a process (give more --memory)");
    pages.push_back(*pfn);
  }
  return pages;
}

void Kernel::vfork(std::uint32_t parent, std::uint32_t child) {
  clone_thread(parent, child);
  task(child).vfork_parent = parent;
}

void Kernel::clone_thread(std::uint32_t parent, std::uint32_t child) {
  Syscall call(*this, parent);
  const Because because(call.core(), Cause::kFork);
  call.core().execute(system_.path().thread);
  const Task& p = task(parent);
  if (system_.profile.switch_reads_register) system_.protection->save(call.core());
  const std::uint64_t stack = allocate_stack(call.core(), p.cpu);
  ++p.mm->users;
  std::shared_ptr<Mm> mm = p.mm;
  add_task(child, std::move(mm), next_cpu_++ % system_.config.cores).stack = stack;
}

void Kernel::drop_mm(std::shared_ptr<Mm>& mm, cpu::Core& core) {
  if (--mm->users == 0) {
    // The core must not walk tables that go: it runs on the kernel's alone from here.
    const mmu::Registers& regs = core.mmu().registers();
    if (regs.ttbr0 == address_of(mm->root()).value) {
      system_.exposure.switch_to(core.id(), system_.linear_map.root());
      core.msr_ttbr(address_of(system_.zero_page).value, regs.ttbr1);
    }
    for (const Mm*& on : mm_on_) {
      if (on == mm.get()) on = nullptr;
    }
    const std::vector<FileRange> files = mm->anonymous_files(0, kUserEnd);
    mm->exit(core);
    drop_unmapped(files, core);
  }
  mm.reset();
}

void Kernel::exec(std::uint32_t id, const MappedProgram* program, bool parent_runs) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kExec);
  Task& t = task(id);
  // exec_mmap(): exec_mm_release() wakes the parent while the child still has its address space.
  const std::uint32_t parent = std::exchange(t.vfork_parent, 0);
  if (parent_runs && parent != 0 && alive(parent) && task(parent).cpu == t.cpu) {
    context_switch(task(parent), call.core());
    context_switch(t, call.core());
  }
  std::shared_ptr<Mm> old = std::move(t.mm);
  t.mm = std::make_shared<Mm>(system_, cache_, call.core());
  switch_mm(*t.mm, call.core());
  drop_mm(old, call.core());
  system_.rcu.call();  // put_cred_rcu()
  if (program != nullptr) {
    load_program(t, *program, call.core());
  } else {
    load_program(t, call.core());
  }
}

void Kernel::exit(std::uint32_t id) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kExit);
  call.core().execute(system_.path().exit);
  Task& t = task(id);
  drop_mm(t.mm, call.core());
  free_stack(t.stack, call.core(), t.cpu);
  for (const Pfn pfn : t.slab) system_.buddy.free(pfn, 0);
  t.slab.clear();
  t.dead = true;
  current_[t.cpu] = 0;
  system_.rcu.call_for_task();
  system_.rcu.call(2);  // delayed_put_pid(), radix_tree_node_rcu_free()
  // proc_flush_pid(): of the folder and one entry in it: dentry, inode, what security has of it
  if (t.in_proc) system_.rcu.call(2 * 3);
  for (unsigned i = 0; i < system_.profile.task_isb; ++i) call.core().isb();
  call.does_not_return();
}

void Kernel::wait(std::uint32_t id, std::uint32_t child) {
  Syscall call(*this, id);
  call.core().execute(system_.path().wait);
  const auto it = tasks_.find(child);
  if (it == tasks_.end() || !it->second.dead) {
    throw InputError(fmt::format("task {} waits for {}, which has not exited", id, child));
  }
  tasks_.erase(it);
}

void Kernel::exit_all() {
  std::vector<std::uint32_t> ids;
  for (const auto& [id, t] : tasks_) {
    if (!t.dead) ids.push_back(id);
  }
  for (const std::uint32_t id : ids) exit(id);
}

void Kernel::switch_to(std::uint32_t id) { run_on(task(id)); }

bool Kernel::system_call(std::uint32_t id, const Call& kind, std::uint64_t instructions,
                         const UserBuffer& buffer) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kSyscall);
  call.core().execute(instructions_of(kind, system_.path()) + instructions);
  system_.rcu.call(callbacks_of(kind));
  task(id).in_proc |= kind.proc;
  const auto access = buffer.write ? poe::AccessKind::kWrite : poe::AccessKind::kRead;
  const std::uint64_t end = buffer.address + buffer.length;
  for (std::uint64_t at = buffer.address; at < end; at = align_down(at, kPageSize) + kPageSize) {
    if (!access_from_kernel(task(id), at, access, call.core())) return false;
  }
  return true;
}

void Kernel::compute(std::uint32_t id, std::uint64_t instructions) {
  run_on(task(id)).execute_user(instructions);
}

// What a task's first instructions bring.
void Kernel::begin_user(Task& t, cpu::Core& core) {
  if (t.fresh) {
    t.fresh = false;
    const Because because(core, Cause::kFork);
    leave_kernel(core);  // ret_from_fork
  }
  if (t.sve_trap) {  // do_sve_acc(): the C library uses it at once
    t.sve_trap = false;
    t.sve = true;
    const Because because(core, Cause::kExec);
    enter_kernel(core);
    core.execute(system_.path().syscall);
    leave_kernel(core);
  }
}

FaultResult Kernel::fault(Task& t, std::uint64_t address, poe::AccessKind kind, cpu::Core& core) {
  const FaultResult result = t.mm->handle_fault(VirtAddr(address), kind == poe::AccessKind::kWrite,
                                                kind == poe::AccessKind::kExecute, core);
  softirq(core);
  return result;
}

bool Kernel::touch(std::uint32_t id, std::uint64_t address, poe::AccessKind kind) {
  Task& t = task(id);
  cpu::Core& core = run_on(t);
  begin_user(t, core);
  core.pass(kTouchInstructions);
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (!core.user_access(VirtAddr(address), kind)) return true;
    const Because because(core, Cause::kFault);
    enter_kernel(core);
    const FaultResult result = fault(t, address, kind, core);
    leave_kernel(core);
    if (result == FaultResult::kSegv) break;
  }
  ++segv_;
  return false;
}

bool Kernel::access_from_kernel(Task& t, std::uint64_t address, poe::AccessKind kind,
                                cpu::Core& core) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (!core.unprivileged_access(VirtAddr(address), kind)) return true;
    const Because because(core, Cause::kFault);
    core.take_exception();
    const std::uint64_t saved = system_.protection->exception_entry(core);
    const FaultResult result = fault(t, address, kind, core);
    system_.protection->exception_return(core, saved);
    core.eret(1);
    if (result == FaultResult::kSegv) break;
  }
  ++segv_;
  return false;
}

bool Kernel::touch_by_kernel(std::uint32_t id, std::uint64_t address, poe::AccessKind kind) {
  Task& t = task(id);
  cpu::Core& core = run_on(t);
  const unsigned level = core.level();
  core.continue_at(1);
  const bool done = access_from_kernel(t, address, kind, core);
  core.continue_at(level);
  return done;
}

// These run in the kernel, within a call that the workload does not show.
cpu::Core& Kernel::kernel_context() {
  cpu::Core& core = system_.machine.core(0);
  system_.exposure.runs(0);
  core.continue_at(1);
  softirq(core);
  return core;
}

void Kernel::wait_for_rcu() {
  set_timer(0);
  idle();
}

void Kernel::idle() {
  cpu::Core& core = system_.machine.core(0);
  system_.exposure.runs(0);
  const unsigned level = core.level();
  core.continue_at(1);
  system_.free_tables(core, system_.rcu.take_all());
  core.continue_at(level);
}

std::uint64_t Kernel::vmalloc(std::uint64_t pages, bool huge) {
  return vmalloc_.allocate(pages, huge, kernel_context());
}
void Kernel::vfree(std::uint64_t address) {
  cpu::Core& core = kernel_context();
  if (vmalloc_.free(address, core)) run_kernel_threads(core, 1);
}
std::uint64_t Kernel::vm_map_ram(std::uint64_t pages) {
  return vmalloc_.map_ram(pages, kernel_context());
}
void Kernel::vm_unmap_ram(std::uint64_t address) {
  cpu::Core& core = kernel_context();
  if (vmalloc_.unmap_ram(address, core)) run_kernel_threads(core, 1);
}
void Kernel::vm_unmap_aliases() { vmalloc_.unmap_aliases(kernel_context()); }

void Kernel::write_kernel(std::uint64_t address) {
  cpu::Core& core = system_.machine.core(0);
  const Because because(core, Cause::kVmalloc);
  const mmu::Fault fault = core.store64(VirtAddr(align_down(address, 8)), 0);
  if (fault) throw KernelOops("a store to mapped kernel memory refused", fault);
}

std::uint64_t Kernel::pressure() {
  cpu::Core& core = kernel_context();
  const Because because(core, Cause::kShrink);
  // The page cache is dropped first, which takes longer than a grace period.
  system_.free_tables(core, system_.rcu.take_all());
  // drop_slab() calls all shrinkers until together they free almost nothing. Only this one is
  // modelled: until it has nothing more. What is too little for a batch it puts off, at most twice
  // over; that three calls in vain are the end is ours, not the kernel's.
  std::uint64_t freed = 0;
  for (unsigned in_vain = 0; in_vain < 3;) {
    const std::uint64_t now = system_.allocator->shrink(core);
    freed += now;
    in_vain = now == 0 ? in_vain + 1 : 0;
  }
  return freed;
}

void Kernel::fragment(unsigned percent, std::uint64_t seed) {
  const std::uint64_t target = system_.buddy.free_pages() * percent / 100;
  std::mt19937_64 random(seed);
  std::vector<Pfn> taken;
  while (const auto pfn = system_.buddy.allocate(0, Mobility::kMovable)) taken.push_back(*pfn);
  for (std::size_t i = taken.size(); i > 1; --i) std::swap(taken[i - 1], taken[random() % i]);
  for (std::size_t i = target; i < taken.size(); ++i) system_.buddy.free(taken[i], 0);
  taken.resize(std::min<std::size_t>(target, taken.size()));
  fragments_.insert(fragments_.end(), taken.begin(), taken.end());
}

void Kernel::unfragment() {
  for (const Pfn pfn : fragments_) system_.buddy.free(pfn, 0);
  fragments_.clear();
}

}  // namespace kpksim::kernel
