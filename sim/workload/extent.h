#pragma once
// Ranges of addresses that operations name: mappings, and the parts of the program.

#include <cstdint>

#include "sim/kernel/program.h"
#include "sim/workload/operation.h"

namespace kpksim::workload {

struct Extent {
  std::uint64_t address = 0, length = 0;
};

// Where a part of the program lies, once execve() has placed it.
Extent segment_of(const kernel::ProgramImage& program, const kernel::ProgramPlacement& placement,
                  Segment segment);

}  // namespace kpksim::workload
