#pragma once
// The way into the kernel from EL0 (arm64's entry.S).

#include "sim/cpu/core.h"

namespace kpksim::kernel {

// Behind the exception: kernel_ventry of a core that needs it (mitigate_spectre_bhb_loop), and
// kernel_entry's keys of pointer authentication.
inline void entered_from_user(cpu::Core& core, const cpu::CoreProfile& profile) {
  core.execute(profile.entry_instructions);
  if (profile.entry_barriers) {
    core.dsb_nsh();
    core.isb();
  }
  if (profile.pauth) core.isb();
}

inline void enter_kernel(cpu::Core& core, const cpu::CoreProfile& profile) {
  core.take_exception();
  entered_from_user(core, profile);
}

inline void leave_kernel(cpu::Core& core) { core.eret(0); }

}  // namespace kpksim::kernel
