#pragma once
// A recording of `strace -f` as a workload: the memory and process calls of a real program.
//
// strace shows calls, not accesses, and not what execve maps. Both follow a rule with few stated
// parameters; the result lists them as assumptions. The order of the lines is the order of
// execution, but for the turns of `turn_calls`: where it changes from one task of a core to another
// there is a context switch.

#include <cstdint>
#include <string>

#include "sim/workload/operation.h"

namespace kpksim::workload {

// Which pages a program touches between its calls. The defaults are held to the page faults that a
// real kernel took for two of the recorded programs (traces/README.md).
struct TouchRule {
  // Read-only file mappings: the share of their 64 KB areas, evenly spread, that is read. Each is
  // one fault, as the kernel maps the area around it (fault-around).
  unsigned text_percent = 50;  // executable
  unsigned file_percent = 25;  // other
  // Private writable file mappings (data, relocated tables): the share that is written, after a
  // first look (the dynamic section) that maps its areas for reading; so each write is a COW fault.
  unsigned data_percent = 100;
  // Private anonymous mappings of up to 128 KB: the share that is written.
  unsigned small_percent = 75;
  // Larger ones, and what brk adds: the first part is written at once, the rest when the program
  // asks for more of the kind, which shows that it has used up what it had.
  unsigned open_kb = 64;
  // Shared writable mappings: the first share that is written.
  unsigned shared_percent = 10;
  // What execve maps, and strace does not show: the program's text (text_percent of it is read),
  // data (as above) and zeroed memory (.bss: zero_percent of it is written), the dynamic linker and
  // the stack. These sizes are for programs of which the trace has no "# program" line
  // (traces/programs.sh). Mapped below the heap, by three calls, at the program's first brk; with
  // all of text, data and zero 0, nothing is.
  unsigned image_text_kb = 1344;
  unsigned image_data_kb = 8;
  unsigned image_zero_kb = 128;
  unsigned zero_percent = 25;
  unsigned image_stack_kb = 64;  // the part of the stack that is written
  // After a fork, parent and child each write this many pages, the last ones written before.
  unsigned fork_pages = 16;
  // While a forked copy lives: pages, at random among all written before, that a call which brings
  // data in (read, recvfrom, ...) is followed by writing to.
  unsigned store_pages = 1;
  unsigned stack_pages = 2;  // of a new thread's stack: written
  // strace stops a task at every call, so that tasks that are ready alternate line by line; a real
  // kernel lets one run on. A task's calls are taken together in turns of up to this many, as far
  // as forks, execs, exits and waits allow. 1: strictly in the order of the lines.
  unsigned turn_calls = 50;
  // Transparent huge pages are as the kernel profile has them, unless a program switches them off
  // (PR_SET_THP_DISABLE). False: none has them.
  bool huge_pages = true;
};

// InputError: not readable, or not strace's output (file:line, what was expected).
Workload read_strace(const std::string& path, const TouchRule& rule = {});

}  // namespace kpksim::workload
