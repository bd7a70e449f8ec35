#pragma once
// What execve maps and strace does not show: the program, its dynamic linker, the vdso, the stack.
// Their sizes come from '# program' lines; where they lie, the calls of the program betray: its and
// the linker's mprotect of their relocated tables, the break, pointers to its stack.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/kernel/mapped_program.h"
#include "sim/workload/strace_line.h"
#include "sim/workload/strace_space.h"

namespace kpksim::workload {

// Sizes of a program's segments, in bytes.
struct ProgramSize {
  std::uint64_t text = 0, data = 0, zero = 0;
};

// What the calls after one execve tell; 0: nothing.
struct ProgramTraces {
  std::uint64_t relro = 0, relro_end = 0;  // the program's data, as far as it becomes read-only
  std::uint64_t linker = 0;                // the dynamic linker's
  std::uint64_t brk = 0;
  std::uint64_t stack = 0;  // the highest pointer into it
  // Ranges of files that become read-only: the loader has relocated their tables.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> read_only;
  // The end of such a range that begins at `start`; 0: there is none.
  std::uint64_t read_only_end(std::uint64_t start) const;
};

class StraceImages {
 public:
  // Looks through the whole trace.
  explicit StraceImages(const std::vector<StraceLine>& lines);
  // Of the execve that is the line with this index.
  const ProgramTraces& of(std::size_t line) const;

 private:
  struct Search;
  void look(const StraceLine& line, Search& search);

  std::map<std::size_t, ProgramTraces> found_;
};

// A mapping of the image, and how a starting program uses it.
struct ImagePart {
  StraceArea area;
  std::uint64_t file_offset = 0;
  bool linker = false;  // of the dynamic linker's file
};

struct Image {
  std::vector<ImagePart> parts;
  std::uint64_t vdso = 0, heap = 0, stack_top = 0, user_end = 0;
};

// The image of a program of this size; no parts where nothing tells the addresses.
Image place_image(const ProgramSize& size, const ProgramTraces& traces);

}  // namespace kpksim::workload
