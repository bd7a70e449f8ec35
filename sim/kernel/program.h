#pragma once
// The image of a small, statically linked program, as execve() maps it: text, data and bss from
// 0x400000 on, the heap behind them, the vdso below the mmap base, the stack at the top.

#include <cstdint>

#include "sim/base/types.h"

namespace kpksim::kernel {

struct ProgramImage {
  std::uint64_t text_bytes = 64 << 10;  // executable, of the program's file
  std::uint64_t data_bytes = 16 << 10;  // writable, of the program's file
  std::uint64_t bss_bytes = 16 << 10;   // anonymous
  std::uint64_t stack_bytes = 132 << 10;
  std::uint64_t exec_stack_pages = 2;  // arguments and environment, written by execve()

  static constexpr std::uint64_t kTextBase = 0x400000;
  static constexpr std::uint64_t kStackTop = 0xfffffffff000;

  std::uint64_t data_base() const { return kTextBase + align_up(text_bytes, 64 << 10); }
  std::uint64_t bss_base() const { return data_base() + data_bytes; }
  std::uint64_t heap_base() const { return bss_base() + bss_bytes + kPageSize; }
  std::uint64_t stack_base() const { return kStackTop - stack_bytes; }
};

}  // namespace kpksim::kernel
