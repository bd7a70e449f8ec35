#pragma once
// Turns the lines of a trace into operations; see strace.h. A helper of
// the files strace*.cc, nobody else's.

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/workload/strace_hugetlb.h"
#include "sim/workload/strace_programs.h"
#include "sim/workload/strace_tasks.h"

namespace kpksim::workload {

// What a call does with descriptors (strace_opens.cc).
kernel::DescriptorUse descriptors_of(const StraceLine& line);

class StraceReader {
 public:
  StraceReader(const std::vector<std::string>& paths, const TouchRule& rule,
               const std::vector<std::string>& sizes);
  Workload read();

 private:
  using Handler = void (StraceReader::*)(const StraceLine&);
  static Handler handler_of(std::string_view call);

  // Lines (strace.cc).
  std::vector<StraceLine> read_lines();
  std::vector<StraceLine> read_file(std::size_t file, std::uint32_t pid, std::string& text) const;
  void note_missing(std::uint64_t children);
  void line(const StraceLine& line);
  void begin(const StraceLine& line);
  void call(const StraceLine& line);
  void unclear(const std::string& kind) { ++not_understood_[kind]; }
  void unmodelled(const StraceLine& line);  // named in the result, and no more than its entry
  static bool lacks_model(std::string_view call);
  void finish();

  // Calls that make, change and end tasks (strace_processes.cc).
  bool ensure(std::uint32_t pid);
  void child_of(std::uint32_t parent, const StraceLine& line, std::uint32_t child);
  void make_task(const StraceLine& line);
  void execve(const StraceLine& line);
  void exit_thread(const StraceLine& line);
  void exit_group(const StraceLine& line);
  void superseded(const StraceLine& line);
  void wait(const StraceLine& line);
  void end(std::uint32_t pid);

  // When the pages of a mapping come.
  enum class Bring : std::uint8_t { kOnTouch, kNow, kLocked };

  // Calls that change memory (strace_mappings.cc, strace_segments.cc).
  void mmap(const StraceLine& line);
  void munmap(const StraceLine& line);
  void mprotect(const StraceLine& line);
  void mremap(const StraceLine& line);
  void remap_file_pages(const StraceLine& line);
  void brk(const StraceLine& line);
  // Reserved huge pages (strace_huge_pages.cc).
  void mount(const StraceLine& line);
  void statfs(const StraceLine& line);
  std::uint64_t huge_page_of(const StraceArea& area, const StraceFile* file, std::uint64_t offset);
  void shmget(const StraceLine& line);
  void shmctl(const StraceLine& line);
  void shmat(const StraceLine& line);
  void shmdt(const StraceLine& line);
  bool range(const StraceLine& line);  // its first two arguments are an address and a length
  void map(StraceArea area, StraceFile* file, std::uint64_t offset, Bring bring);
  void use_up(std::uint64_t start, std::uint64_t end);
  void tell_reservations();
  StraceFile& segment(std::uint64_t id, bool made);

  // Calls that say what it is for (strace_advice.cc).
  void madvise(const StraceLine& line);
  void process_madvise(const StraceLine& line);
  void mlock(const StraceLine& line);
  void mlockall(const StraceLine& line);
  void advise(const StraceLine& line, std::size_t which, std::uint64_t start, std::uint64_t end);
  void told(Advice advice, std::uint64_t start, std::uint64_t end);

  // Calls that decide which file a descriptor or a path is (strace_descriptors.cc), and how large
  // that is (strace_sizes.cc).
  void open(const StraceLine& line);
  void pidfd_open(const StraceLine& line);
  void duplicate(const StraceLine& line);
  void fcntl(const StraceLine& line);
  void close(const StraceLine& line);
  void close_all(std::uint32_t pid);
  void close_range(const StraceLine& line);
  void seek(const StraceLine& line);
  void data_in(const StraceLine& line);
  void status(const StraceLine& line);
  void status_of_path(const StraceLine& line);
  void ftruncate(const StraceLine& line);
  void truncate(const StraceLine& line);
  bool cut(StraceFile& file, std::uint64_t to);
  void fallocate(const StraceLine& line);
  void remove(const StraceLine& line);
  void rename(const StraceLine& line);
  static void learn_size(const StraceLine& line, StraceFile& file);
  StraceFile& file_of(std::string_view descriptor);
  std::uint32_t id_of(StraceFile& file);

  // Other calls (strace_calls.cc).
  void prctl(const StraceLine& line);
  void quiet(const StraceLine& line);  // nothing but its entry, and no sign of other activity
  // What execve maps (strace_programs.cc), by index into the images; 0: nothing is known.
  std::uint32_t image(const StraceLine& line);
  void start_program(std::uint32_t image);
  void program(const StraceLine& line);
  void read_sizes(const std::string& path);

  StraceSpace& space() { return *tasks_[pid_].space; }
  StraceFiles& files() { return *tasks_[pid_].files; }
  // The operation goes to the turn of the task's address space; one that others depend on ends it.
  Operation& emit(OpKind kind, std::uint32_t pid);
  Operation& step(OpKind kind, std::uint32_t pid);
  static void fill(Operation& op, const PageTouch& touch);
  void end_turn(StraceSpace& space);
  kernel::Call call_of(const StraceLine& line);
  kernel::CallKind data_kind(const StraceLine& line, kernel::CallKind kind);
  void syscall() { emit(OpKind::kSyscall, pid_).call = call_; }
  void touch(std::uint32_t pid, const std::vector<PageTouch>& touches);
  void settle(std::uint32_t pid) { touch(pid, tasks_[pid].space->settle()); }

  TouchRule rule_;
  std::vector<std::string> paths_;
  Workload workload_;
  std::size_t index_ = 0;             // of the line among all
  std::uint32_t line_ = 0, pid_ = 0;  // its number, for messages; its task
  kernel::Call call_;                 // of the line, unless it changes memory
  StraceFileSystem file_system_;      // outlives the tasks, whose open files point into it
  StraceTasks tasks_;
  const StraceParents* parents_ = nullptr;
  const StraceImages* images_ = nullptr;
  // Calls that make a task, begun and not yet returned: the child may run before they return.
  struct Begun {
    StraceLine line;
    std::uint32_t number;
  };
  std::map<std::uint32_t, Begun> begun_;
  std::set<std::uint32_t> early_;  // children seen before their call returned
  std::map<std::string, std::uint32_t, std::less<>> file_ids_;
  std::set<std::string, std::less<>> absent_;  // paths that were looked for and not there
  KnownPrograms programs_;
  std::vector<Image> placed_;  // of workload_.images
  std::uint64_t reservations_ = 0, reserved_bytes_ = 0;
  std::map<std::uint64_t, StraceFile*> segments_;  // System V, by id
  HugetlbMounts hugetlb_mounts_;
  std::map<std::string, std::uint64_t> not_understood_;
  std::mt19937_64 random_{20241};  // which pages; any fixed seed
};

}  // namespace kpksim::workload
