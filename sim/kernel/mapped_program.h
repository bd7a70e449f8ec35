#pragma once
// A program as execve() maps it, at addresses that are known (of a recording): its own segments and
// those of the dynamic linker, the vdso between them, the heap's start, the stack.

#include <cstdint>
#include <vector>

#include "sim/kernel/program.h"
#include "sim/kernel/vma.h"

namespace kpksim::kernel {

struct MappedProgram {
  std::vector<Vma> segments;  // in the order of mapping
  std::uint64_t heap = 0;
  std::uint64_t vdso = 0;                            // 0: the kernel chooses
  std::uint64_t user_end = ProgramImage::kStackTop;  // STACK_TOP_MAX, where strings go first
  std::uint64_t stack_top = ProgramImage::kStackTop;
  std::uint64_t stack_bytes = 132 << 10;
  std::uint64_t exec_stack_pages = 1;  // arguments and environment, written by execve()
};

}  // namespace kpksim::kernel
