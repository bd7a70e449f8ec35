#pragma once
// The kernel: what tasks ask of it. Each call runs on the core of its task, as a program's system
// call would. The parts that do the work are classes of their own: which task runs (Scheduler),
// time (Clock), the kernel's own memory (KernelMemory), files, faults (UserAccess), programs
// (Loader), and each task's address space (Mm).

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "sim/kernel/audit.h"
#include "sim/kernel/call.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/files.h"
#include "sim/kernel/kernel_data.h"
#include "sim/kernel/kernel_memory.h"
#include "sim/kernel/loader.h"
#include "sim/kernel/user_access.h"

namespace kpksim::kernel {

// Where in user memory a call's data lies. No length: nowhere that matters.
struct UserBuffer {
  std::uint64_t address = 0, length = 0;
  bool write = false;  // the kernel writes to it (read(), getrandom())
};

class Kernel {
 public:
  Kernel(const cpu::CoreProfile& core, const KernelProfile& profile, const Config& config);

  System& system() { return system_; }
  const System& system() const { return system_; }

  KernelMemory& memory() { return memory_; }
  const KernelMemory& memory() const { return memory_; }
  Clock& clock() { return clock_; }

  // From now on system calls access the kernel's data. Null: they do not.
  void use_data(const KernelDataSettings& settings) {
    data_ = std::make_unique<KernelData>(system_, settings);
  }
  const KernelData* data() const { return data_.get(); }

  // What spawn and exec load from now on.
  void set_program(const ProgramImage& program) { loader_.set_program(program); }
  const ProgramImage& program() const { return loader_.program(); }
  const ProgramPlacement& placement(std::uint32_t id) { return tasks_.get(id).mm->placement; }

  // Tasks. InputError for an unknown or already used id.
  void spawn(std::uint32_t id);
  // Which core a task will begin on.
  unsigned reserve_cpu(std::uint32_t id);
  void fork(std::uint32_t parent, std::uint32_t child);
  void vfork(std::uint32_t parent, std::uint32_t child);
  void clone_thread(std::uint32_t parent, std::uint32_t child);
  // Of the program set, or of `program`.
  // `parent_runs`: a parent that stands still in vfork() runs as soon as exec wakes it, and waits.
  void exec(std::uint32_t id, const MappedProgram* program = nullptr, bool parent_runs = false);
  void exit(std::uint32_t id);
  void wait(std::uint32_t id, std::uint32_t child);
  // Every task that is left ends.
  void exit_all();
  bool alive(std::uint32_t id) const { return tasks_.alive(id); }
  std::vector<std::uint32_t> alive_tasks() const { return tasks_.all_alive(); }
  // Its top-level table, and the core that it is on.
  Pfn root_of(std::uint32_t id) { return tasks_.get(id).mm->root(); }
  unsigned cpu_of(std::uint32_t id) { return tasks_.get(id).cpu; }
  // Its credentials, where the machine keeps any.
  LiveCred cred_of(std::uint32_t id) { return tasks_.get(id).cred; }
  std::size_t task_count() const { return tasks_.all_alive().size(); }  // alive
  void switch_to(std::uint32_t id) { run_on(id); }
  // sched_setaffinity() of the task itself, to the core of this number modulo the number of cores.
  void migrate(std::uint32_t id, std::uint64_t cpu);
  // An idle core takes the task, which does not run.
  void pull(std::uint32_t id, unsigned cpu) { scheduler_.pull(tasks_.get(id), cpu); }
  // A system call that changes no mapping, of `instructions` more than its own path. Its data goes
  // to or comes from `buffer`, page by page: a fault there is taken from EL1. False: a page that
  // the program may not use so (EFAULT).
  bool system_call(std::uint32_t id, const Call& call, std::uint64_t instructions = 0,
                   const UserBuffer& buffer = {});
  void null_syscall(std::uint32_t id) { system_call(id, {}); }
  // The program runs.
  void compute(std::uint32_t id, std::uint64_t instructions) {
    run_on(id).execute_user(instructions);
  }

  // Memory calls of task `id`.
  std::uint64_t mmap(std::uint32_t id, Vma vma, std::uint64_t length, std::uint64_t address,
                     bool populate = false, bool fixed = false);
  bool munmap(std::uint32_t id, std::uint64_t start, std::uint64_t length);
  bool mprotect(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool r, bool w,
                bool x);
  // What gives pages up is refused (false) from the first locked VMA on, unless `locked_too`.
  bool madvise_dontneed(std::uint32_t id, std::uint64_t start, std::uint64_t length,
                        bool locked_too = false);
  bool madvise_free(std::uint32_t id, std::uint64_t start, std::uint64_t length);
  void madvise_huge(std::uint32_t id, std::uint64_t start, std::uint64_t length, HugeAdvice advice);
  void madvise_fork(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool dont_fork);
  bool madvise_wipe(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool wipe);
  bool madvise_guard(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool install);
  bool madvise_pageout(std::uint32_t id, std::uint64_t start, std::uint64_t length);
  void mlock(std::uint32_t id, std::uint64_t start, std::uint64_t length, Lock lock);
  // mlockall(), and with kNone munlockall().
  void mlock_all(std::uint32_t id, Lock lock, bool current, bool future);
  void madvise_collapse(std::uint32_t id, std::uint64_t start, std::uint64_t length);
  bool madvise_cold(std::uint32_t id, std::uint64_t start, std::uint64_t length);
  void madvise_populate(std::uint32_t id, std::uint64_t start, std::uint64_t length, bool write);
  // /sys/kernel/mm/hugepages: so many reserved huge pages.
  void set_nr_hugepages(const HugetlbSize& size, std::uint64_t pages) {
    system_.hugetlb.resize(size, pages);
  }
  // Of the file mapped at `start`; false if there is none.
  bool punch_hole(std::uint32_t id, std::uint64_t start, std::uint64_t length);
  // ftruncate(): the file has `bytes` from now on.
  void truncate(std::uint32_t id, std::uint32_t file_id, std::uint64_t bytes);
  // close() of the last descriptor of a file in memory that has no name: it goes with its last
  // mapping. The second is the same for a file that was closed before, without the call.
  void close_file(std::uint32_t id, std::uint32_t file_id, const Call& call = {});
  void was_closed(std::uint32_t file_id) { files_.cache().close(file_id); }
  // The file's length, as it was before anything of it is mapped.
  void file_has(std::uint32_t file_id, std::uint64_t bytes) {
    files_.cache().set_pages_of(file_id, align_up(bytes, kPageSize) >> kPageShift);
  }
  // How many pages of [start, start + length) have no entry yet, huge ones neither.
  std::uint64_t missing_pages(std::uint32_t id, std::uint64_t start, std::uint64_t length) const;
  // The new address; 0 where the call fails.
  std::uint64_t mremap(std::uint32_t id, const Remap& remap);
  void set_brk(std::uint32_t id, std::uint64_t address);
  std::uint64_t brk(std::uint32_t id) { return tasks_.get(id).mm->brk; }

  // One user access; false: the program would be killed (SIGSEGV).
  bool touch(std::uint32_t id, std::uint64_t address, poe::AccessKind kind) {
    return access_.by_program(tasks_.get(id), address, kind);
  }
  // The same by the kernel on behalf of the task (put_user): a fault is taken from EL1.
  bool touch_by_kernel(std::uint32_t id, std::uint64_t address, poe::AccessKind kind) {
    return access_.by_kernel(tasks_.get(id), address, kind);
  }
  // A stray store of the kernel in a call of the task, to the entry at `level` (0 to 3) of its page
  // tables for `address`, through the linear map. False: there is no such table.
  bool stray_store(std::uint32_t id, VirtAddr address, unsigned level, bool refused = false);
  std::uint64_t segv_count() const { return access_.segv_count(); }

  // For onlookers.
  const Tasks& tasks() const { return tasks_; }
  const AsidAllocator& asids() const { return scheduler_.asids(); }
  // Holds every cached translation against a fresh walk of the tables of its address space.
  AuditResult audit() const { return kernel::audit(system_, tasks_, scheduler_.asids(), memory_); }

 private:
  class Syscall;  // entry and exit of a system call on the task's core
  cpu::Core& run_on(std::uint32_t id) { return scheduler_.run_on(tasks_.get(id)); }
  void share_mm(std::uint32_t parent, std::uint32_t child, bool thread);
  unsigned next_cpu() { return next_cpu_++ % system_.config.cores; }
  void drop_mm(std::shared_ptr<Mm>& mm, cpu::Core& core);
  // What credentials have to do with it, where they have a key (kernel_creds.cc): a child gets a
  // copy or a thread's references, a task gets new ones, files that are open have references.
  void first_creds(Task& t, cpu::Core& core);
  void give_creds(Task& child, const Task& parent, bool thread, cpu::Core& core);
  void replace_creds(Task& t, cpu::Core& core);
  void use_files(Task& t, const Call& call, cpu::Core& core);
  void open_program(Task& t, const MappedProgram* program, cpu::Core& core);
  void close_program(Mm& mm, cpu::Core& core);
  void close_on_exec(Task& t, cpu::Core& core);
  void close_files(Task& t, cpu::Core& core);
  std::vector<Pfn> process_pages(const cpu::Core& core);

  // In this order: each knows what stands above it.
  System system_;
  Tasks tasks_;
  Scheduler scheduler_;
  Clock clock_;
  KernelMemory memory_;
  Files files_;
  UserAccess access_;
  Loader loader_;
  std::unique_ptr<KernelData> data_;
  unsigned next_cpu_ = 0;
  std::map<std::uint32_t, unsigned> reserved_;  // by task, until it begins
};

}  // namespace kpksim::kernel
