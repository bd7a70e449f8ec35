#pragma once
// One attack on one policy: the workload runs, the strikes fall, and the verdict is what the
// model's tables, registers and TLBs then allow.

#include <optional>
#include <string>
#include <vector>

#include "sim/attack/scenario.h"
#include "sim/kernel/kernel.h"

namespace kpksim::attack {

// What became of one strike.
struct Blow {
  std::string what;  // "write to A at 0x0"
  mmu::Fault fault;  // that stopped it; none: it went through
  unsigned core = 0;
  bool happened = false;  // its occasion came
  bool on_table = false;  // the page was a page table then
};

enum class Outcome : std::uint8_t {
  kStoppedByFault,      // the access was refused
  kStoppedByAllocator,  // each access went through, but the page is no table
  kNoEffect,            // each access went through, and leads nowhere
  kNoOccasion,          // under this policy the moment never came
  kSucceeded,
};

struct Verdict {
  Outcome outcome = Outcome::kNoEffect;
  std::vector<Blow> blows;
  std::string proof;  // of a success: address and frame
  // Of policies with tags: of so many draws of the pointer's tag, so many succeeded.
  unsigned draws = 1, successes = 0;
};

// InputError: the policy cannot run on this core, or the scenario names a page that is not there.
Verdict fight(const Scenario& scenario, const cpu::CoreProfile& core,
              const kernel::KernelProfile& profile, const kernel::Config& config);

std::string_view name_of(Outcome outcome);
// The verdict in a few words: "overlay fault, level 3", "succeeds", "allocator".
std::string text_of(const Verdict& verdict);

}  // namespace kpksim::attack
