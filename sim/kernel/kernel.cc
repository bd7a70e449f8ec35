#include "sim/kernel/kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "sim/base/error.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kStackPages = 4;  // THREAD_SIZE: 16 KB
constexpr std::size_t kCachedStacks = 2;  // NR_CACHED_STACKS

constexpr std::uint32_t kProgramFile = 1u << 23;
constexpr std::uint32_t kVdsoFile = kProgramFile + 1;
constexpr std::uint64_t kVvarPages = 2;

// Address randomisation, in pages: STACK_RND_MASK, vm.mmap_rnd_bits (18), arch_randomize_brk(); and
// the room for the stack (RLIMIT_STACK, stack_guard_gap).
constexpr std::uint64_t kStackRandom = 1ull << 18, kMmapRandom = 1ull << 18,
                        kHeapRandom = 1ull << 18;
constexpr std::uint64_t kStackGap = 9ull << 20;

}  // namespace

Kernel::Kernel(const cpu::CoreProfile& core, const KernelProfile& profile, const Config& config)
    : system_(core, profile, (check(config), config)),
      pauth_(core.pauth),
      vmalloc_(system_),
      current_(config.cores),
      mm_on_(config.cores),
      stack_cache_(config.cores),
      asids_(core.asid_bits, config.cores) {}

class Kernel::Syscall {
 public:
  Syscall(Kernel& kernel, std::uint32_t id)
      : kernel_(kernel), core_(kernel.run_on(kernel.task(id))) {
    kernel.begin_user(kernel.task(id), core_);
    const Because because(core_, Cause::kSyscall);
    kernel_.enter_kernel(core_);
    core_.execute(kernel_.system_.path().syscall);
  }
  ~Syscall() noexcept(false) {
    kernel_.softirq(core_);
    const Because because(core_, Cause::kSyscall);
    if (returns_) kernel_.leave_kernel(core_);
  }
  void does_not_return() { returns_ = false; }
  Syscall(const Syscall&) = delete;
  Syscall& operator=(const Syscall&) = delete;
  cpu::Core& core() { return core_; }

 private:
  Kernel& kernel_;
  cpu::Core& core_;
  bool returns_ = true;
};

void Kernel::enter_kernel(cpu::Core& core) {
  core.take_exception();
  core.isb();  // el0t_64_sync: keys of pointer authentication
}

void Kernel::leave_kernel(cpu::Core& core) { core.eret(0); }

// RCU_SOFTIRQ: what a grace period has passed for. Without timer interrupts one passes at once.
void Kernel::softirq(cpu::Core& core) {
  system_.free_tables(core, timer_ ? system_.rcu.take_ready() : system_.rcu.take_all());
}

void Kernel::run_kernel_thread(cpu::Core& core) {
  const Because because(core, Cause::kTimer);
  core.execute(system_.path().kernel_thread);
  for (unsigned i = 0; i < 2; ++i) {  // there and back
    thread_switch(core);
    // ptrauth_thread_switch_user(): a kernel thread has no user keys enabled in SCTLR_EL1.
    if (pauth_) core.isb();
  }
  for (unsigned i = 0; i < system_.profile.kernel_thread_isb; ++i) core.isb();
}

// The tick. The kernel threads that it wakes run at once.
void Kernel::timer_interrupt(cpu::Core& core) {
  const Because because(core, Cause::kTimer);
  const bool user = core.level() == 0;
  core.take_exception();
  std::uint64_t saved = 0;
  if (user) {
    core.isb();
  } else {
    saved = system_.protection->exception_entry(core);
  }
  core.execute(system_.path().timer);
  for (unsigned i = 0; i < system_.profile.timer_isb; ++i) core.isb();
  unsigned runs = system_.rcu.tick();
  if (++ticks_ % system_.profile.background_ticks == 0) ++runs;
  while (runs-- > 0) run_kernel_thread(core);
  if (!user) system_.protection->exception_return(core, saved);
  core.eret(user ? 0 : 1);
}

void Kernel::set_timer(std::uint64_t instructions) {
  timer_ = instructions != 0;
  for (std::size_t c = 0; c < system_.machine.core_count(); ++c) {
    cpu::Core& core = system_.machine.core(c);
    core.set_timer(instructions, [this, &core] { timer_interrupt(core); });
  }
}

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
  it->second = {id, std::move(mm), cpu, 0, true, false, false, {}};
  return it->second;
}

cpu::Core& Kernel::run_on(Task& t) {
  cpu::Core& core = system_.machine.core(t.cpu);
  if (current_[t.cpu] != t.id) {
    const Because because(core, Cause::kSwitch);
    core.execute(system_.path().context_switch);
    current_[t.cpu] = t.id;
    if (mm_on_[t.cpu] != t.mm.get()) switch_mm(*t.mm, core);
    thread_switch(core);
    core.continue_at(t.fresh ? 1 : 0);
  }
  return core;
}

// __switch_to(): the thread may go on elsewhere, and has keys of its own for pointer
// authentication.
void Kernel::thread_switch(cpu::Core& core) {
  if (system_.profile.switch_reads_register) system_.protection->save(core);
  core.dsb_ish();
  if (pauth_) core.isb();
  for (switch_millis_ += system_.profile.switch_milli_isb; switch_millis_ >= 1000;
       switch_millis_ -= 1000) {
    core.isb();
  }
}

void Kernel::switch_mm(Mm& mm, cpu::Core& core) {
  if (asids_.switch_to(mm, core.id())) system_.flush.local_all(core, FlushSite::kAsidRollover);
  const std::uint64_t ttbr1 =
      mmu::ttbr::kAsid.set(address_of(system_.linear_map.root()).value, mm.asid.value);
  core.msr_ttbr(address_of(mm.root()).value, ttbr1);
  for (unsigned i = 0; i < system_.profile.switch_mm_isb; ++i) core.isb();
  mm_on_[core.id()] = &mm;
}

std::uint64_t Kernel::allocate_stack(cpu::Core& core, unsigned cpu) {
  if (!stack_cache_[cpu].empty()) {
    const std::uint64_t stack = stack_cache_[cpu].back();
    stack_cache_[cpu].pop_back();
    return stack;
  }
  return vmalloc_.allocate(kStackPages, false, core);
}

void Kernel::free_stack(std::uint64_t stack, cpu::Core& core, unsigned cpu) {
  if (stack_cache_[cpu].size() < kCachedStacks)
    stack_cache_[cpu].push_back(stack);
  else if (vmalloc_.free(stack, core))
    run_kernel_thread(core);
}

void Kernel::spawn(std::uint32_t id) {
  const unsigned cpu = next_cpu_++ % system_.config.cores;
  cpu::Core& core = system_.machine.core(cpu);
  const Because because(core, Cause::kExec);
  Task& t = add_task(id, std::make_shared<Mm>(system_, cache_, core), cpu);
  t.stack = allocate_stack(core, cpu);
  run_on(t);
  load_program(t, core);
  leave_kernel(core);
  t.fresh = false;
}

// bprm_mm_init() and copy_strings(): the new stack is written before its final size and protection
// are known.
void Kernel::write_strings(Mm& mm, std::uint64_t end, std::uint64_t pages, cpu::Core& core) {
  Vma stack;
  stack.read = stack.write = stack.grows_down = true;
  const std::uint64_t strings = end - pages * kPageSize;
  mm.mmap(stack, pages * kPageSize, strings, core);
  for (std::uint64_t va = strings; va < end; va += kPageSize) {
    mm.handle_fault(VirtAddr(va), true, false, core);
  }
}

// arch_setup_additional_pages(); at 0: where there is room
void Kernel::map_vdso(Mm& mm, std::uint64_t at, cpu::Core& core) {
  Vma vdso;
  vdso.read = vdso.exec = vdso.file = true;
  vdso.file_id = kVdsoFile;
  mm.placement.vdso = mm.mmap(vdso, kPageSize, at, core);
  Vma vvar;
  vvar.read = vvar.special = true;
  mm.mmap(vvar, kVvarPages * kPageSize, mm.placement.vdso - kVvarPages * kPageSize, core);
}

void Kernel::load_program(Task& t, const MappedProgram& program, cpu::Core& core) {
  core.execute(system_.path().exec);
  Mm& mm = *t.mm;
  write_strings(mm, program.user_end, program.exec_stack_pages, core);
  mm.finish_stack(program.stack_top, program.stack_bytes, core);
  for (const Vma& segment : program.segments) {
    mm.mmap(segment, segment.length(), segment.start, core);
  }
  mm.brk_start = mm.brk = mm.placement.heap = program.heap;
  map_vdso(mm, program.vdso, core);
}

// setup_arg_pages() and load_elf_binary()
void Kernel::load_program(Task& t, cpu::Core& core) {
  t.sve_trap = system_.machine.profile().sve;
  core.execute(system_.path().exec);
  Mm& mm = *t.mm;
  write_strings(mm, ProgramImage::kStackTop, program_.exec_stack_pages, core);
  std::uint64_t stack_top = ProgramImage::kStackTop, heap = program_.heap_base();
  if (program_.randomize) {
    mm.set_mmap_base(ProgramImage::kStackTop - kStackGap - kStackRandom * kPageSize -
                     random_() % kMmapRandom * kPageSize);
    stack_top -= random_() % kStackRandom * kPageSize;
    heap += random_() % kHeapRandom * kPageSize;
  }
  mm.finish_stack(stack_top, program_.stack_bytes, core);
  Vma text;
  text.read = text.file = true;
  text.file_id = kProgramFile;
  const auto segment = [&](Vma vma, std::uint64_t start, std::uint64_t bytes) {
    vma.file_offset = start - ProgramImage::kBase;
    if (bytes != 0) mm.mmap(vma, align_up(bytes, kPageSize), start, core);
  };
  segment(text, ProgramImage::kBase, program_.header_bytes);
  segment(text, program_.rodata_base(), program_.rodata_bytes);
  text.exec = true;
  segment(text, program_.text_base(), program_.text_bytes);
  Vma data = text;
  data.exec = false;
  data.write = true;
  segment(data, program_.data_base(), program_.data_bytes);
  Vma bss;
  bss.read = bss.write = true;
  segment(bss, program_.bss_base(), program_.bss_bytes);
  if (program_.bss_bytes != 0 && !is_aligned(program_.data_bytes, kPageSize)) {  // padzero()
    touch_by_kernel(t.id, program_.data_base() + program_.data_bytes, poe::AccessKind::kWrite);
  }
  mm.brk_start = mm.brk = mm.placement.heap = heap;
  if (program_.heap_bytes != 0) mm.set_brk(mm.brk + program_.heap_bytes, core);
  map_vdso(mm, 0, core);
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

void Kernel::vfork(std::uint32_t parent, std::uint32_t child) { clone_thread(parent, child); }

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

// shmem_evict_inode(): shared anonymous memory goes with its last mapping.
void Kernel::drop_unmapped(const std::vector<FileRange>& files, cpu::Core& core) {
  for (const FileRange& file : files) {
    const bool mapped = std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& t) {
      return t.second.mm != nullptr && t.second.mm->maps(file.file_id);
    });
    if (!mapped) cache_.drop(system_, core, file);
  }
}

void Kernel::exec(std::uint32_t id, const MappedProgram* program) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kExec);
  Task& t = task(id);
  std::shared_ptr<Mm> old = std::move(t.mm);
  t.mm = std::make_shared<Mm>(system_, cache_, call.core());
  switch_mm(*t.mm, call.core());
  drop_mm(old, call.core());
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
  system_.rcu.call(3);  // delayed_put_task_struct(), delayed_put_pid(), put_cred_rcu()
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

void Kernel::null_syscall(std::uint32_t id, std::uint64_t instructions) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kSyscall);
  call.core().execute(instructions);
}

void Kernel::compute(std::uint32_t id, std::uint64_t instructions) {
  run_on(task(id)).execute_user(instructions);
}

std::uint64_t Kernel::mmap(std::uint32_t id, Vma vma, std::uint64_t length, std::uint64_t address,
                           bool populate) {
  Syscall call(*this, id);
  if (vma.shared && !vma.file) {  // shmem: an unnamed file of its own
    vma.file = vma.shmem = vma.unnamed = true;
    vma.file_id = next_shmem_++;
  }
  Mm& mm = *task(id).mm;
  const std::uint64_t at = mm.mmap(vma, length, address, call.core());
  if (populate) mm.populate(at, at + length, vma.write && !vma.shared, call.core());
  return at;
}

void Kernel::mlock(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool lock) {
  Syscall call(*this, id);
  task(id).mm->mlock(start, start + length, lock, call.core());
}

void Kernel::madvise_collapse(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  task(id).mm->madvise_collapse(start, start + length, call.core());
}

bool Kernel::munmap(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kMunmap);
  Mm& mm = *task(id).mm;
  const std::vector<FileRange> files = mm.anonymous_files(start, start + length);
  const bool any = mm.munmap(start, start + length, call.core());
  drop_unmapped(files, call.core());
  return any;
}

bool Kernel::mprotect(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool r, bool w,
                      bool x) {
  Syscall call(*this, id);
  return task(id).mm->mprotect(start, start + length, r, w, x, call.core());
}

void Kernel::madvise_dontneed(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  task(id).mm->madvise_dontneed(start, start + length, call.core());
}

void Kernel::madvise_free(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  task(id).mm->madvise_free(start, start + length, call.core());
}

void Kernel::madvise_huge(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                          HugeAdvice advice) {
  Syscall call(*this, id);
  task(id).mm->madvise_huge(start, start + length, advice, call.core());
}

void Kernel::madvise_fork(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                          bool dont_fork) {
  Syscall call(*this, id);
  task(id).mm->madvise_fork(start, start + length, dont_fork, call.core());
}

void Kernel::madvise_cold(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  task(id).mm->madvise_cold(start, start + length, call.core());
}

void Kernel::madvise_populate(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                              bool write) {
  Syscall call(*this, id);
  task(id).mm->populate(start, start + length, write, call.core());
}

// shmem_fallocate(): all mappings of the range first (unmap_mapping_range()), then the pages.
bool Kernel::punch_hole(std::uint32_t id, std::uint64_t start, std::uint64_t length) {
  Syscall call(*this, id);
  const Because because(call.core(), Cause::kMunmap);
  const auto part = task(id).mm->file_range(start, length);
  if (!part) return false;
  std::set<const Mm*> done;
  for (const auto& [unused, t] : tasks_) {
    if (t.mm == nullptr || !done.insert(t.mm.get()).second) continue;
    t.mm->unmap_file(*part, call.core());
  }
  cache_.drop(system_, call.core(), *part);
  return true;
}

std::uint64_t Kernel::mremap(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                             std::uint64_t new_length, std::uint64_t new_address) {
  Syscall call(*this, id);
  return task(id).mm->mremap(start, length, new_length, new_address, call.core());
}

void Kernel::set_brk(std::uint32_t id, std::uint64_t address) {
  Syscall call(*this, id);
  task(id).mm->set_brk(address, call.core());
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

bool Kernel::touch_by_kernel(std::uint32_t id, std::uint64_t address, poe::AccessKind kind) {
  Task& t = task(id);
  cpu::Core& core = run_on(t);
  const unsigned level = core.level();
  core.continue_at(1);
  bool done = false;
  for (int attempt = 0; attempt < 4 && !done; ++attempt) {
    done = !core.unprivileged_access(VirtAddr(address), kind);
    if (done) break;
    const Because because(core, Cause::kFault);
    core.take_exception();
    const std::uint64_t saved = system_.protection->exception_entry(core);
    const FaultResult result = fault(t, address, kind, core);
    system_.protection->exception_return(core, saved);
    core.eret(1);
    if (result == FaultResult::kSegv) break;
  }
  core.continue_at(level);
  if (!done) ++segv_;
  return done;
}

// These run in the kernel, within a call that the workload does not show.
cpu::Core& Kernel::kernel_context() {
  cpu::Core& core = system_.machine.core(0);
  core.continue_at(1);
  softirq(core);
  return core;
}

void Kernel::wait_for_rcu() {
  cpu::Core& core = system_.machine.core(0);
  const unsigned level = core.level();
  set_timer(0);
  core.continue_at(1);
  softirq(core);
  core.continue_at(level);
}

std::uint64_t Kernel::vmalloc(std::uint64_t pages, bool huge) {
  return vmalloc_.allocate(pages, huge, kernel_context());
}
void Kernel::vfree(std::uint64_t address) {
  cpu::Core& core = kernel_context();
  if (vmalloc_.free(address, core)) run_kernel_thread(core);
}
std::uint64_t Kernel::vm_map_ram(std::uint64_t pages) {
  return vmalloc_.map_ram(pages, kernel_context());
}
void Kernel::vm_unmap_ram(std::uint64_t address) {
  cpu::Core& core = kernel_context();
  if (vmalloc_.unmap_ram(address, core)) run_kernel_thread(core);
}

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
  std::uint64_t freed = 0;
  for (std::uint64_t now = 1; now != 0;) {
    now = system_.allocator->shrink(
        core, std::max<std::uint64_t>(16, system_.allocator->statistics().cached / 4));
    freed += now;
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

AuditResult Kernel::audit() const {
  constexpr std::uint64_t kCachedRights =
      mmu::field::kAp1.mask() | mmu::field::kAp2.mask() | mmu::field::kUxn.mask() |
      mmu::field::kPxn.mask() | mmu::field::kPoIndex.mask() | mmu::field::kAccessFlag.mask();
  AuditResult result;
  result.bbm_violations = system_.bbm_violations();
  std::map<std::uint16_t, const Mm*> owner;
  for (const auto& [id, t] : tasks_) {
    if (t.mm != nullptr && asids_.valid(*t.mm)) owner[t.mm->asid.value] = t.mm.get();
  }
  auto& machine = const_cast<cpu::Machine&>(system_.machine);
  for (std::size_t c = 0; c < machine.core_count(); ++c) {
    const mmu::Mmu& mmu = machine.core(c).mmu();
    mmu::Registers regs = mmu.registers();
    // False if the address space is gone: its entries can be hit by nobody.
    const auto point_at = [&](VirtAddr va, Asid asid) {
      if (mmu::upper_half(va)) return true;
      const auto it = owner.find(asid.value);
      if (it == owner.end()) return false;
      regs.ttbr0 = address_of(it->second->root()).value;
      return true;
    };
    for (const mmu::Tlb* tlb : {&mmu.l1i(), &mmu.l1d(), &mmu.l2()}) {
      for (const mmu::TlbEntry& entry : tlb->entries()) {
        if (!entry.valid || asids_.flush_pending(static_cast<unsigned>(c)) ||
            vmalloc_.waiting(entry.va()))
          continue;
        if (!point_at(entry.va(), entry.asid)) continue;
        ++result.checked;
        const mmu::WalkResult now = mmu::walk(machine.memory(), regs, entry.va());
        const std::uint64_t offset = entry.va().value;
        const bool same_page =
            !now.fault && entry.leaf.base + (offset & ((1ull << entry.leaf.page_bits) - 1)) ==
                              now.base + (offset & ((1ull << now.page_bits) - 1));
        // Also an entry that allows less than the tables is wrong: the access would fault for ever.
        const bool same_rights =
            ((now.descriptor.raw ^ entry.leaf.descriptor.raw) & kCachedRights) == 0;
        // A block entry over a table: break-before-make was not kept. The linear map's blocks are
        // split in place (FEAT_BBM level 2).
        const bool same_size = mmu::upper_half(entry.va()) || entry.leaf.page_bits == now.page_bits;
        if (!same_page || !same_rights || !same_size) ++result.stale_leaves;
      }
    }
    for (const mmu::WalkCache::Entry& entry : mmu.walk_cache().entries()) {
      if (!entry.valid || asids_.flush_pending(static_cast<unsigned>(c))) continue;
      ++result.checked;
      if (!point_at(entry.va(), entry.asid)) {
        ++result.stale_tables;  // its tables were freed, the walker may still read them
        continue;
      }
      bool found = false;
      const poe::Access read{poe::AccessKind::kRead, 1, false};
      mmu::walk(machine.memory(), regs, entry.va(), read, [&](const mmu::WalkState& next) {
        found |= next.level == entry.next.level && next.table == entry.next.table;
      });
      if (!found) ++result.stale_tables;
    }
  }
  return result;
}

}  // namespace kpksim::kernel
