#pragma once
// What all parts of the kernel model share: the machine, memory, the page-table helpers, the
// linear map and the allocators. Built once from a configuration; torn down with it.

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/lazy_array.h"
#include "sim/cpu/core.h"
#include "sim/kernel/buddy.h"
#include "sim/kernel/exposure.h"
#include "sim/kernel/hugetlb.h"
#include "sim/kernel/interleaving.h"
#include "sim/kernel/linear_map.h"
#include "sim/kernel/object/cred.h"
#include "sim/kernel/object/trigger.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/pgtable.h"
#include "sim/kernel/policy.h"
#include "sim/kernel/profile.h"
#include "sim/kernel/protect/protection.h"
#include "sim/kernel/protect/soft_mode.h"
#include "sim/kernel/rcu.h"
#include "sim/kernel/tlbflush.h"
#include "sim/kernel/vma_slabs.h"

namespace kpksim::kernel {

struct ClassPlan;
class KeyedClasses;

struct Config {
  Policy policy;
  std::string policy_name = {};  // in tables, instead of what text_of() says
  std::uint64_t memory_bytes = 4ull << 30;
  unsigned cores = 1;
  // Timer interrupts a second of each core's clock (CONFIG_HZ). 0: none, and what RCU puts off is
  // done at the end of the call.
  unsigned hz = 0;
  // Cores run at once, interleaved in simulated time. Else one operation after the other.
  bool interleave = false;
  // Memory pressure after each so many operations of a workload, beside what it says; 0: none. A
  // touch is one operation, a call of a recording one or some.
  unsigned pressure_every = 0;
  // Protected classes beside page tables, and who has which key (kpksim keys).
  std::shared_ptr<const ClassPlan> classes = {};
  // Credentials are objects in memory where the policy has no key for them, too: as a target.
  bool credentials = false;
  // What stands around the protection, and sees what it does (sim/attack).
  std::function<std::unique_ptr<Protection>(std::unique_ptr<Protection>)> around = {};
  // Fault injection: what is broken (injector.h).
  std::vector<Injection> injections = {};
  // Somebody will watch (sim/check).
  bool watched = false;
};

// InputError with the reason if the combination makes no sense.
void check(const Config& config);

inline constexpr std::uint64_t kStructPageBytes = 64;

// What the kernel knows about a page of memory that users map (struct page and struct folio). The
// counts are those of the folio's head page.
// All zeros is a page that was never used: untouched ones need no host memory (LazyArray).
struct Page {
  std::uint32_t mapcount;  // entries that map a page of the folio; a block counts 512
  std::uint32_t refs;      // the same, until the TLB flush after the unmapping; + 1: page cache
  bool file;               // in the page cache
  bool exclusive;          // anonymous, and no other process may map it (PageAnonExclusive)
  bool reserved;           // a zero page: never counted, never freed
  std::uint8_t order;      // of the folio
  std::uint32_t offset;    // of this page in its folio
};

class System {
 public:
  System(const cpu::CoreProfile& core, const KernelProfile& kernel, const Config& config);
  ~System();

  const Config config;
  const KernelProfile profile;
  cpu::Machine machine;
  Taps taps;
  const ProtectionInfo& protection_info;
  std::unique_ptr<Protection> protection;
  Buddy buddy;
  std::unique_ptr<Interleaving> interleaving;  // null: cores take turns, one operation each
  PageTables tables;
  TlbFlush flush;
  LinearMap linear_map;
  std::unique_ptr<PageTableAllocator> allocator;
  Exposure exposure;
  std::optional<SoftMode> soft;  // soft=on
  Hugetlb hugetlb;
  Rcu rcu;
  std::unique_ptr<Creds> creds;  // cred=on, a class with a key, or a target without
  std::unique_ptr<KeyedClasses> classes;
  VmaSlabs vma_slabs;
  LazyArray<Page> pages;
  Pfn zero_page;
  std::uint32_t last_anon_vma = 0;
  Pfn kernel_data;  // a page of ordinary kernel memory: a kernel stack's locals

  Locks* locks() const { return interleaving ? &interleaving->locks : nullptr; }
  // Has another core acted since `before`, which this gave?
  std::uint64_t changes() const {
    return interleaving ? interleaving->locks.interleaver().changes() : 0;
  }

  const PathLengths& path() const { return profile.path; }

  // What happened enters the contexts of protected classes that name it.
  void used(cpu::Core& core, Trigger trigger) {
    if (classes) use_classes(core, trigger);
  }

  Page& page(Pfn pfn) { return pages[pfn - buddy.first()]; }
  // The access of a path to struct page, whose lines go through the caches: plain, or `n` atomic
  // read-modify-writes of its counts and flags.
  void touch_page(cpu::Core& core, Pfn pfn) const { core.touch_line(struct_page(pfn)); }
  void atomic_page(cpu::Core& core, Pfn pfn, unsigned n) const {
    for (unsigned i = 0; i < n; ++i) core.atomic(struct_page(pfn));
  }
  // `n` locks, slab fast paths or counters of the kernel: atomic, on lines that are always cached.
  void atomics(cpu::Core& core, unsigned n) const {
    for (unsigned i = 0; i < n; ++i) core.atomic(address_of(kernel_data));
  }
  Pfn head_of(Pfn pfn) { return pfn - page(pfn).offset; }
  // /sys/kernel/mm/transparent_hugepage: which sizes of folios anonymous memory gets.
  HugePages huge_pages(unsigned order) const { return huge_pages_[order]; }
  void set_huge_pages(std::uint64_t bytes, HugePages enabled);
  // Is any size below a huge page's enabled?
  bool has_large_folios() const { return has_large_folios_; }
  // A folio of 2^order frames for users: nullopt, or InputError when memory is exhausted.
  std::optional<Pfn> try_allocate_folio(const cpu::Core& core, unsigned order) {
    Pfn head;
    return get_folio(core, order, head) ? std::optional(head) : std::nullopt;
  }
  Pfn allocate_page(const cpu::Core& core);
  // Who watches from now on; null: nobody.
  void set_observer(Observer* observer) {
    taps.observer = observer;
    buddy.set_observer(observer);
  }
  // The folio of 512 zeroed pages that read faults of huge pages map; nullopt: no memory for it.
  std::optional<Pfn> huge_zero_folio(cpu::Core& core);
  // How a folio was given back: not at all, as others still use it; a page, a larger folio, a huge
  // page.
  enum class Put : std::uint8_t { kKept, kPage, kSmall, kLarge, kHuge };
  // `count` references less; the last one frees the folio.
  Put put_folio(cpu::Core& core, Pfn head, unsigned count);
  // One reference to a reserved huge page less; the last one gives it back to its pool.
  void put_hugetlb(const HugetlbSize& size, Pfn head);

  // A zeroed page table for the tree below `root`, and back.
  Pfn allocate_table(cpu::Core& core, Pfn root, TableKind kind);
  void free_table(cpu::Core& core, Pfn table);
  // The address of the entry for `va` at `level` of the tree below `root`; a missing table on the
  // way is allocated if `allocate`, else the result is 0.
  PhysAddr find_entry(cpu::Core& core, Pfn root, VirtAddr va, unsigned level, bool allocate);
  // The same one level below `entry`, which is of `level`.
  PhysAddr next_entry(cpu::Core& core, Pfn root, PhysAddr entry, VirtAddr va, unsigned level,
                      bool allocate);

  // The same of what is there, looked for by nobody: no core reads an entry for it.
  PhysAddr existing_entry(Pfn root, VirtAddr va, unsigned level) const;

  // Break before make: between an entry's removal and the next of another size or for another
  // page, no core may have the old one cached. Counts it as a violation if one does.
  void check_broken(const AddressSpace& space, VirtAddr start, VirtAddr end);
  // Flushes that a page table's dirty pages of a file forced (zap_pte_range()).
  std::uint64_t forced_flushes = 0;
  std::uint64_t bbm_violations() const { return bbm_violations_; }

  // Frees tables whose grace period is over; the kernel does it in the RCU softirq.
  void free_tables(cpu::Core& core, const std::vector<Pfn>& tables);

 private:
  // Of next_entry(): what `entry` holds once there is a table.
  mmu::Descriptor add_table(cpu::Core& core, Pfn root, PhysAddr entry, unsigned level);
  // try_allocate_folio(); false: no memory.
  bool get_folio(const cpu::Core& core, unsigned order, Pfn& head);
  void make_creds();
  void use_classes(cpu::Core& core, Trigger trigger);
  // Of a table at `level` of the tree below `root`.
  TableKind kind_of(Pfn root, unsigned level) const;
  // The memory map (vmemmap) has an entry for each frame. It lies above what the model's memory
  // holds, as its contents are `pages`.
  PhysAddr struct_page(Pfn pfn) const {
    return address_of(buddy.first() + buddy.size()) + (pfn - buddy.first()) * kStructPageBytes;
  }

  std::uint64_t bbm_violations_ = 0;
  std::optional<Pfn> huge_zero_;
  std::array<HugePages, kPmdShift - kPageShift + 1> huge_pages_{};
  bool has_large_folios_ = false;
};

}  // namespace kpksim::kernel
