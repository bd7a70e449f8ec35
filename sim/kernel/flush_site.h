#pragma once
// The places of TLB flushes, by name: each can be left out, to see what goes wrong without it.

#include <array>
#include <cstdint>
#include <string_view>

namespace kpksim::kernel {

// Where the kernel flushes, or the hypervisor that protects it; kPcidSwitch is x86's, where a
// write of CR3 drops what an address space's PCID has. One site may have several flushes
// of which only all together matter (mprotect of a huge page flushes twice).
enum class FlushSite : std::uint8_t {
  kNone,
  kForkParent,
  kCowBreak,
  kWriteReuse,
  kUnmap,
  kMprotect,
  kMremap,
  kExitMm,
  kVmallocPurge,
  kSetMemoryPkey,
  kSetMemory,
  kAsidRollover,
  kThpSplit,
  kThpCollapse,
  kMadviseFree,
  kMadviseCold,
  kContpte,
  kStage2Rights,
  kStage2Split,
  kPcidSwitch,
  kCount
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(FlushSite::kCount)>
    kFlushSiteNames = {"none",          "fork-parent",     "cow-break",    "write-reuse",
                       "unmap",         "mprotect",        "mremap",       "exit-mm",
                       "vmalloc-purge", "set-memory-pkey", "set-memory",   "asid-rollover",
                       "thp-split",     "thp-collapse",    "madvise-free", "madvise-cold",
                       "contpte",       "stage2-rights",   "stage2-split", "pcid-switch"};

}  // namespace kpksim::kernel
