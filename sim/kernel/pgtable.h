#pragma once
// The page-table helpers: the only code of the kernel that writes descriptors. Each entry written
// has a window of its own (the series guards __set_pte_nosync, set_pmd, __ptep_get_and_clear and so
// on), unless a wider one is open. Stores go through the linear map and the MMU; a refused store is
// an oops.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "sim/cpu/core.h"
#include "sim/kernel/lock.h"
#include "sim/kernel/protect/protection.h"
#include "sim/kernel/taps.h"
#include "sim/mmu/descriptor.h"

namespace kpksim::kernel {

// Where memory starts and where the linear map puts it (48-bit VA, arm64's PAGE_OFFSET).
inline constexpr std::uint64_t kPhysOffset = 0x40000000;
inline constexpr std::uint64_t kPageOffset = 0xffff000000000000;
inline constexpr std::uint64_t kVmallocStart = 0xffff800080000000;
inline constexpr std::uint64_t kVmallocEnd = 0xfffffbfff0000000;
inline constexpr std::uint64_t kUserEnd = 1ull << 48;

constexpr VirtAddr linear_va(PhysAddr pa) { return VirtAddr(pa.value - kPhysOffset + kPageOffset); }

// A kernel store or load that the MMU refused: the end of the simulated kernel.
class KernelOops : public std::runtime_error {
 public:
  KernelOops(const std::string& what, const mmu::Fault& f) : std::runtime_error(what), fault(f) {}
  mmu::Fault fault;
};

class SoftMode;

class PageTables {
 public:
  struct Options {
    // The barriers that a kernel mapping needs wait for the end of a lazy section.
    bool lazy_barriers = false;
    // Instructions of a guard's own section; with batching, of looking whether a lazy section is
    // open; and of a lazy section. How long the first two are depends on the function that they
    // are inlined into: faults are told apart here, lazy sections bring the length of their looks.
    std::uint64_t section = 0, section_open = 0, lazy_section = 0;
    std::uint64_t fault_section = 0, fault_section_open = 0;
  };
  // `window`: none if the protection has none.
  PageTables(Protection& protection, const ProtectionInfo& info, std::optional<WindowScope> window,
             const Options& options, Taps& taps)
      : protection_(protection),
        taps_(taps),
        options_(options),
        window_(window),
        opens_all_(info.opens_all),
        hides_(info.hides),
        own_pointers_(info.own_pointers),
        reads_apart_(info.hides || info.own_pointers) {}

  // The pointer by which an access to a page table is the kernel's own.
  VirtAddr pointer_to(cpu::Core& core, PhysAddr pa) const {
    return own_pointers_ ? protection_.pointer_to(core, linear_va(pa)) : linear_va(pa);
  }
  std::uint64_t read(cpu::Core& core, PhysAddr entry);
  // Who is called before each store of a helper, in its window (sim/attack).
  void watch_stores(std::function<void(cpu::Core&, PhysAddr)> watcher) {
    store_watcher_ = std::move(watcher);
    own_pointers_ = reads_apart_ = true;
  }

  // set_pte: a valid kernel entry needs DSB ISHST + ISB.
  void set_pte(cpu::Core& core, PhysAddr entry, mmu::Descriptor d, bool kernel_mapping);
  // set_pmd and set_pud need the barriers if the entry is valid, set_p4d (level 0) always.
  void set_table(cpu::Core& core, PhysAddr entry, mmu::Descriptor d, unsigned level);
  // ptep_get_and_clear; ptep_set_wrprotect, ptep_set_access_flags and the like: atomic, one section
  // each.
  mmu::Descriptor get_and_clear(cpu::Core& core, PhysAddr entry);
  void exchange(cpu::Core& core, PhysAddr entry, mmu::Descriptor d);
  // A plain store to a table that no walker reads yet.
  void update(cpu::Core& core, PhysAddr entry, mmu::Descriptor d);

  // arch_enter_lazy_mmu_mode and arch_leave_lazy_mmu_mode. Sections do not nest. `target`: the
  // tables that will be written, where they are known. `look`: instructions of a guard that finds
  // this section open, if not those of most.
  void enter_lazy(cpu::Core& core, const Target& target, std::optional<std::uint64_t> look = {});
  void look(std::optional<std::uint64_t> instructions) {
    now_.look = instructions.value_or(options_.section_open);
  }
  void leave_lazy(cpu::Core& core);
  // From taking the page-table lock of `page` to dropping it. It is a lock where cores are
  // interleaved; else nobody else runs meanwhile.
  // `by`: whose tables they are.
  void lock(cpu::Core& core, const Target& target, Pfn page, cpu::Seen by) {
    if (locks_ != nullptr) [[unlikely]]
      locks_->lock(core, page, by);
    if (window_ == WindowScope::kLock) open(core, target, GuardSite::kLock);
  }
  void unlock(cpu::Core& core, Pfn page, cpu::Seen by) {
    if (window_ == WindowScope::kLock) close(core, false);
    if (locks_ != nullptr) [[unlikely]]
      locks_->unlock(core, page, by);
  }
  void set_locks(PageTableLocks& locks) { locks_ = &locks; }

  // A window, inside others or not.
  void open(cpu::Core& core, const Target& target, GuardSite guard = GuardSite::kOther) {
    const bool opens = !taps_.injector.skips(open_of(guard));
    now_.open.push_back({target, opens ? begin(core, target) : 0, guard, opens});
    now_.all_open = opens_all_;
    core.turn(cpu::Seen::kByAddressSpace);
  }
  void close(cpu::Core& core, bool synchronised) {
    const Open window = now_.open.back();
    now_.open.pop_back();
    now_.all_open = opens_all_ && now_.open.size() > now_.interrupted;
    close(core, window, synchronised);
  }

  // In interrupts lazy MMU sections do nothing, and what was open is closed. They nest: the end of
  // one gives back what was.
  struct Interrupted {
    bool interrupt, lazy, all_open;
    std::size_t windows;
  };
  Interrupted begin_interrupt() {
    const Interrupted before{now_.interrupt, now_.lazy, now_.all_open, now_.interrupted};
    now_.interrupt = true;
    now_.lazy = now_.all_open = false;
    now_.interrupted = now_.open.size();
    return before;
  }
  void end_interrupt(const Interrupted& before) {
    now_.interrupt = before.interrupt;
    now_.lazy = before.lazy;
    now_.all_open = before.all_open;
    now_.interrupted = before.windows;
  }

  // With soft=on.
  void set_soft_mode(SoftMode& soft) { soft_ = &soft; }
  // A privileged store has faulted. True: soft mode lets it pass, and it is to be executed again.
  bool let_pass(cpu::Core& core, const mmu::Fault& fault);

  std::uint64_t writes() const { return writes_; }
  Taps& taps() const { return taps_; }

 private:
  struct Open {
    Target target;
    std::uint64_t before;  // what the protection gave, to be put back
    GuardSite guard = GuardSite::kOther;
    bool opened = true;  // unless a fault was injected
  };

 public:
  // What one activity has open. Where cores are interleaved each has its own: it is exchanged when
  // another one goes on.
  struct Activity {
    std::vector<Open> open;
    bool all_open = false;        // one is open that lets every table be written
    std::size_t interrupted = 0;  // so many of them belong to what an interrupt has interrupted
    bool lazy = false;
    std::uint64_t look = 0;  // of the open lazy section
    bool interrupt = false;
    bool barriers_pending = false;
  };
  void exchange(Activity& other) { std::swap(now_, other); }
  bool anything_open() const { return !now_.open.empty() || now_.lazy; }

 private:
  std::uint64_t begin(cpu::Core& core, const Target& target) {
    return opens_all_ ? protection_.open(core, target) : begin_paused(core, target);
  }
  void end(cpu::Core& core, const Target& target, std::uint64_t before, bool synchronised) {
    if (opens_all_) return protection_.close(core, target, before, synchronised);
    end_paused(core, target, before, synchronised);
  }
  std::uint64_t begin_paused(cpu::Core& core, const Target& target);
  void end_paused(cpu::Core& core, const Target& target, std::uint64_t before, bool synchronised);
  // As pointer_to(): there alone a watcher costs nothing where there is none.
  VirtAddr store_pointer(cpu::Core& core, PhysAddr entry) const {
    return own_pointers_ ? watched_pointer(core, entry) : linear_va(entry);
  }
  VirtAddr watched_pointer(cpu::Core& core, PhysAddr entry) const;
  std::uint64_t read_slow(cpu::Core& core, PhysAddr entry);
  std::uint64_t read_hidden(cpu::Core& core, PhysAddr entry);
  void close(cpu::Core& core, const Open& window, bool synchronised) {
    if (taps_.injector.active()) [[unlikely]] {
      close_broken(core, window, synchronised);
    } else {
      end(core, window.target, window.before, synchronised);
    }
    if (!opens_all_ && taps_.observer != nullptr && window.opened) [[unlikely]]
      taps_.observer->window_ended(core, window.target);
  }
  void close_broken(cpu::Core& core, const Open& window, bool synchronised);
  // `atomic`: the store is that of a read-modify-write.
  void write(cpu::Core& core, PhysAddr entry, std::uint64_t value, GuardSite guard,
             bool atomic = false);
  void store(cpu::Core& core, PhysAddr entry, std::uint64_t value, bool atomic);
  void store_slow(cpu::Core& core, PhysAddr entry, std::uint64_t value, bool atomic);
  void refused(cpu::Core& core, PhysAddr entry, std::uint64_t value, const mmu::Fault& fault);
  void execute_guard(cpu::Core& core, bool opens) const;
  void barriers(cpu::Core& core, FaultSite dsb, FaultSite isb);
  // Does an open window let `table` be written?
  bool is_open(Pfn table) const {
    if (opens_all_) return now_.all_open;
    for (std::size_t i = now_.interrupted; i < now_.open.size(); ++i) {
      if (now_.open[i].target.has(table)) return true;
    }
    return false;
  }

  Protection& protection_;
  Taps& taps_;
  const Options options_;
  const std::optional<WindowScope> window_;
  const bool opens_all_, hides_;
  bool own_pointers_;
  bool reads_apart_;  // are tables hidden, or is their pointer not that of the linear map?
  std::function<void(cpu::Core&, PhysAddr)> store_watcher_;
  SoftMode* soft_ = nullptr;
  PageTableLocks* locks_ = nullptr;
  Activity now_;
  std::uint64_t writes_ = 0;
};

// A window for the stores to one table that are no helper's.
class Window {
 public:
  Window(PageTables& tables, cpu::Core& core, Pfn table) : tables_(tables), core_(core) {
    tables_.open(core_, Target(table));
  }
  ~Window() { tables_.close(core_, false); }
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

 private:
  PageTables& tables_;
  cpu::Core& core_;
};

// A page-table lock. Where entries are copied or moved, a second one is taken inside the first.
class PageTableLock {
 public:
  // The lock is in the page of `target`, or in `page`.
  PageTableLock(PageTables& tables, cpu::Core& core, const Target& target)
      : PageTableLock(tables, core, target, *target.begin()) {}
  PageTableLock(PageTables& tables, cpu::Core& core, const Target& target, Pfn page,
                cpu::Seen by = cpu::Seen::kByAddressSpace)
      : tables_(tables), core_(core), page_(page), by_(by) {
    tables_.lock(core_, target, page_, by_);
  }
  ~PageTableLock() { tables_.unlock(core_, page_, by_); }
  PageTableLock(const PageTableLock&) = delete;
  PageTableLock& operator=(const PageTableLock&) = delete;

 private:
  PageTables& tables_;
  cpu::Core& core_;
  const Pfn page_;
  const cpu::Seen by_;
};

class LazySection {
 public:
  LazySection(PageTables& tables, cpu::Core& core, const Target& target,
              std::optional<std::uint64_t> look = {})
      : tables_(tables), core_(core) {
    tables_.enter_lazy(core_, target, look);
  }
  // From now on a guard takes this to find the section open.
  void look(std::optional<std::uint64_t> instructions) { tables_.look(instructions); }
  ~LazySection() { tables_.leave_lazy(core_); }
  LazySection(const LazySection&) = delete;
  LazySection& operator=(const LazySection&) = delete;

 private:
  PageTables& tables_;
  cpu::Core& core_;
};

class InterruptContext {
 public:
  explicit InterruptContext(PageTables& tables)
      : tables_(tables), before_(tables.begin_interrupt()) {}
  ~InterruptContext() { tables_.end_interrupt(before_); }
  InterruptContext(const InterruptContext&) = delete;
  InterruptContext& operator=(const InterruptContext&) = delete;

 private:
  PageTables& tables_;
  const PageTables::Interrupted before_;
};

}  // namespace kpksim::kernel
