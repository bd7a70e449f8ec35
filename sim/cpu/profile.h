#pragma once
// A core profile: TLB and cache geometry and the costs of one core, read from JSON in which each
// number carries its source, confidence and, if it is a guess, its range. Immutable once built.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/profile_reader.h"
#include "sim/cpu/caches.h"
#include "sim/cpu/statistics.h"
#include "sim/mmu/mmu.h"

namespace kpksim::cpu {

enum class Architecture : std::uint8_t { kAarch64, kX86 };

// A cost by its name in the profile, in cycles, and the events that it is paid for.
struct Price {
  std::string_view name;
  std::vector<Event> events;
};
const std::vector<Price>& prices();

struct CoreProfile {
  std::string name;
  std::string description;
  Architecture architecture = Architecture::kAarch64;
  mmu::MmuGeometry mmu;
  CacheGeometry l1i, l1d, l2, llc;
  std::uint64_t window = 0;  // instructions in flight (reorder buffer)
  // Of the kernel, more at each exception from EL0 and its return: what this core needs against
  // speculation (spectre_bhb_loop_affected()).
  std::uint64_t entry_instructions = 0;
  bool entry_barriers = false;  // with DSB NSH and ISB at their end, for want of FEAT_SB
  double clock_ghz = 0;
  // FEAT_BBM: how the size of a live leaf may be changed. Below 2 only through an invalid entry;
  // 2: in place, but a TLB conflict abort may come; 3: in place, and none comes.
  unsigned bbm_level = 0;
  bool tlb_range = true;                             // FEAT_TLBIRANGE
  bool repeat_tlbi = false;                          // needs ARM64_WORKAROUND_REPEAT_TLBI
  bool pauth = false;                                // FEAT_PAuth
  bool mte = false;                                  // FEAT_MTE2
  unsigned asid_bits = 16;                           // ID_AA64MMFR0_EL1.ASIDBits
  bool sve = true;                                   // FEAT_SVE
  bool hafdbs = true;                                // hardware sets access flag and dirty state
  std::array<std::uint64_t, kEvents> millicycles{};  // cost of one event
  std::vector<ProfileEntry> entries;                 // every number with its source

  // Sets the price of `what` (a name of prices()), in thousandths of a cycle.
  void set_price(std::string_view what, std::uint64_t price);
};

// Reads `path`. InputError names the file and the JSON pointer.
CoreProfile read_core_profile(const std::string& path);
// From a profile that has been opened so, in which numbers may have been set, and which may draw.
CoreProfile read_core_profile(ProfileReader in);
inline constexpr ProfileReader::Ranges kCoreRanges = ProfileReader::Ranges::kOfGuesses;
// The same with the prices and latencies that have a range drawn from it. What shapes the core
// (geometry, window) stays.
CoreProfile draw_core_profile(const std::string& path, std::uint64_t seed);

}  // namespace kpksim::cpu
