#pragma once
// What makes the kernel enter a context of a class (sim/kernel/object/keyed_classes.h): a kind of
// system call, a page fault, a switch to another task.

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/kernel/call.h"

namespace kpksim::kernel {

enum class Trigger : std::uint8_t {
  kEntry,  // any system call, beside its own kind
  kFork,
  kThread,
  kExec,
  kExit,
  kWait,
  kMmap,
  kMunmap,
  kMprotect,
  kMadvise,
  kMlock,
  kMremap,
  kBrk,
  kFile,  // fallocate(), ftruncate(), close() of a file in memory
  kMigrate,
  kNull,  // from here on the kinds of calls that change no mapping, in CallKind's order
  kSmall,
  kSignalMask,
  kLookup,
  kStat,
  kOpen,
  kRead,
  kWrite,
  kPipe,
  kPipeData,
  kSocketData,
  kPoll,
  kSignal,
  kRandom,
  kSetCred,
  kPageFault,
  kSwitch,
  kCount
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Trigger::kCount)> kTriggers =
    {"entry",     "fork",        "thread", "exec",   "exit",      "wait",   "mmap",       "munmap",
     "mprotect",  "madvise",     "mlock",  "mremap", "brk",       "file",   "migrate",    "null",
     "small",     "signal_mask", "lookup", "stat",   "open",      "read",   "write",      "pipe",
     "pipe_data", "socket_data", "poll",   "signal", "getrandom", "setuid", "page_fault", "switch"};

constexpr Trigger trigger_of(CallKind kind) {
  return static_cast<Trigger>(static_cast<unsigned>(Trigger::kNull) + static_cast<unsigned>(kind));
}
static_assert(trigger_of(CallKind::kSetCred) == Trigger::kSetCred);

}  // namespace kpksim::kernel
