#pragma once
// A core: exception level, PSTATE.PAN, system registers, clock and counters; the instructions that
// software on it executes. And the machine of several cores with one physical memory.
//
// Each event is counted in the one function where it happens, for the cause of the innermost
// CauseScope. Costs are the profile's.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/cpu/caches.h"
#include "sim/cpu/core_set.h"
#include "sim/cpu/ledger.h"
#include "sim/cpu/observer.h"
#include "sim/cpu/profile.h"
#include "sim/cpu/statistics.h"
#include "sim/cpu/turns.h"
#include "sim/mmu/at.h"
#include "sim/mmu/mmu.h"

namespace kpksim::cpu {

class Machine;

// The outcome of a load: the value, or a fault.
struct LoadResult {
  mmu::Fault fault;
  std::uint64_t value = 0;
};

class Core {
 public:
  Core(Machine& machine, unsigned id);

  unsigned id() const { return id_; }
  Machine& machine() { return machine_; }
  unsigned el() const { return el_; }
  Cycles clock() const {
    const Elapsed now = elapsed();
    return Cycles((now.rest + now.open + waited_) / 1000);
  }
  // Where cores are interleaved: this core's place in time, in millicycles: what it has done, and
  // how long it has waited for others or for work.
  std::uint64_t time() { return ledger_.now() + waited_; }
  void wait_until(std::uint64_t time_there) {
    const std::uint64_t here = time();
    if (here < time_there) waited_ += time_there - here;
  }
  std::uint64_t waited() const { return waited_; }
  // Cores whose clock is behind may act before this one does what comes next.
  void turn(Seen by = Seen::kByAll) {
    if (turns_ != nullptr) [[unlikely]]
      turns_->turn(*this, by);
  }
  // Millicycles so far: with the key register as at rest, and in windows.
  struct Elapsed {
    std::uint64_t rest = 0, open = 0;
  };
  Elapsed elapsed() const;
  Windows windows() const { return ledger_.windows(); }
  // The bits of POR_EL1 that make a window where they are not as at rest; first all of them.
  void set_window_bits(std::uint64_t bits) { window_bits_ = bits; }
  void forget_largest_window() { ledger_.forget_largest_window(); }
  // The key register and CR0.WP at rest, and as they were in the last window.
  mmu::WindowRegisters at_rest() const { return {por_at_rest_, wp_at_rest_}; }
  mmu::WindowRegisters in_window() const { return {por_open_, wp_open_}; }
  // Events and their costs so far. An access counts events only; the costs are made here.
  Counters counters() const { return ledger_.counters(); }
  // How often `event` has happened.
  std::uint64_t happened(Event event) const { return ledger_.happened(event); }
  Observer* observer() const { return observer_; }
  void set_observer(Observer* observer) {
    observer_ = observer;
    mmu_.set_observer(observer);
  }
  mmu::Mmu& mmu() { return mmu_; }
  const mmu::Mmu& mmu() const { return mmu_; }

  // Privileged accesses to the aligned 64-bit word at `va`. The hot path: what happens millions of
  // times a second is these lines; everything rare is behind load_slow() and store_slow().
  LoadResult load64(VirtAddr va) {
    count(Event::kLoad);
    PhysAddr pa;
    if (!mmu_.try_fast(va, {privileged(), poe::kMayRead}, pa)) [[unlikely]]
      return load_slow(va);
    return {{}, memory_.read64(pa)};
  }
  // load64() of the page-table word that is at `pa`, whose line goes through the data caches, if
  // all of it is quick: nothing was done otherwise. It calls nothing but as its last act, so that
  // who calls it as its own last act need save no register.
  template <class Slow>
  std::uint64_t load_word(VirtAddr va, Slow&& slow) {
    PhysAddr pa;
    if (!mmu_.try_fast(va, {privileged(), poe::kMayRead}, pa)) [[unlikely]]
      return slow();
    const std::uint64_t* const word = memory_.written64(pa);
    if (word == nullptr) [[unlikely]]
      return slow();
    count(Event::kLoad);
    return caches_.is_newest(pa) ? *word : find_line(pa, *word);
  }
  // store64() in the same way; false: nothing was done.
  bool store_word(VirtAddr va, std::uint64_t value) {
    PhysAddr pa;
    if (!mmu_.try_fast(va, {privileged(), poe::kMayWrite}, pa)) [[unlikely]]
      return false;
    std::uint64_t* const word = memory_.written64(pa);
    if (word == nullptr) [[unlikely]]
      return false;
    ledger_.count_store();
    *word = value;
    return true;
  }
  mmu::Fault store64(VirtAddr va, std::uint64_t value) {
    ledger_.count_store();
    PhysAddr pa;
    if (!mmu_.try_fast(va, {privileged(), poe::kMayWrite}, pa)) [[unlikely]]
      return store_slow(va, value);
    memory_.write64(pa, value);
    return {};
  }
  // DC ZVA: zeroes the line at `va`. Its price is part of a zeroed page's (count_page_zero()).
  mmu::Fault zero_line(VirtAddr va) {
    PhysAddr pa;
    if (!mmu_.try_fast(va, {privileged(), poe::kMayWrite}, pa)) [[unlikely]] {
      const mmu::Translation t =
          translate_checked(va, {poe::AccessKind::kWrite, 1, false}, kLineBytes);
      if (t.fault) return t.fault;
      pa = t.pa;
    }
    memory_.zero_line(pa);
    return {};
  }
  // Memory tagging (FEAT_MTE2; mmu/tag_check.h). STG and DC GVA give the granule of 16 bytes, or
  // the line, at `va` the pointer's logical tag as its allocation tag; they need the right to
  // write. LDG gives `va` with the allocation tag of its granule as its logical tag, and needs the
  // right to read. None of them is checked. Where EL1 has no access to tags (SCTLR_EL1.ATA, a
  // mapping that is not Tagged) stores are ignored, and loads give tag 0.
  mmu::Fault stg(VirtAddr va) { return store_tags(va, mmu::kTagGranule); }
  mmu::Fault dc_gva(VirtAddr va) { return store_tags(va, kLineBytes); }
  LoadResult ldg(VirtAddr va);
  // A user access without data: user memory has no contents that matter.
  mmu::Fault user_access(VirtAddr va, poe::AccessKind kind) {
    return dataless_access(va, {kind, 0, false});
  }
  // LDTR/STTR: an unprivileged access from EL1 (copy_to_user and friends).
  mmu::Fault unprivileged_access(VirtAddr va, poe::AccessKind kind) {
    return dataless_access(va, {kind, 1, true});
  }

  // MOV to and from CR0, of x86-64. The write serialises: it acts at once.
  void mov_to_cr0(std::uint64_t value);
  std::uint64_t mov_from_cr0();
  // System registers. A written POR_EL1 is not visible to accesses before a context
  // synchronisation: ISB, exception entry or return (Arm ARM D19.1). On x86-64 this is WRMSR
  // IA32_PKRS, which acts on the accesses after it; the rights keep the layout of POR_EL1.
  void msr_por_el1(std::uint64_t value);
  std::uint64_t mrs_por_el1();
  // What the last write gave, whether it is in force or not; and is CR0.WP not as at rest?
  std::uint64_t written_por_el1() const { return por_el1_written_; }
  bool wp_is_open() const { return wp_changed_; }
  // The same of the registers that more than 16 keys need; `which`: 0 has keys 16 to 31.
  void msr_more_por_el1(std::size_t which, std::uint64_t value);
  std::uint64_t mrs_more_por_el1(std::size_t which);
  void msr_ttbr(std::uint64_t ttbr0, std::uint64_t ttbr1);
  // MOV to CR3, of x86-64: the tables of the lower half, and the PCID that entries are cached under
  // and found by (the model keeps it as TTBR1_EL1.ASID). If it does not `keep` them (bit 63) what
  // is cached under the PCID is dropped, which counts as a TLBI ASIDE1.
  void mov_to_cr3(PhysAddr tables, Asid pcid, bool keep);
  // Boot and reset: all registers at once, synchronised, not counted.
  void set_registers(const mmu::Registers& regs);

  // Barriers. x86-64 has no counterpart that the kernel would execute here: nothing happens.
  void isb();
  void dsb_ish();  // completes this core's TLBIs on every core
  // The same where it stands for a DSB ISHST, and waits for stores before it too.
  void dsb_ish_after_stores() {
    count(Event::kStoreDrain);
    dsb_ish();
  }
  void dsb_ishst();  // orders stores; the model's stores are visible at once
  void dsb_nsh();    // completes this core's local TLBIs
  // How many TLBIs no DSB has completed yet.
  std::size_t outstanding_tlbis() const { return outstanding_.size(); }
  void dsb_osh();  // as dsb_ish, and the outer-shareable TLBIs too
  // On x86-64 INVLPG, INVPCID or a write of CR3: of this core alone, and complete at once.
  // `only`: a broadcast reaches these cores alone (FEAT_TLBID), and this one.
  void tlbi(mmu::TlbiOp op, std::uint64_t xt, const CoreSet* only = nullptr);
  // INVLPGB of AMD's x86-64: on every core, complete at this core's TLBSYNC, which counts as a DSB
  // ISH. `kind`: which operation one instruction with these effects counts as.
  void invlpgb(mmu::TlbiKind kind, const std::vector<mmu::TlbiEffect>& effects);
  void tlbsync();
  // AT: PAR_EL1 says what an access would find.
  void at(mmu::AtOp op, VirtAddr va);
  std::uint64_t par_el1() const { return par_el1_; }

  void take_exception();  // from the current level to EL1
  unsigned level() const { return el_; }
  // The software at `el` runs on, without an exception or a return of its own.
  void continue_at(unsigned el) { el_ = el; }
  void eret(unsigned to_el);

  // Hypervisor call and return.
  void hvc();
  // An interrupt sent to another core, which takes it now, executes `handler(core)` for the cause
  // that this core has, and returns. `more`: it was sent to others at once, which are waited for
  // together.
  template <class Handler>
  void send_ipi(unsigned to, Handler&& handler, bool more = false);

  // Instructions of the kernel: of a path; of a loop over entries or pages, which runs faster; of
  // code that takes pages off lists and counts them, which runs slower, as each update waits for
  // the one before; of a guard, for which nothing waits.
  void execute(std::uint64_t instructions) {
    count(Event::kInstruction, instructions);
    in_flight_ += instructions;
    pass(instructions);
    if (displaced_ != 0) fetch_code(instructions);
  }
  void execute_loop(std::uint64_t instructions) {
    count(Event::kLoopInstruction, instructions);
    in_flight_ += instructions;
    pass(instructions);
  }
  void execute_lists(std::uint64_t instructions) {
    count(Event::kListInstruction, instructions);
    in_flight_ += instructions;
    pass(instructions);
    if (displaced_ != 0) fetch_code(instructions);
  }
  void execute_guard(std::uint64_t instructions) {
    count(Event::kGuardInstruction, instructions);
    in_flight_ += instructions;
    pass(instructions);
  }
  // Instructions of a program. They displace kernel code from the L1I.
  void execute_user(std::uint64_t instructions);

  // The line of `pa` goes through the data caches. For what is not loaded by load64: data whose
  // contents are not modelled, and page-table words, whose callers choose to pay for the look-up.
  void touch_line(PhysAddr pa) {
    if (!caches_.is_newest(pa)) find_line(pa, 0);
  }
  // An atomic read-modify-write of the word at `pa`, of which the line matters alone.
  void atomic(PhysAddr pa) {
    count_slow(Event::kAtomic);
    touch_line(pa);
  }
  // Time passes for the timer: instructions that are not the kernel's.
  void pass(std::uint64_t instructions) {
    if (instructions >= until_timer_) [[unlikely]] {
      expire(instructions - until_timer_);
    } else {
      until_timer_ -= instructions;
    }
  }
  // Calls `handler` after each `interval` executed instructions, its own not among them; 0: never.
  void set_timer(std::uint64_t interval, std::function<void()> handler);
  // Calls `handler` each `period` cycles of the clock, its own among them, at the next thousand
  // instructions. Periods that passed meanwhile are one (hrtimer_forward()).
  void set_clock_timer(Cycles period, std::function<void()> handler);
  void count_page_zero() { count(Event::kPageZero); }
  void count_page_copy() { count(Event::kPageCopy); }
  // The lines of a page whose contents the model keeps are in the caches after it was zeroed.
  void cache_page(Pfn page) { caches_.access_page(page); }

  CauseId cause() const { return ledger_.cause(); }
  // Another activity goes on here, with the cause that it had.
  void continue_for(CauseId cause) { ledger_.set_cause(cause); }

 private:
  friend class CauseScope;
  friend class Machine;

  void count(Event event, std::uint64_t n = 1) { ledger_.count(event, n); }
  void count_translation(const mmu::Translation& t, VirtAddr va, const poe::Access& access);
  void count_slow(Event event, std::uint64_t n = 1) { ledger_.count_slow(event, n); }
  void count_miss(MemoryLevel level);
  void fetch_code(std::uint64_t instructions);
  void synchronise();
  void apply_por();
  // Completes the outstanding TLBIs of the domains up to `reach`, and waits for the other cores if
  // one of them was broadcast.
  void complete_tlbis(mmu::Domain reach);
  void wait_for_tlbis(Barrier barrier, mmu::Domain reach);
  void expire(std::uint64_t beyond);
  void expire_clock();
  mmu::Side privileged() const { return pan_ ? mmu::Side::kPrivilegedPan : mmu::Side::kPrivileged; }
  mmu::Fault dataless_access(VirtAddr va, const poe::Access& access) {
    count(Event::kUserAccess);
    PhysAddr pa;
    if (access.kind != poe::AccessKind::kExecute &&
        mmu_.try_fast(va, mmu::Need::of(access, pan_), pa)) [[likely]]
      return {};
    return translate(va, access).fault;
  }
  std::uint64_t find_line(PhysAddr pa, std::uint64_t value);
  LoadResult load_slow(VirtAddr va);
  mmu::Fault store_slow(VirtAddr va, std::uint64_t value);
  mmu::Fault store_tags(VirtAddr va, std::uint64_t bytes);
  mmu::Translation translate(VirtAddr va, const poe::Access& access);
  // And the tag check of a privileged access to `bytes` of data.
  mmu::Translation translate_checked(VirtAddr va, const poe::Access& access, std::uint64_t bytes);
  void count_fault(const mmu::Fault& fault);

  Machine& machine_;
  mmu::PhysicalMemory& memory_;
  Observer* observer_ = nullptr;
  const unsigned id_;
  const bool x86_;
  Turns* turns_ = nullptr;
  std::uint64_t waited_ = 0;  // millicycles
  mmu::Mmu mmu_;
  DataCaches caches_;
  Ledger ledger_;
  std::uint64_t in_flight_ = 0;  // instructions since the last synchronisation
  std::uint64_t displaced_ = 0;  // lines of kernel code that the L1I has lost to user code
  std::uint64_t fetch_rest_ = 0;
  std::uint64_t par_el1_ = 0;
  std::uint64_t por_el1_written_ = 0;  // the last MSR; in force after a synchronisation
  std::array<std::uint64_t, poe::kMorePors> more_por_written_{};
  bool more_por_pending_ = false;
  unsigned el_ = 1;
  std::uint64_t timer_interval_ = 0, until_timer_ = ~0ull;  // instructions
  Cycles timer_period_{0}, timer_due_{0};                   // or time
  std::function<void()> timer_;
  bool pan_ = true;
  std::uint64_t por_at_rest_ = 0, por_open_ = 0, window_bits_ = ~0ull;
  bool wp_at_rest_ = true, wp_open_ = true;  // CR0.WP
  bool wp_changed_ = false;                  // it is not as at rest
  struct Outstanding {
    mmu::TlbiEffect effect;
    mmu::Domain domain;
    std::optional<CoreSet> only;
  };
  std::vector<Outstanding> outstanding_;  // TLBIs before their DSB
};

// Attributes what `core` does to `cause` until the end of the scope.
class CauseScope {
 public:
  CauseScope(Core& core, CauseId cause) : core_(core), outer_(core.cause()) {
    core.ledger_.set_cause(cause);
  }
  ~CauseScope() { core_.ledger_.set_cause(outer_); }
  CauseScope(const CauseScope&) = delete;
  CauseScope& operator=(const CauseScope&) = delete;

 private:
  Core& core_;
  CauseId outer_;
};

class Machine {
 public:
  Machine(const CoreProfile& profile, unsigned cores);

  const CoreProfile& profile() const { return profile_; }
  mmu::PhysicalMemory& memory() { return memory_; }
  const mmu::PhysicalMemory& memory() const { return memory_; }
  Core& core(std::size_t i) { return *cores_[i]; }
  std::size_t core_count() const { return cores_.size(); }
  Cache& llc() { return llc_; }
  // A TLBI reaches all cores; or `only` these.
  void invalidate(const mmu::TlbiEffect& effect, const CoreSet* only);

  // From now on cores are interleaved in time by `turns`; null: each runs alone as long as it
  // likes.
  void set_turns(Turns* turns);
  bool interleaved() const { return turns_ != nullptr; }

  // `core` waits for TLBIs that it broadcast. Returns how many cores, of `among` if given, do so
  // too. Where cores are interleaved: whose wait has not ended at this moment. Else tasks take
  // turns in the simulation that would run at the same time: who has waited since this core last
  // did.
  std::uint64_t broadcast_by(unsigned core, const CoreSet* among);

 private:
  CoreProfile profile_;
  Turns* turns_ = nullptr;
  mmu::PhysicalMemory memory_;
  mmu::Holders holders_;
  CacheRoom cache_room_;
  Cache llc_;
  friend class Core;
  // By core; 0: none yet. Where cores are interleaved: when its wait ends, else its number.
  std::vector<std::uint64_t> last_broadcast_;
  std::uint64_t broadcasts_ = 0;
  std::vector<std::unique_ptr<Core>> cores_;
};

template <class Handler>
void Core::send_ipi(unsigned to, Handler&& handler, bool more) {
  count(more ? Event::kIpiMore : Event::kIpi);
  Core& target = machine_.core(to);
  if (observer_ != nullptr) observer_->interrupting(target);
  const unsigned interrupted = target.el_;
  target.take_exception();
  {
    const CauseScope because(target, cause());
    handler(target);
  }
  target.eret(interrupted);
  if (observer_ != nullptr) observer_->interrupted(target);
}

}  // namespace kpksim::cpu
