#pragma once
// The places of the kernel model that fault injection can break, by name: every TLB flush with its
// barriers, every other barrier, the opening and closing of each guard, marks, and the register's
// saves and restores.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/kernel/flush_site.h"

namespace kpksim::kernel {

inline constexpr unsigned kFlushSites = static_cast<unsigned>(FlushSite::kCount);

// Three for each FlushSite come first: its TLBIs, and the DSBs before and after them.
enum class FaultSite : std::uint16_t {
  kTlbi = 0,
  kDsbBefore = kFlushSites,
  kDsbAfter = 2 * kFlushSites,
  // Guards: what opens a window, and what closes it, in the order of GuardSite.
  kOpen = 3 * kFlushSites,
  kClose = kOpen + 8,
  // Marks and unmarks, in the order of TableKind.
  kMark = kClose + 8,
  kUnmark = kMark + 5,
  kFirstOther = kUnmark + 5,
  kIsbWindowOpen = kFirstOther,
  kIsbWindowClose,
  kResetException,
  kIsbException,
  kSaveException,
  kRestoreException,
  kSaveSwitch,
  kSaveFork,
  kDsbSetPte,
  kIsbSetPte,
  kDsbSetTable,
  kIsbSetTable,
  kDsbLazyEnd,
  kIsbLazyEnd,
  kDsbSplitBlock,
  kIsbKernelRange,
  kIsbAsidRollover,
  kIsbStage2,
  kDsbAlone,
  kDsbSwitch,
  kIsbSwitch,
  kIsbSwitchMm,
  kIsbKernelThread,
  kIsbClock,
  kDsbEntry,
  kIsbEntry,
  kIsbPauth,
  kIsbFork,
  kIsbExit,
  kOpenCred,
  kCloseCred,
  kMarkCred,
  kUnmarkCred,
  kCount
};

// The helpers and sections that open windows.
enum class GuardSite : std::uint8_t {
  kSetPte,
  kSetTable,
  kGetAndClear,
  kExchange,
  kUpdate,
  kLazy,
  kLock,
  kOther
};

constexpr FaultSite plus(FaultSite first, unsigned n) {
  return static_cast<FaultSite>(static_cast<unsigned>(first) + n);
}
constexpr FaultSite tlbi_of(FlushSite site) {
  return plus(FaultSite::kTlbi, static_cast<unsigned>(site));
}
constexpr FaultSite dsb_before(FlushSite site) {
  return plus(FaultSite::kDsbBefore, static_cast<unsigned>(site));
}
constexpr FaultSite dsb_after(FlushSite site) {
  return plus(FaultSite::kDsbAfter, static_cast<unsigned>(site));
}
constexpr FaultSite open_of(GuardSite guard) {
  return plus(FaultSite::kOpen, static_cast<unsigned>(guard));
}
constexpr FaultSite close_of(GuardSite guard) {
  return plus(FaultSite::kClose, static_cast<unsigned>(guard));
}

struct FaultSiteInfo {
  FaultSite site{};
  std::string name;         // as --inject takes it
  std::string description;  // what it is, and the kernel's function
  bool moves = true;        // it can be delayed or swapped, not just skipped
};

// All that exist, in the order of their numbers.
const std::vector<FaultSiteInfo>& fault_sites();
// InputError with the nearest name.
const FaultSiteInfo& find_fault_site(std::string_view name);

}  // namespace kpksim::kernel
