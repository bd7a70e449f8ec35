#pragma once
// The TLBs of x86-64's cores, as arch/x86/mm/tlb.c of Linux 6.12 keeps them; with INVLPGB as 6.15.
//
// A core invalidates its own TLB alone. It caches up to six address spaces, each under a PCID that
// is this core's alone (TLB_NR_DYN_ASIDS), and remembers which they are and up to which generation
// of their tables each is flushed (cpu_tlbstate). A flush makes a new generation (tlb_gen). Cores
// that have the address space loaded are interrupted (mm_cpumask), and invalidate page by page if
// that is all that they have missed, else all of the PCID. Others, where it may be cached under
// another slot, are left alone: at their next switch to it they see the old generation, and drop
// it with the write of CR3.
//
// Lazy TLB mode: a core that runs no task, or a kernel thread, keeps the address space of before,
// and is not interrupted for it: it looks at the generation when it goes on. If tables are freed
// it is, as its walker might still read them, and then it leaves the address space.
//
// With INVLPGB (reach invlpgb) an address space that more than three cores run gets a PCID that
// is the same on all of them, and its flushes are broadcast; the others' are as before.
//
// PTI is off: a core with protection keys for supervisor pages has no Meltdown.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/cpu/core.h"
#include "sim/cpu/core_set.h"
#include "sim/kernel/address_space.h"
#include "sim/kernel/cross_call.h"
#include "sim/kernel/injector.h"

namespace kpksim::kernel {

class X86Tlb {
 public:
  static constexpr unsigned kSlots = 6;             // TLB_NR_DYN_ASIDS
  static constexpr std::uint64_t kCeiling = 33;     // tlb_single_page_flush_ceiling
  static constexpr unsigned kBroadcastPages = 8;    // invlpgb_count_max, of Zen 3 to 5
  static constexpr std::size_t kActiveCores = 3;    // more get a global PCID
  static constexpr std::uint64_t kInitContext = 1;  // init_mm: no task's

  X86Tlb(unsigned cores, bool broadcasts, Injector& injector, const CrossCalls& calls);

  // Fault injection: is the next flush, with all that belongs to it, left out?
  void leave_out(bool flush) { left_out_ = flush; }

  // switch_mm_irqs_off(): `root` are the tables of `next`.
  void switch_mm(cpu::Core& core, AddressSpace& next, Pfn root);
  // enter_lazy_tlb(): no task runs here from now on.
  void enter_lazy(unsigned core);
  bool is_lazy(unsigned core) const { return cores_[core].lazy; }

  // flush_tlb_mm_range(); all of it where there are too many entries.
  void flush_range(cpu::Core& core, AddressSpace& space, VirtAddr start, VirtAddr end,
                   std::uint64_t stride, bool freed_tables);
  void flush_mm(cpu::Core& core, AddressSpace& space);
  // arch_tlbbatch_add_pending(): the generation is new at once, and who has the address space is
  // noted; arch_tlbbatch_flush(): these cores are interrupted once, and each is brought up to date.
  void add_pending(const cpu::Core& core, AddressSpace& space);
  void flush_pending(cpu::Core& core);
  // flush_tlb_kernel_range(), and flush_tlb_all(): on every core.
  void flush_kernel_range(cpu::Core& core, VirtAddr start, VirtAddr end);
  void flush_all(cpu::Core& core);
  // What changes of the linear map end with (cpa_flush()): pages are flushed by interrupts whatever
  // the reach is.
  void flush_pages(cpu::Core& core, VirtAddr start, VirtAddr end);

  // For onlookers. Has a core the address space loaded, lazily or not (mm_cpumask)?
  bool has_loaded(unsigned core, const AddressSpace& space) const {
    return space.context != 0 && cores_[core].context == space.context;
  }
  // Whose entries a core has under a PCID (AddressSpace::context); 0: nobody's.
  std::uint64_t context_under(unsigned core, Asid pcid) const;
  // What it may use of them before it flushes them: the walker may read the tables of what is
  // loaded at any time, also of what is loaded lazily. owner: who has that context; null: it is
  // gone.
  enum class Use : std::uint8_t { kNothing, kTables, kAll };
  Use use_of(unsigned core, Asid pcid, const AddressSpace* owner) const;
  // The PCID under which a core may use what it has cached of `space`; nullopt: under none.
  std::optional<Asid> usable_pcid(unsigned core, const AddressSpace& space) const;

 private:
  struct Slot {
    std::uint64_t context = 0, generation = 0;
  };
  struct PerCore {                         // cpu_tlbstate
    AddressSpace* loaded = nullptr;        // gone, maybe, where it is lazy
    std::uint64_t context = kInitContext;  // of the loaded one
    unsigned slot = 0;                     // its slot; kSlots: under its global PCID
    bool lazy = false;
    unsigned next = 1;  // slot to be given out
    std::array<Slot, kSlots> slots{};
  };
  struct Request {                  // flush_tlb_info
    AddressSpace* space = nullptr;  // null: a batch of several
    VirtAddr start{}, end{};
    std::uint64_t stride = 0;  // 0: all
    bool freed_tables = false;
    std::uint64_t generation = 0;  // 0: whichever is the newest
  };

  static Asid pcid_of(unsigned slot) { return Asid(static_cast<std::uint16_t>(slot + 1)); }
  static bool needs_global(const PerCore& on) {
    return on.loaded->global_pcid.value != 0 && on.slot != kSlots;
  }
  Asid loaded_pcid(const PerCore& on) const;
  void load(cpu::Core& core, AddressSpace& space, PhysAddr root, unsigned slot, bool flush);
  void load_new(cpu::Core& core, AddressSpace& space, PhysAddr root);
  void request(cpu::Core& core, Request request);
  void catch_up(cpu::Core& on, const Request& request, bool local);
  void consider_global(AddressSpace& space);
  void broadcast(cpu::Core& core, const Request& request);
  void broadcast_pages(cpu::Core& core, mmu::TlbiKind kind, Asid pcid, VirtAddr start, VirtAddr end,
                       std::uint64_t stride) const;
  // `execute(core)` here and, by interrupts, on all of `cores`.
  template <class Execute>
  void on_each(cpu::Core& core, const cpu::CoreSet& cores, Execute&& execute) const;
  cpu::CoreSet all_cores() const;

  std::vector<PerCore> cores_;
  AddressSpace init_;
  std::uint64_t last_context_ = kInitContext;
  std::vector<std::uint64_t> globals_;  // contexts that have the PCIDs above those of the slots
  const bool broadcasts_;
  Injector& injector_;
  const CrossCalls& calls_;
  bool left_out_ = false;              // the flush that is executed
  std::vector<cpu::CoreSet> pending_;  // of a batch, by the core that makes it
};

}  // namespace kpksim::kernel
