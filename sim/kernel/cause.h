#pragma once
// Why the kernel model does something: the reasons that TLBIs, barriers and cycles are counted for.

#include <array>
#include <string_view>

#include "sim/cpu/core.h"

namespace kpksim::kernel {

enum class Cause : cpu::CauseId {
  kUser,
  kBoot,
  kSyscall,
  kFault,
  kCow,
  kFork,
  kMmap,
  kMunmap,
  kMprotect,
  kMadvise,
  kMremap,
  kExec,
  kExit,
  kVmalloc,
  kVmPurge,
  kKeying,
  kShrink,
  kSwitch,
  kTimer,
  kCount
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Cause::kCount)> kCauseNames =
    {"user",          "boot",     "syscall", "fault",  "cow",  "fork", "mmap",
     "munmap",        "mprotect", "madvise", "mremap", "exec", "exit", "vmalloc",
     "vmalloc-purge", "keying",   "shrink",  "switch", "timer"};
static_assert(static_cast<std::size_t>(Cause::kCount) <= cpu::kCauses);

struct Because : cpu::CauseScope {
  Because(cpu::Core& core, Cause cause) : CauseScope(core, static_cast<cpu::CauseId>(cause)) {}
};

}  // namespace kpksim::kernel
