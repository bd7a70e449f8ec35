#pragma once
// What a core counts: one declaration per event (name, unit, description), from which the report,
// the JSON document and the docs are made. An event is counted where it happens, attributed to the
// cause (reason) that the innermost open CauseScope names. Totals are sums over causes.

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/mmu/tlbi.h"

namespace kpksim::cpu {

enum class Event : std::uint8_t {
  kTlbiFirst,  // the operations of mmu::TlbiKind, in its order
  kTlbiLast = kTlbiFirst + mmu::kTlbiInfo.size() - 1,
  kIsb,
  kInFlight,
  kDsbIsh,
  kDsbIshst,
  kStoreDrain,
  kDsbNsh,
  kDsbOsh,
  kDvmSync,
  kDvmCore,
  kDvmRival,
  kMsrPor,
  kMrsPor,
  kMsrTtbr,
  kMovToCr0,
  kMovFromCr0,
  kExceptionEl0,
  kExceptionEl1,
  kEret,
  kHvc,
  kIpi,
  kIpiMore,
  kLoad,
  kStore,
  kAtomic,
  kTagLoad,
  kTagStore,
  kUserAccess,
  kCachePrefetched,
  kCacheL2,
  kCacheLlc,
  kCacheDram,
  kL2TlbHit,
  kL2TlbHitKernel,
  kL2TlbHitCopy,
  kWalk,
  kWalkKernel,
  kWalkCopy,
  kWalkRead,
  kHardwareUpdate,
  kFaultTranslation,
  kFaultAccessFlag,
  kFaultPermission,
  kFaultOverlay,
  kFaultAddressSize,
  kFaultTagCheck,
  kInstruction,
  kLoopInstruction,
  kListInstruction,
  kGuardInstruction,
  kUserInstruction,
  kCodeLine,
  kPageZero,
  kPageCopy,
  kCount
};
inline constexpr std::size_t kEvents = static_cast<std::size_t>(Event::kCount);

// Instructions of the kernel, of whichever class.
inline constexpr std::array<Event, 4> kKernelInstructions = {
    Event::kInstruction, Event::kLoopInstruction, Event::kListInstruction,
    Event::kGuardInstruction};

struct EventInfo {
  std::string_view name, unit, description;
};
inline constexpr std::array<EventInfo, kEvents> kEventInfo = {{
    {"tlbi_vmalle1", "instructions", "TLBI VMALLE1*: all entries of EL1&0"},
    {"tlbi_vae1", "instructions", "TLBI VAE1*: one page, walk caches too"},
    {"tlbi_aside1", "instructions", "TLBI ASIDE1*: one address space"},
    {"tlbi_vaae1", "instructions", "TLBI VAAE1*: one page in all address spaces"},
    {"tlbi_vale1", "instructions", "TLBI VALE1*: one page, last level only"},
    {"tlbi_vaale1", "instructions", "TLBI VAALE1*: one page, all address spaces, last level"},
    {"tlbi_rvae1", "instructions", "TLBI RVAE1*: range, walk caches too"},
    {"tlbi_rvaae1", "instructions", "TLBI RVAAE1*: range in all address spaces"},
    {"tlbi_rvale1", "instructions", "TLBI RVALE1*: range, last level only"},
    {"tlbi_rvaale1", "instructions", "TLBI RVAALE1*: range, all address spaces, last level"},
    {"tlbi_vmalls12e1", "instructions", "TLBI VMALLS12E1*: all entries of both stages"},
    {"tlbi_ipas2e1", "instructions", "TLBI IPAS2E1*: one page of stage 2"},
    {"isb", "instructions", "ISB executed"},
    {"in_flight", "instructions", "instructions in flight that an ISB waited for"},
    {"dsb_ish", "instructions", "DSB ISH: completes TLBIs"},
    {"dsb_ishst", "instructions", "DSB ISHST: orders page-table stores"},
    {"store_drain", "barriers", "DSB ISH that waited for stores, as a DSB ISHST would have"},
    {"dsb_nsh", "instructions", "DSB NSH: completes local TLBIs"},
    {"dsb_osh", "instructions", "DSB OSH: completes outer-shareable TLBIs too"},
    {"dvm_sync", "barriers", "DSBs that waited for broadcast TLBIs"},
    {"dvm_core", "answers", "other cores that such a DSB waited for"},
    {"dvm_rival", "barriers", "cores that broadcast since this one's last such DSB"},
    {"msr_por_el1", "instructions", "writes of POR_EL1"},
    {"mrs_por_el1", "instructions", "reads of POR_EL1"},
    {"msr_ttbr", "instructions", "writes of TTBR0_EL1 or TTBR1_EL1"},
    {"mov_to_cr0", "instructions", "writes of CR0 (x86-64)"},
    {"mov_from_cr0", "instructions", "reads of CR0 (x86-64)"},
    {"exception_el0", "exceptions", "exceptions and system calls taken from EL0"},
    {"exception_el1", "exceptions", "exceptions taken from EL1"},
    {"eret", "instructions", "exception returns"},
    {"hvc", "calls", "hypervisor calls and returns"},
    {"ipi", "interrupts", "interrupts sent to other cores"},
    {"ipi_more", "interrupts", "further cores that such an interrupt was sent to at once (x86-64)"},
    {"load", "accesses", "kernel loads through the MMU"},
    {"store", "accesses", "kernel stores through the MMU"},
    {"atomic", "accesses", "kernel atomic read-modify-writes"},
    {"tag_load", "instructions", "LDG: allocation tags loaded"},
    {"tag_store", "instructions", "STG and DC GVA: allocation tags stored"},
    {"user_access", "accesses", "user loads and stores"},
    {"cache_prefetched", "lines", "L1D misses that a stream prefetcher had foreseen"},
    {"cache_l2", "lines", "L1D misses that hit the L2"},
    {"cache_llc", "lines", "L2 misses that hit the LLC"},
    {"cache_dram", "lines", "LLC misses"},
    {"l2_tlb_hit", "accesses", "L1 TLB misses that hit the L2 TLB"},
    {"l2_tlb_hit_kernel", "accesses", "of these, of EL1 to the kernel's half of the addresses"},
    {"l2_tlb_hit_copy", "accesses", "of these, of EL1 to user memory"},
    {"walk", "walks", "table walks"},
    {"walk_kernel", "walks", "of these, of EL1 in the kernel's half of the addresses (TTBR1_EL1)"},
    {"walk_copy", "walks", "of these, of EL1 for user memory (copy_to_user() and its like)"},
    {"walk_read", "accesses", "descriptors that the walker read"},
    {"hardware_update", "accesses", "access flags and dirty states that the walker wrote"},
    {"fault_translation", "faults", "translation faults"},
    {"fault_access_flag", "faults", "access flag faults"},
    {"fault_permission", "faults", "permission faults without the overlay bit"},
    {"fault_overlay", "faults", "permission faults with ISS2.Overlay: a key forbade the access"},
    {"fault_address_size", "faults", "address size faults"},
    {"fault_tag_check", "faults", "synchronous tag check faults"},
    {"instruction", "instructions", "instructions of kernel paths (path lengths of the profile)"},
    {"loop_instruction", "instructions", "and those of its loops over entries and pages"},
    {"list_instruction", "instructions", "and those that move pages between lists"},
    {"guard_instruction", "instructions", "and those of guards around page-table writes"},
    {"user_instruction", "instructions", "instructions of programs, where the workload has them"},
    {"code_line", "lines", "lines of kernel code that user code had displaced from the L1I"},
    {"page_zero", "pages", "pages zeroed"},
    {"page_copy", "pages", "pages copied"},
}};

constexpr Event tlbi_event(mmu::TlbiKind kind) {
  return static_cast<Event>(static_cast<unsigned>(Event::kTlbiFirst) + static_cast<unsigned>(kind));
}

// Why something happens. The names belong to the software above; here a cause is a number.
using CauseId = std::uint8_t;
inline constexpr std::size_t kCauses = 24;

// Windows in which the key register has another value than at rest (Core::set_registers()).
struct Windows {
  std::uint64_t count = 0;
  std::uint64_t stores = 0;                             // in all of them
  std::uint64_t millicycles = 0;                        // of all of them
  std::uint64_t most_stores = 0, most_millicycles = 0;  // of one
};

struct Counters {
  using ByCause = std::array<std::array<std::uint64_t, kCauses>, kEvents>;
  ByCause count{};
  ByCause millicycles{};

  std::uint64_t total(Event event) const {
    std::uint64_t sum = 0;
    for (const std::uint64_t n : count[static_cast<std::size_t>(event)]) sum += n;
    return sum;
  }
  std::uint64_t total_millicycles() const {
    std::uint64_t sum = 0;
    for (const auto& by_cause : millicycles) {
      for (const std::uint64_t n : by_cause) sum += n;
    }
    return sum;
  }
  Counters operator-(const Counters& before) const {
    Counters d = *this;
    for (std::size_t e = 0; e < kEvents; ++e) {
      for (std::size_t c = 0; c < kCauses; ++c) {
        d.count[e][c] -= before.count[e][c];
        d.millicycles[e][c] -= before.millicycles[e][c];
      }
    }
    return d;
  }
  Counters& operator+=(const Counters& o) {
    for (std::size_t e = 0; e < kEvents; ++e) {
      for (std::size_t c = 0; c < kCauses; ++c) {
        count[e][c] += o.count[e][c];
        millicycles[e][c] += o.millicycles[e][c];
      }
    }
    return *this;
  }
};

}  // namespace kpksim::cpu
