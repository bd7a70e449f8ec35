#pragma once
// Who watches a core (sim/check). A core without one tests a pointer at each of these instructions,
// and does nothing else for it.

#include "sim/cpu/core_set.h"
#include "sim/mmu/observer.h"
#include "sim/mmu/tlbi.h"

namespace kpksim::cpu {

enum class Barrier : std::uint8_t { kDsbIshst, kDsbNsh, kDsbIsh, kDsbOsh, kIsb };

class Observer : public mmu::Observer {
 public:
  // Issued; on x86-64 complete already. `only`: a broadcast reaches these cores alone.
  virtual void tlbi(const mmu::TlbiOp& op, const mmu::TlbiEffect& effect, const CoreSet* only) = 0;
  // A DSB is about to complete what it waits for; an ISB to put written registers in force.
  virtual void before_barrier(Barrier barrier) = 0;
  virtual void after_barrier(Barrier barrier) = 0;
  // MSR POR_EL1 (on x86-64 WRMSR IA32_PKRS) or MOV CR0.
  virtual void register_written() = 0;
  // About to be taken, or to return; both synchronise.
  virtual void exception(unsigned from_el) = 0;
  virtual void eret(unsigned to_el) = 0;
};

}  // namespace kpksim::cpu
