#pragma once
// One attack on one policy: the workload runs, the strikes fall, and the verdict is what the
// model's tables, registers and TLBs then allow.

#include "sim/attack/scenario.h"
#include "sim/attack/verdict.h"
#include "sim/kernel/kernel.h"

namespace kpksim::attack {

// Of policies with tags: so many times the pages' tags and the attacker's are drawn anew.
struct Draws {
  unsigned count = 100;
  std::uint64_t seed = 1;
  // Also what the kernel takes for objects has a tag, drawn when it is taken, and none that a
  // pointer has when it is freed (KASAN_HW_TAGS).
  bool tagged_objects = false;
};

// The policies of the matrix in docs/threat-model.md: each differs from the others in what it
// stops.
const std::vector<std::string>& usual_policies();

// InputError: the policy cannot run on this core, or the scenario cannot do a step (with the place
// in its file).
Verdict fight(const Scenario& scenario, const cpu::CoreProfile& core,
              const kernel::KernelProfile& profile, const kernel::Config& config,
              const Draws& draws = {});

// Who looks on while an attack is fought.
class Audience {
 public:
  virtual ~Audience() = default;
  virtual void begin(kernel::Kernel& kernel) = 0;  // before the first operation
  virtual void phase(const std::string& name) = 0;
  virtual void struck(cpu::Core& core, const Blow& blow) = 0;
  virtual void end() = 0;  // the kernel is still there
};

// The run that a verdict of fight() is of, once more, before an audience: of a strike that takes
// turns, at the verdict's point; of policies with tags, with the right tag wherever it could be
// that. Without a run if the outcome is kNotModelled.
void replay(const Scenario& scenario, const cpu::CoreProfile& core,
            const kernel::KernelProfile& profile, const kernel::Config& config, const Draws& draws,
            std::uint64_t point, Audience& audience);

}  // namespace kpksim::attack
