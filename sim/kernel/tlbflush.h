#pragma once
// TLB flushes as arch/arm64/include/asm/tlbflush.h issues them, or, on a core of x86-64, as
// arch/x86/mm/tlb.c (x86_tlb.h). Every TLBI of the kernel model goes through here, named by its
// site, so that a test can leave out the ones of one site.
//
// How far the TLBIs of user memory reach is a part of the policy:
//   broadcast       DSB ISHST, TLBI..IS, DSB ISH
//   local-if-alone  DSB ISH, TLBI, DSB NSH where the address space has run on this core alone, else
//                   as broadcast ("arm64, tlbflush: don't broadcast if mm was only active on local
//                   cpu", 2025: DSB ISH, so that the look at where it ran comes after the store to
//                   the table). An address space that runs on another core costs that a DSB ISHST.
//   ipi             here and, by an interrupt each, on the cores that have run it: TLBI, DSB NSH
//   domain          as broadcast, to the cores that have run it (FEAT_TLBID, Armv9.7). A domain can
//                   be any set of cores here; which ones hardware will have is not known yet.

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "sim/cpu/core.h"
#include "sim/kernel/address_space.h"
#include "sim/kernel/cross_call.h"
#include "sim/kernel/flush_site.h"
#include "sim/kernel/policy.h"
#include "sim/kernel/taps.h"

namespace kpksim::kernel {

class X86Tlb;

struct FlushOptions {
  unsigned x86_cores = 0;           // of a machine of x86-64; 0: it is AArch64
  bool range_operations = true;     // the core has FEAT_TLBIRANGE
  bool repeat = false;              // ARM64_WORKAROUND_REPEAT_TLBI
  bool kernel_range = false;        // kernel ranges have operations and limits of user ones
  Reach reach = Reach::kBroadcast;  // of flushes of user memory
};

// A flush on its way: entries have changed, and no TLB knows of it; TLBIs are issued, and no DSB
// has waited for them.
enum class FlushMoment : std::uint8_t { kChanged, kOutstanding };
using FlushWatcher = std::function<void(cpu::Core&, FlushSite, FlushMoment)>;

class TlbFlush {
 public:
  TlbFlush(const FlushOptions& options, Taps& taps);
  ~TlbFlush();

  // What x86-64 knows of its cores' TLBs; null on AArch64.
  X86Tlb* x86() { return x86_.get(); }
  const X86Tlb* x86() const { return x86_.get(); }

  // Interrupted cores may be in windows of this one, where cores are interleaved.
  void set_protection(Protection& protection) { calls_.set_protection(protection); }
  // Who is called at these moments (sim/attack). On x86-64, whose operations are complete at once,
  // only the first of them comes.
  void watch(FlushWatcher watcher) { watcher_ = std::move(watcher); }

  // flush_tlb_mm(): one ASIDE1IS.
  void mm(cpu::Core& core, FlushSite site, AddressSpace& space);
  // flush_tlb_page(): one VALE1IS.
  void page(cpu::Core& core, FlushSite site, AddressSpace& space, VirtAddr va);
  // ptep_set_access_flags() and its like: the entry has gained rights by a fault. x86-64 has
  // nothing to flush: the fault has dropped the own core's translation, and drops another's that is
  // met.
  void gained(cpu::Core& core, AddressSpace& space, VirtAddr va) {
    if (!x86_) page(core, FlushSite::kWriteReuse, space, va);
  }
  // arch_tlbbatch_add_pending() and arch_tlbbatch_flush(): a VALE1IS each, waited for once.
  void page_pending(cpu::Core& core, FlushSite site, AddressSpace& space, VirtAddr va);
  void pending_done(cpu::Core& core, FlushSite site);
  // __flush_tlb_range(): [start, end); `stride` bytes per entry; last_level: no table was freed;
  // level: TTL hint or 0.
  void range(cpu::Core& core, FlushSite site, AddressSpace& space, VirtAddr start, VirtAddr end,
             std::uint64_t stride, bool last_level, unsigned level);
  // flush_tlb_kernel_range(): VAALE1IS for each page or, since 6.13, range operations where there
  // are any; VMALLE1IS where that is too much.
  void kernel_range(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end);
  // __flush_tlb_kernel_pgtable(): one VAAE1IS, for a table of the kernel's that is unhooked.
  void kernel_table(cpu::Core& core, FlushSite site, VirtAddr va);
  // x86-64, for changes of the linear map: flush_tlb_all(), and cpa_flush().
  void all(cpu::Core& core, FlushSite site);
  void linear_range(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end);
  // local_flush_tlb_all(): this core alone.
  void local_all(cpu::Core& core, FlushSite site);
  // A switch to an address space has changed which core alone runs it.
  void alone_changed(cpu::Core& core) {
    if (options_.reach != Reach::kLocalIfAlone) return;
    taps_.injector.at(core, FaultSite::kDsbAlone, [](cpu::Core& on) { on.dsb_ishst(); });
  }

  // Those of a hypervisor for its virtual machine, at EL2, which always reach all cores. One
  // mapping of stage 2, as __kvm_tlb_flush_vmid_ipa(): entries that hold both stages are not found
  // by their IPA, so that all of stage 1 goes with it.
  void stage2_page(cpu::Core& core, FlushSite site, PhysAddr ipa);
  // Several, as __kvm_tlb_flush_vmid(): all of both stages.
  void stage2_all(cpu::Core& core, FlushSite site);

 private:
  // The operations of one flush, or of several that are waited for once.
  struct Flush {
    FlushSite site;
    FaultAction fault = FaultAction::kNone;
    mmu::Domain domain = mmu::Domain::kInner;
    const cpu::CoreSet* cores = nullptr;  // broadcast to these alone
  };
  struct Operation {
    mmu::TlbiKind kind;
    std::uint64_t operand;
  };

  // Also for an onlooker, and whatever a fault is injected into.
  Flush make(cpu::Core& core, FlushSite site);
  void publish(cpu::Core& core, FlushSite site);
  X86Tlb& x86_of(cpu::Core& core, FlushSite site);
  void execute(cpu::Core& core, const Flush& flush, mmu::TlbiKind kind, std::uint64_t operand);
  // Publishes the stores to the tables, and says where the operations go.
  Flush begin(cpu::Core& core, FlushSite site, const AddressSpace& space);
  Flush begin_kernel(cpu::Core& core, FlushSite site);
  void issue(cpu::Core& core, const Flush& flush, mmu::TlbiKind kind, std::uint64_t operand);
  void operations(cpu::Core& core, const Flush& flush, mmu::TlbiKind by_page,
                  mmu::TlbiKind by_range, Asid asid, VirtAddr start, std::uint64_t pages,
                  std::uint64_t stride, unsigned level);
  bool excess(std::uint64_t bytes, std::uint64_t stride) const;
  void sync(cpu::Core& core, const Flush& flush);  // __tlbi_sync_s1ish()
  void interrupt(cpu::Core& core);
  void wait(cpu::Core& core, FlushSite site, void (cpu::Core::*dsb)());
  void broadcast(cpu::Core& core, const Flush& flush, mmu::TlbiKind kind, std::uint64_t operand);
  void see(cpu::Core& core, FlushSite site, FlushMoment moment) const {
    if (watcher_) watcher_(core, site, moment);
  }

  // By the core that flushes: whether it has issued something since its last sync(); and of reach
  // ipi, what will be executed, and where.
  struct Noted {
    std::vector<Operation> operations;
    cpu::CoreSet cores;
    bool issued = false;
  };
  Noted& noted(const cpu::Core& core) {
    if (noted_.size() <= core.id()) noted_.resize(core.id() + 1);
    return noted_[core.id()];
  }

  std::vector<Noted> noted_;
  FlushOptions options_;
  Taps& taps_;
  FlushWatcher watcher_;
  CrossCalls calls_;
  std::unique_ptr<X86Tlb> x86_;
};

}  // namespace kpksim::kernel
