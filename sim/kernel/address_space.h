#pragma once
// What TLBs know an address space by, and where it has run (mm_context_t, mm_cpumask).

#include <cstdint>
#include <optional>

#include "sim/base/types.h"
#include "sim/cpu/core_set.h"

namespace kpksim::kernel {

struct AddressSpace {
  Asid asid;                     // in force while `generation` is the current one
  std::uint64_t generation = 0;  // 0: never had one
  // Cores whose TLB may hold entries of this ASID: those that have run it since it was given. No
  // core leaves the set before there is a new ASID, as entries outlive a switch.
  cpu::CoreSet ran_on;
  // The only core in it, if there is one alone (active_cpu of the arm64 series of 2025).
  std::optional<unsigned> alone_on;
};

}  // namespace kpksim::kernel
