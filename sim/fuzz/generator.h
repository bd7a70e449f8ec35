#pragma once
// Random programs of memory operations, by several processes and threads on several cores. They
// are benign by the Reference, which each operation is shown before it is one of the program's.

#include <cstdint>
#include <string>

#include "sim/fuzz/dice.h"
#include "sim/fuzz/reference.h"

namespace kpksim::fuzz {

// A program, and what it asks of the machine.
struct Program {
  Json ops = Json::array();
  unsigned cores = 1, hz = 0, pressure_every = 0;
  bool interleave = false;
};

struct Bounds {
  unsigned cores = 4;        // at most
  unsigned operations = 80;  // at most, but for the exits at the end
  bool interleave = false;   // the cores may run at once
  bool guard_pages = false;  // the kernel knows MADV_GUARD_INSTALL
  // All exit, and nothing outlives them: no files, no memory of the kernel's own, no reserved
  // pages.
  bool leaves_nothing = false;
  bool strikes = false;  // stray stores to page tables, which must be refused
};

Program random_program(Dice& dice, const Bounds& bounds);

// The Reference takes all of its operations.
bool is_benign(const Program& program, bool guard_pages);

// As workload JSON: an operation a line, sizes with K and M.
std::string workload_text(const Program& program, const std::string& name,
                          const std::string& description);

}  // namespace kpksim::fuzz
