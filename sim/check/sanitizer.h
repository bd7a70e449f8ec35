#pragma once
// The page-table sanitizer: an onlooker who holds what software does against the rules that it has
// to keep (finding.h). It changes nothing, and reads the model's TLBs, walk caches, tables and
// registers: what is found is there, whatever the kernel's code believes. docs/checking.md says
// for each rule when it is looked at.
//
// When software has to have invalidated a translation: at the end of the kernel's work, which is
// the return to EL0 of the core that wrote the descriptor; and before what the descriptor led to is
// given away, a page or a table. What the kernel puts off on purpose has its own end: addresses of
// vmalloc() until they are purged, the ASIDs of another generation until their core switches, an
// address space that has ended until its ASID is given out again. What no core can use is not
// stale.

#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/check/cached_places.h"
#include "sim/check/history.h"
#include "sim/check/report.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/tlb_owners.h"

namespace kpksim::check {

class CoreWatch;

// What is watched has done more than Options::most_events allows.
class TooLong : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Sanitizer final : public kernel::Observer {
 public:
  struct Options {
    // The kernel's fault handler finds spurious faults and flushes for its own core (Linux 7.3,
    // flush_tlb_fix_spurious_fault()): entries that gain rights need no invalidation elsewhere.
    bool gains_are_lazy = false;
    // Descriptors written and spans of work begun, at most: the next call, fault, or page table
    // that is taken, throws TooLong.
    std::uint64_t most_events = ~std::uint64_t{0};
  };

  // `kernel` was made with Config::watched, and outlives this.
  explicit Sanitizer(kernel::Kernel& kernel) : Sanitizer(kernel, Options()) {}
  Sanitizer(kernel::Kernel& kernel, const Options& options);
  ~Sanitizer() override;
  Sanitizer(const Sanitizer&) = delete;
  Sanitizer& operator=(const Sanitizer&) = delete;

  const Report& report() const { return report_; }
  std::uint64_t events() const { return events_; }
  // From now on findings are of this phase.
  void at(std::string place) { report_.at(std::move(place)); }

  // kernel::Observer
  void writing(cpu::Core& core, PhysAddr entry, std::uint64_t now) override;
  void table_taken(cpu::Core& core, Pfn table, Pfn root) override;
  void table_freed(cpu::Core& core, Pfn table) override;
  void frames_freed(Pfn first, unsigned order) override;
  void marked(cpu::Core& core, Pfn first, std::uint64_t count) override;
  void unmarking(cpu::Core& core, Pfn first, std::uint64_t count) override;
  void object_stored(cpu::Core& core, Pfn page) override;
  void window_opening(cpu::Core& core, const kernel::Target& target) override;
  void window_ended(cpu::Core& core, const kernel::Target& target) override;
  void flushing(cpu::Core& core, kernel::FlushSite site) override;
  void handling(cpu::Core& core) override;
  void switching(cpu::Core& core) override;
  void generation_flushed(cpu::Core& core) override;
  void begun(const kernel::Span& span) override;

  // From the cores (CoreWatch).
  void leaf_cached(cpu::Core& core, PhysAddr entry, VirtAddr va, Asid asid, const mmu::Leaf& leaf);
  void table_cached(cpu::Core& core, PhysAddr entry, VirtAddr va, Asid asid, PhysAddr next);
  void updating(cpu::Core& core, PhysAddr entry, std::uint64_t now);
  void judged(cpu::Core& core, VirtAddr va, const poe::Access& access);
  void tlbi(cpu::Core& core, const mmu::TlbiEffect& effect);
  void dsb(cpu::Core& core);
  void returning(cpu::Core& core);

 private:
  friend class CoreWatch;

  // A cached translation whose descriptor has been changed since.
  struct Outstanding {
    PhysAddr entry;
    Place place;
    mmu::Descriptor old;
    bool published = false;  // a DSB came after the change
  };
  // By frame: in use as a page table, marked as one, of the linear map, of the kernel's addresses;
  // and at which level it is hooked in.
  struct Frames {
    std::vector<bool> tables, marked, linear, kernel;
    std::vector<bool> ever_marked;  // and not looked at since
    std::vector<std::uint8_t> levels;
  };
  static constexpr std::uint8_t kNoLevel = 0xff;
  struct Watched {
    unsigned core;
    VirtAddr va;
    std::uint64_t bytes;
    PhysAddr entry;
    Asid asid;
  };
  class Judge;

  cpu::Core& core(std::size_t c) { return system_.machine.core(c); }
  std::size_t index_of(Pfn pfn) const { return pfn - system_.buddy.first(); }
  bool is(const std::vector<bool>& set, Pfn pfn) const {
    return index_of(pfn) < set.size() && set[index_of(pfn)];
  }
  void put(std::vector<bool>& set, Pfn pfn, bool value) {
    if (index_of(pfn) < set.size()) set[index_of(pfn)] = value;
  }
  std::uint8_t level_of(PhysAddr entry) const {
    const std::size_t i = index_of(frame_of(entry));
    return i < frames_.levels.size() ? frames_.levels[i] : kNoLevel;
  }
  void adopt_boot_tables();
  void adopt(Pfn table, unsigned level, bool linear);
  // The cores of a place, and what they hold of it now: `visit(core, entry)`.
  template <class Visit>
  void each_core(const Place& place, Visit&& visit);
  template <class Visit>
  void each_leaf(const Place& place, Visit&& visit);
  template <class Visit>
  void each_table(const Place& place, Visit&& visit);
  bool is_cached(const Place& place);
  void note(cpu::Core& core, PhysAddr entry, const Place& place, mmu::Descriptor old);
  void changed(cpu::Core& core, PhysAddr entry, mmu::Descriptor old);
  void unhook(cpu::Core& core, PhysAddr entry, Pfn table);
  void hook(cpu::Core& core, PhysAddr entry, mmu::Descriptor old, Pfn table, unsigned level);
  void check_break(cpu::Core& core, PhysAddr entry, mmu::Descriptor old, mmu::Descriptor now);
  void check_alias(cpu::Core& core, PhysAddr entry, mmu::Descriptor now);
  void check_tables_at_rest(cpu::Core& core);
  void check_at_rest(cpu::Core& core, Pfn table);
  void check_stage2(cpu::Core& core);
  void check_pcid(cpu::Core& core);
  // Is this entry of a core's TLB one whose descriptor a core has changed that has not returned?
  bool awaits_return(unsigned core, const mmu::TlbEntry& entry) const;
  void check_given_back(Pfn first, std::uint64_t count);
  void check_walked(cpu::Core& core, Pfn table, const char* what);
  // Reports what is stale of it; false: the kernel has put its end off.
  bool settle(cpu::Core& core, const Outstanding& o, Judge& judge);
  void watch(unsigned core, const Outstanding& o, const mmu::TlbEntry& entry);

  kernel::Kernel& kernel_;
  kernel::System& system_;
  const mmu::PhysicalMemory& memory_;
  const Options options_;
  const bool x86_;
  bool protects_;  // page tables are told apart
  std::uint64_t events_ = 0;
  Report report_;
  History history_;
  CachedPlaces places_;
  std::vector<std::vector<Outstanding>> outstanding_;  // by the core that wrote
  std::vector<Outstanding> put_off_;
  // Flushes that are looked at at a return, when the cores that began them have gone on to
  // something else: what a TLB holds before may be what one of them is about to drop.
  struct Flushes {
    std::set<unsigned> by;  // cores
    bool due = false;

    void begin(unsigned core) {
      by.insert(core);
      due = true;
    }
    void leave(unsigned core) { by.erase(core); }
    bool over() { return by.empty() && std::exchange(due, false); }
  };
  Flushes purges_;                   // of what vmalloc() has put off, which may be over then
  Flushes stage2_changes_;           // by the hypervisor
  std::uint64_t stage2_breaks_ = 0;  // Protection::bbm_violations() so far
  Frames frames_;
  std::unordered_map<std::uint64_t, PhysAddr> hooked_;  // tables in use: where their descriptor is
  std::unordered_map<std::uint64_t, Pfn> unhooked_;     // descriptors: what they led to
  std::vector<std::vector<Pfn>>
      fresh_tables_;  // hooked in, by the core that has not returned since
  // Tables for which windows are open, on whichever cores, and how many; and those of them that are
  // to be looked at when the last one has ended, with the core that hooked them in.
  std::unordered_map<std::uint64_t, unsigned> open_tables_, looked_at_later_;
  bool freed_reported_ = false;   // in this call
  std::vector<Watched> watched_;  // stale entries, for their use
  std::vector<std::unique_ptr<CoreWatch>> watches_;
};

}  // namespace kpksim::check
