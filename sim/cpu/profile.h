#pragma once
// A core profile: TLB geometry and costs of one core, read from JSON in which each number carries
// its source and confidence. Immutable once built.

#include <array>
#include <cstdint>
#include <string>

#include "sim/cpu/statistics.h"
#include "sim/mmu/mmu.h"

namespace kpksim::cpu {

struct CoreProfile {
  std::string name;
  std::string description;
  mmu::MmuGeometry mmu;
  double clock_ghz = 0;
  bool tlb_range = true;                             // FEAT_TLBIRANGE
  bool repeat_tlbi = false;                          // needs ARM64_WORKAROUND_REPEAT_TLBI
  unsigned asid_bits = 16;                           // ID_AA64MMFR0_EL1.ASIDBits
  bool pauth = true;                                 // FEAT_PAuth
  bool sve = true;                                   // FEAT_SVE
  bool hafdbs = true;                                // hardware sets access flag and dirty state
  std::array<std::uint64_t, kEvents> millicycles{};  // cost of one event
};

// Reads `path`. InputError names the file and the JSON pointer.
CoreProfile read_core_profile(const std::string& path);

}  // namespace kpksim::cpu
