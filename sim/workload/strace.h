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

// Which pages a program touches between its calls. The first six are fitted to the page faults of
// the two recordings of tests/app-truth alone (docs/kernel-model.md); the result shows them.
struct TouchRule {
  // What a program has for itself and uses for the most part: the share that is read of the 64 KB
  // windows of its own text, evenly spread (each is one fault, as the kernel maps the window around
  // it: fault-around); and the share that is written of heap and large mappings that were used up.
  unsigned own_percent = 75;
  // Of what libraries bring but a program uses in part only: the windows of their text, the pages
  // that are zeroed behind their data and the program's (.bss), and other files.
  unsigned used_percent = 48;
  // A heap and large anonymous mappings: the part that is written at once; the rest when the
  // program asks for more of the kind, which shows that it has used up what it had.
  unsigned open_kb = 32;
  // Of its stack, a program writes these pages besides the one that execve has filled.
  unsigned stack_pages = 2;
  // After a fork, parent and child each write this share of the pages that were written before, the
  // last ones (at most 4 MB: what either goes on working with); and the child, which inherits no
  // entries for text, reads a share of the windows that were read.
  unsigned fork_percent = 41;
  unsigned fork_text_percent = 36;

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

}  // namespace kpksim::workload
