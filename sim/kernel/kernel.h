#pragma once
// The kernel: tasks, system calls, user accesses with their faults, context switches and ASIDs.
// Each call runs on the core of its task, as a program's system call would.

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "sim/kernel/asid.h"
#include "sim/kernel/call.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/mapped_program.h"
#include "sim/kernel/mm.h"
#include "sim/kernel/program.h"
#include "sim/kernel/vmalloc.h"

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
  std::vector<Pfn> slab;           // pages of its kernel objects: they lie between page tables
};

// Where in user memory a call's data lies. No length: nowhere that matters.
struct UserBuffer {
  std::uint64_t address = 0, length = 0;
  bool write = false;  // the kernel writes to it (read(), getrandom())
};

struct AuditResult {
  std::uint64_t checked = 0;
  std::uint64_t stale_leaves = 0;    // TLB entries that the tables no longer justify
  std::uint64_t stale_tables = 0;    // walk cache entries to tables that are gone
  std::uint64_t bbm_violations = 0;  // since boot: see System::check_broken()
};

class Kernel {
 public:
  // Instructions of a program for each access: a loop over pages, as fault_64m of
  // tools/kernel-truth (131,080 user instructions for 16,384 pages). For the timer only.
  static constexpr std::uint64_t kTouchInstructions = 8;

  Kernel(const cpu::CoreProfile& core, const KernelProfile& profile, const Config& config);

  System& system() { return system_; }
  const System& system() const { return system_; }

  // What spawn and exec load from now on.
  void set_program(const ProgramImage& program) { program_ = program; }
  const ProgramImage& program() const { return program_; }
  const ProgramPlacement& placement(std::uint32_t id) { return task(id).mm->placement; }

  // Tasks. InputError for an unknown or already used id.
  void spawn(std::uint32_t id);
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
  bool alive(std::uint32_t id) const;
  std::size_t task_count() const;  // alive
  void switch_to(std::uint32_t id);
  // A system call that changes no mapping, of `instructions` more than its own path. Its data goes
  // to or comes from `buffer`, page by page: a fault there is taken from EL1. False: a page that
  // the program may not use so (EFAULT).
  bool system_call(std::uint32_t id, const Call& call, std::uint64_t instructions = 0,
                   const UserBuffer& buffer = {});
  void null_syscall(std::uint32_t id) { system_call(id, {}); }
  // The program runs.
  void compute(std::uint32_t id, std::uint64_t instructions);

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
  void close_file(std::uint32_t id, std::uint32_t file_id);
  void was_closed(std::uint32_t file_id) { cache_.close(file_id); }
  // The file's length, as it was before anything of it is mapped.
  void file_has(std::uint32_t file_id, std::uint64_t bytes) {
    cache_.set_pages_of(file_id, align_up(bytes, kPageSize) >> kPageShift);
  }
  // How many pages of [start, start + length) have no entry yet, huge ones neither.
  std::uint64_t missing_pages(std::uint32_t id, std::uint64_t start, std::uint64_t length) const;
  // The new address; 0 where the call fails.
  std::uint64_t mremap(std::uint32_t id, const Remap& remap);
  void set_brk(std::uint32_t id, std::uint64_t address);
  std::uint64_t brk(std::uint32_t id) { return task(id).mm->brk; }

  // One user access; false: the program would be killed (SIGSEGV).
  bool touch(std::uint32_t id, std::uint64_t address, poe::AccessKind kind);
  // The same by the kernel on behalf of the task (put_user): a fault is taken from EL1.
  bool touch_by_kernel(std::uint32_t id, std::uint64_t address, poe::AccessKind kind);

  // A timer interrupt after each `instructions` on each core; 0: none.
  void set_timer(std::uint64_t instructions);
  // As long as a grace period takes, with nothing else to do; without interrupts from then on.
  void wait_for_rcu();
  // Nothing runs for a while: what RCU has put off is done.
  void idle();

  // Kernel memory, by the task that runs on core 0 (or the boot context).
  std::uint64_t vmalloc(std::uint64_t pages, bool huge);
  void vfree(std::uint64_t address);
  std::uint64_t vm_map_ram(std::uint64_t pages);
  void vm_unmap_ram(std::uint64_t address);
  void vm_unmap_aliases();
  // A store to kernel memory, by the same.
  void write_kernel(std::uint64_t address);
  // drop_caches' loop: shrinkers run until they free almost nothing.
  std::uint64_t pressure();
  // Takes `percent` of the free memory in single, scattered pages; and gives them back.
  void fragment(unsigned percent, std::uint64_t seed);
  void unfragment();

  // Holds every cached translation against a fresh walk of the tables of its address space.
  AuditResult audit() const;

  std::uint64_t segv_count() const { return segv_; }

 private:
  class Syscall;  // entry and exit of a system call on the task's core
  Task& task(std::uint32_t id);
  Task& add_task(std::uint32_t id, std::shared_ptr<Mm> mm, unsigned cpu);
  cpu::Core& run_on(Task& t);
  void context_switch(Task& t, cpu::Core& core);
  void enter_kernel(cpu::Core& core);
  void entered_from_user(cpu::Core& core) const;
  void leave_kernel(cpu::Core& core);
  void begin_user(Task& t, cpu::Core& core);
  cpu::Core& kernel_context();
  void start_clock();
  void timer_interrupt(cpu::Core& core);
  void softirq(cpu::Core& core);
  void run_kernel_threads(cpu::Core& core, unsigned runs);
  FaultResult fault(Task& t, std::uint64_t address, poe::AccessKind kind, cpu::Core& core);
  bool access_from_kernel(Task& t, std::uint64_t address, poe::AccessKind kind, cpu::Core& core);
  void unmap_everywhere(const FileRange& range, bool even_copies, cpu::Core& core);
  void switch_mm(Mm& mm, cpu::Core& core);
  void thread_switch(cpu::Core& core, std::uint64_t milli_isb);
  void read_clock(cpu::Core& core, std::uint64_t milli_isb);
  std::uint64_t allocate_stack(cpu::Core& core, unsigned cpu);
  void free_stack(std::uint64_t stack, cpu::Core& core, unsigned cpu);
  void drop_mm(std::shared_ptr<Mm>& mm, cpu::Core& core);
  std::uint64_t reserve_hugetlb(Vma& vma, std::uint64_t length, cpu::Core& core);
  // `ends`: nothing of the file stays behind the range, so what is reserved there goes too.
  void drop_file(const FileRange& range, bool ends, cpu::Core& core);
  void drop_unmapped(const std::vector<FileRange>& files, cpu::Core& core);
  void load_program(Task& t, cpu::Core& core);
  void load_program(Task& t, const MappedProgram& program, cpu::Core& core);
  void write_strings(Mm& mm, std::uint64_t end, std::uint64_t pages, cpu::Core& core);
  void map_vdso(Mm& mm, std::uint64_t at, cpu::Core& core);
  std::vector<Pfn> process_pages();

  System system_;
  const bool pauth_;
  std::uint64_t clock_millis_ = 0;  // of ISB, owed by reads of the clock
  PageCache cache_;
  Vmalloc vmalloc_;
  std::map<std::uint32_t, Task> tasks_;
  std::vector<std::uint32_t> current_;                   // task on each core, 0: none
  std::vector<std::uint64_t> switches_;                  // of each core, so far
  std::vector<const Mm*> mm_on_;                         // whose tables each core uses
  std::vector<std::vector<std::uint64_t>> stack_cache_;  // NR_CACHED_STACKS per core
  AsidAllocator asids_;
  ProgramImage program_;
  std::mt19937_64 random_;  // of address randomisation
  unsigned next_cpu_ = 0;
  bool timer_ = false;
  std::uint64_t ticks_ = 0;
  std::vector<Pfn> fragments_;
  std::uint32_t next_shmem_ = 1u << 22;
  std::uint64_t segv_ = 0;
};

}  // namespace kpksim::kernel
