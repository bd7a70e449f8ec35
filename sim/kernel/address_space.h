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

  // x86-64 (x86_tlb.h), which uses nothing of the above.
  std::uint64_t context = 0;         // ctx_id: one of its own, never used again; 0: it has not run
  std::uint64_t tlb_generation = 0;  // tlb_gen: flushes so far
  Asid global_pcid;                  // the same on all cores; 0: none
};

}  // namespace kpksim::kernel
