#pragma once
// A recording of `strace -f` as a workload: the memory and process calls of a real program.
//
// strace shows calls, not accesses. Which pages the program touched between its calls follows a
// rule with few stated parameters; the result lists them as assumptions.

#include <cstdint>
#include <string>

#include "sim/workload/operation.h"

namespace kpksim::workload {

struct TouchRule {
  unsigned text_percent = 25;       // of an executable file mapping's 64 KB areas: read
  unsigned file_percent = 50;       // of a read-only file mapping: read
  unsigned data_percent = 100;      // of a private writable file mapping: written
  unsigned anonymous_percent = 60;  // of an anonymous mapping up to 64 MB: written
  unsigned large_percent = 10;      // of a larger one
  unsigned heap_percent = 80;       // of what brk adds: written
  unsigned fork_pages = 6;          // last written pages that parent and child write after a fork
};

// InputError: not readable, or not strace's output (file:line, what was expected).
Workload read_strace(const std::string& path, const TouchRule& rule = {});

}  // namespace kpksim::workload
