#pragma once
// What those are told who record a run: as the observers of kernel, cores and MMUs are
// (kernel/observer.h, cpu/observer.h), in one place and with the time. Times are millicycles since
// watching began (Watch::now()).

#include <cstddef>
#include <cstdint>

#include "sim/cpu/core.h"
#include "sim/kernel/span.h"

namespace kpksim::watch {

using Time = std::uint64_t;
inline constexpr Time kMillicycles = 1000;  // of a cycle

class Listener {
 public:
  virtual ~Listener() = default;
  // Something is about to be told: it is this late on this core.
  virtual void passing(cpu::Core& /*core*/, Time /*now*/) {}

  virtual void begun(const kernel::Span& /*span*/, Time /*now*/) {}
  virtual void ending(const kernel::Span& /*span*/, Time /*now*/) {}
  virtual void window(cpu::Core& /*core*/, bool /*opened*/, Time /*now*/) {}
  // `after`: it is complete; the other call, before that, comes when its own price is paid.
  virtual void barrier(cpu::Core& /*core*/, cpu::Barrier /*barrier*/, bool /*after*/,
                       Time /*now*/) {}
  virtual void tlbi(cpu::Core& /*core*/, const mmu::TlbiOp& /*op*/, const cpu::CoreSet* /*only*/,
                    Time /*now*/) {}
  // `which`: as cpu::Observer::reaching() has it. `dropped`: entries of TLBs and walk cache that
  // go.
  virtual void reaching(cpu::Core& /*from*/, cpu::Core& /*on*/, std::size_t /*which*/,
                        unsigned /*dropped*/, Time /*now*/) {}
  // `bits`: log2 of the bytes of the page that the walk ended in; 0: in none.
  virtual void walked(cpu::Core& /*core*/, unsigned /*bits*/, Time /*now*/) {}
  virtual void faulted(cpu::Core& /*core*/, const mmu::Fault& /*fault*/, Time /*now*/) {}
  // An interrupt from one core is taken by another; it has been handled.
  virtual void interrupting(cpu::Core& /*from*/, cpu::Core& /*to*/, Time /*now*/) {}
  virtual void interrupted(cpu::Core& /*from*/, cpu::Core& /*to*/, Time /*now*/) {}
};

}  // namespace kpksim::watch
