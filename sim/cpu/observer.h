#pragma once
// Who watches a core (sim/check, sim/watch). A core without one tests a pointer at each of these
// instructions, and does nothing else for it.

#include <cstddef>
#include <cstdint>

#include "sim/cpu/core_set.h"
#include "sim/mmu/observer.h"
#include "sim/mmu/tlbi.h"

namespace kpksim::mmu {
struct Fault;
struct Translation;
}  // namespace kpksim::mmu

namespace kpksim::cpu {

class Core;

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

  // For those who record what happens; who looks for mistakes needs none of these.
  // A window of the key register or of CR0.WP has opened, or closed.
  virtual void window(bool /*opened*/) {}
  // Counted: a table walk, and the fault of an access.
  virtual void walked(const mmu::Translation& /*outcome*/) {}
  virtual void faulted(const mmu::Fault& /*fault*/) {}
  // A TLBI of this core is about to drop what `on` holds. `which`: its place among those that no
  // DSB had completed before this one, the oldest first; kAtOnce: it waits for no DSB.
  static constexpr std::size_t kAtOnce = ~std::size_t{0};
  virtual void reaching(const mmu::TlbiEffect& /*effect*/, Core& /*on*/, std::size_t /*which*/) {}
  // An interrupt that this core has sent is about to be taken by `to`; its handler has returned.
  virtual void interrupting(Core& /*to*/) {}
  virtual void interrupted(Core& /*to*/) {}
};

}  // namespace kpksim::cpu
