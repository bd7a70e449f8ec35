#pragma once
// The way into the kernel from EL0 (arm64's entry.S).

#include "sim/cpu/core.h"
#include "sim/kernel/injector.h"

namespace kpksim::kernel {

// Behind the exception: kernel_ventry of a core that needs it (mitigate_spectre_bhb_loop), and
// kernel_entry's keys of pointer authentication.
inline void entered_from_user(cpu::Core& core, const cpu::CoreProfile& profile,
                              Injector& injector) {
  const auto isb = [](cpu::Core& on) { on.isb(); };
  core.execute(profile.entry_instructions);
  if (profile.entry_barriers) {
    injector.at(core, FaultSite::kDsbEntry, [](cpu::Core& on) { on.dsb_nsh(); });
    injector.at(core, FaultSite::kIsbEntry, isb);
  }
  if (profile.pauth) injector.at(core, FaultSite::kIsbPauth, isb);
}

inline void enter_kernel(cpu::Core& core, const cpu::CoreProfile& profile, Injector& injector) {
  core.take_exception();
  entered_from_user(core, profile, injector);
}

inline void leave_kernel(cpu::Core& core) { core.eret(0); }

}  // namespace kpksim::kernel
