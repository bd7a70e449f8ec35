#pragma once
// TLB flushes as arch/arm64/include/asm/tlbflush.h issues them, or, on a core that cannot broadcast
// them, as arch/x86/mm/tlb.c (tlbflush_x86.cc). Every TLBI of the kernel model goes
// through here, named by its site, so that a test can leave out the ones of one site.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/cpu/core.h"

namespace kpksim::kernel {

// Where the kernel flushes. One site may have several flushes of which only all together matter
// (mprotect of a huge page flushes twice).
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
  kCount
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(FlushSite::kCount)>
    kFlushSiteNames = {"none",          "fork-parent",     "cow-break",    "write-reuse",
                       "unmap",         "mprotect",        "mremap",       "exit-mm",
                       "vmalloc-purge", "set-memory-pkey", "set-memory",   "asid-rollover",
                       "thp-split",     "thp-collapse",    "madvise-free", "madvise-cold",
                       "contpte"};

struct FlushOptions {
  bool shootdowns = false;                // x86-64: by interrupts to other cores
  bool range_operations = true;           // the core has FEAT_TLBIRANGE
  bool repeat = false;                    // ARM64_WORKAROUND_REPEAT_TLBI
  bool kernel_range = false;              // kernel ranges have operations and limits of user ones
  FlushSite left_out = FlushSite::kNone;  // fault injection: its TLBIs are not executed
};

class TlbFlush {
 public:
  explicit TlbFlush(const FlushOptions& options) : options_(options) {}

  // flush_tlb_mm(): one ASIDE1IS.
  void mm(cpu::Core& core, FlushSite site, Asid asid);
  // flush_tlb_page(): one VALE1IS.
  void page(cpu::Core& core, FlushSite site, Asid asid, VirtAddr va);
  // arch_tlbbatch_add_pending() and arch_tlbbatch_flush(): a VALE1IS each, waited for once.
  void page_pending(cpu::Core& core, FlushSite site, Asid asid, VirtAddr va);
  void pending_done(cpu::Core& core, FlushSite site) { sync(core, site); }
  // __flush_tlb_range(): [start, end); `stride` bytes per entry; last_level: no table was freed;
  // level: TTL hint or 0.
  void range(cpu::Core& core, FlushSite site, Asid asid, VirtAddr start, VirtAddr end,
             std::uint64_t stride, bool last_level, unsigned level);
  // flush_tlb_kernel_range(): VAALE1IS for each page or, since 6.13, range operations where there
  // are any; VMALLE1IS where that is too much.
  void kernel_range(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end);
  // local_flush_tlb_all(): this core alone.
  void local_all(cpu::Core& core, FlushSite site);

 private:
  void issue(cpu::Core& core, FlushSite site, mmu::TlbiOp op, std::uint64_t xt) const;
  void operations(cpu::Core& core, FlushSite site, mmu::TlbiKind by_page, mmu::TlbiKind by_range,
                  Asid asid, VirtAddr start, std::uint64_t pages, std::uint64_t stride,
                  unsigned level) const;
  bool excess(std::uint64_t bytes, std::uint64_t stride) const;
  void sync(cpu::Core& core, FlushSite site) const;  // __tlbi_sync_s1ish()

  // x86-64: the operations here and on each core that runs `asid`, or, without one, on all.
  void shoot_down(cpu::Core& core, FlushSite site, mmu::TlbiKind kind,
                  const std::vector<std::uint64_t>& operands, std::optional<Asid> asid) const;
  void shoot_down_range(cpu::Core& core, FlushSite site, std::optional<Asid> asid, VirtAddr start,
                        VirtAddr end, std::uint64_t stride) const;

  FlushOptions options_;
};

}  // namespace kpksim::kernel
