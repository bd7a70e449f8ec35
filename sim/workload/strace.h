#pragma once
// A recording of `strace -f` as a workload: the memory and process calls of a real program.
//
// strace shows calls, not accesses, and not what execve maps. Both follow a rule with few stated
// parameters; the result lists them as assumptions. The order of the lines is the order of
// execution, but for the turns of `turn_calls`: where it changes from one task of a core to another
// there is a context switch.

#include <cstdint>
#include <string>
#include <vector>

#include "sim/workload/operation.h"

namespace kpksim::workload {

// Which pages a program touches between its calls. The numbers down to fork_call_text_percent are
// from the page faults of whole programs (docs/kernel-model.md); the result shows them.
struct TouchRule {
  // What a program has for itself and uses for the most part: the share that is read of the 64 KB
  // windows of its own text, evenly spread (each is one fault, as the kernel maps the window around
  // it: fault-around); and the share that is written of large mappings that a larger one has
  // followed.
  unsigned own_percent = 68;
  // What is there for more than one program or case: the share that is read of the windows of
  // libraries' text, and of other files; and that is written of a program's zeroed memory (.bss),
  // and of a heap that large requests have made grow.
  unsigned used_percent = 52;
  // Of the memory that is zeroed behind libraries' data: it is buffers and tables for rare cases.
  unsigned library_zero_percent = 33;
  // A heap and large anonymous mappings: the part that is written at once. What else is written
  // shows later: when the program asks for more, or gives it back.
  unsigned open_kb = 12;
  // Beyond this, the size of a mapping with MAP_NORESERVE, of a file that is only read, or of one
  // that is a hole for the most part, says nothing of its use: it is address space, of which the
  // beginning is touched. It is used as far as later calls show: mprotect or MAP_FIXED that commit
  // a part, madvise that gives one back. 64 MB: the largest pieces that allocators ask for (an
  // arena of glibc, of Go).
  unsigned reserve_mb = 64;
  // Of its stack, a program writes these pages besides the one that execve has filled.
  unsigned stack_pages = 1;
  // After a fork, parent and child go on with what they were at: each writes so many of the pages
  // that were written before, the last ones first, and the child, which inherits no entries for
  // text, reads as many of the windows that were read; at most a quarter and a third. And so many
  // hundredths of a page and of a window more with each call that it makes. At most 4 MB. A child
  // that ends by itself, not by execve, touches as many once more as after the fork.
  unsigned fork_pages = 8;
  unsigned fork_call_percent = 80;
  unsigned fork_call_text_percent = 40;

  // Shared writable mappings: the first share that is written.
  unsigned shared_percent = 10;
  // Sizes of programs for which there is no "# program" line (traces/programs.sh). With all of them
  // 0, execve maps nothing that is known.
  unsigned image_text_kb = 1344;
  unsigned image_data_kb = 8;
  unsigned image_zero_kb = 128;
  // While a forked copy lives: pages, at random among all written before, that a call which brings
  // data in (read, recvfrom, ...) is followed by writing to.
  unsigned store_pages = 1;
  unsigned thread_pages = 2;  // of a new thread's stack: written
  // strace stops a task at every call, so that tasks that are ready alternate line by line; a real
  // kernel lets one run on. A task's calls are taken together in turns of up to this many, as far
  // as forks, execs, exits and waits allow. 1: strictly in the order of the lines.
  unsigned turn_calls = 50;
  // Transparent huge pages are as the kernel profile has them, unless a program switches them off
  // (PR_SET_THP_DISABLE). False: none has them.
  bool huge_pages = true;
  bool touch = true;  // false: mappings are not touched at all
};

// InputError: not readable, or not strace's output (file:line, what was expected).
// `sizes`: files of "# program" lines, for programs of which the trace itself has none.
Workload read_strace(const std::string& path, const TouchRule& rule = {},
                     const std::vector<std::string>& sizes = {});

// Several files that are one run, as strace -ff writes them (strace_set.h).
Workload read_strace(const std::vector<std::string>& paths, const TouchRule& rule = {},
                     const std::vector<std::string>& sizes = {});

}  // namespace kpksim::workload
