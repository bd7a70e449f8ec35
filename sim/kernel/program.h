#pragma once
// The image of a small, statically linked program, as execve() maps it: header, text, read-only
// data, data and bss from 0x400000 on, the heap behind them, the vdso below the mmap base, the
// stack at the top. Address randomisation moves the last three.

#include <cstdint>

#include "sim/base/types.h"

namespace kpksim::kernel {

inline constexpr std::uint64_t kStackLimit = 8ull << 20;  // RLIMIT_STACK
// /proc/self/maps of Debian's 6.12.117: the vdso's text, and its data below
inline constexpr std::uint64_t kVdsoPages = 2, kVvarPages = 2;

struct ProgramImage {
  std::uint64_t header_bytes = 4 << 10;   // readable, of the program's file
  std::uint64_t text_bytes = 64 << 10;    // executable
  std::uint64_t rodata_bytes = 16 << 10;  // readable
  std::uint64_t data_offset = 0;          // of the data from a 64 KB boundary
  std::uint64_t data_bytes = 16 << 10;    // writable, of the program's file; bss in its last page
  std::uint64_t bss_bytes = 16 << 10;     // anonymous
  std::uint64_t heap_bytes = 0;           // grown by the program's start
  std::uint64_t stack_bytes = 132 << 10;
  std::uint64_t exec_stack_pages = 2;  // arguments and environment, written by execve()
  bool randomize = false;              // address randomisation: stack, mmap base, heap

  static constexpr std::uint64_t kBase = 0x400000;
  static constexpr std::uint64_t kStackTop = 1ull << 48;

  std::uint64_t text_base() const { return kBase + header_bytes; }
  std::uint64_t rodata_base() const { return text_base() + text_bytes; }
  std::uint64_t data_base() const {
    return align_up(rodata_base() + rodata_bytes, 64 << 10) + data_offset;
  }
  std::uint64_t bss_base() const { return align_up(data_base() + data_bytes, kPageSize); }
  std::uint64_t heap_base() const { return bss_base() + align_up(bss_bytes, kPageSize); }
};

// Where execve() put the parts of a program that randomisation may move.
struct ProgramPlacement {
  std::uint64_t stack_top = ProgramImage::kStackTop;
  std::uint64_t heap = 0;
  std::uint64_t vdso = 0;
};

}  // namespace kpksim::kernel
