#pragma once
// TLB flushes as arch/arm64/include/asm/tlbflush.h issues them (6.12). Every TLBI of the kernel
// model goes through here, named by its site, so that a test can leave out the ones of one site.

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/cpu/core.h"

namespace kpksim::kernel {

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
  kAsidRollover,
  kThpSplit,
  kMadviseFree,
  kCount
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(FlushSite::kCount)>
    kFlushSiteNames = {"none",          "fork-parent",     "cow-break",     "write-reuse",
                       "unmap",         "mprotect",        "mremap",        "exit-mm",
                       "vmalloc-purge", "set-memory-pkey", "asid-rollover", "thp-split",
                       "madvise-free"};

class TlbFlush {
 public:
  // `left_out`: fault injection, the TLBIs of that site are not executed (their barriers are).
  TlbFlush(bool range_operations, FlushSite left_out)
      : range_(range_operations), left_out_(left_out) {}

  void mm(cpu::Core& core, FlushSite site, Asid asid);
  void page(cpu::Core& core, FlushSite site, Asid asid, VirtAddr va);
  // [start, end); `stride` bytes per entry; last_level: no table was freed; level: TTL hint or 0.
  void range(cpu::Core& core, FlushSite site, Asid asid, VirtAddr start, VirtAddr end,
             std::uint64_t stride, bool last_level, unsigned level);
  void kernel_range(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end);
  void local_all(cpu::Core& core, FlushSite site);

 private:
  void issue(cpu::Core& core, FlushSite site, mmu::TlbiOp op, std::uint64_t xt) const;

  bool range_;
  FlushSite left_out_;
};

}  // namespace kpksim::kernel
