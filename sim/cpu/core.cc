#include "sim/cpu/core.h"

#include <algorithm>

namespace kpksim::cpu {
namespace {

constexpr poe::Access kKernelRead{poe::AccessKind::kRead, 1, false};
constexpr poe::Access kKernelWrite{poe::AccessKind::kWrite, 1, false};
constexpr std::uint64_t kClockLook = 1000;  // instructions: how late a timer by the clock may be
constexpr std::uint64_t kInstructionsPerLine = (1u << kLineShift) / 4;

}  // namespace

Core::Core(Machine& machine, unsigned id)
    : machine_(machine),
      memory_(machine.memory()),
      id_(id),
      x86_(machine.profile().architecture == Architecture::kX86),
      mmu_(machine.profile().mmu, machine.memory()),
      caches_(machine.profile().l1d, machine.profile().l2, machine.llc(), machine.cache_room_),
      ledger_(machine.profile().millicycles) {}

mmu::Translation Core::translate(VirtAddr va, const poe::Access& access) {
  const mmu::Translation t = mmu_.translate(va, access, pan_);
  if (t.source != mmu::Source::kL1 || t.fault) [[unlikely]]
    count_translation(t, va, access);
  return t;
}

mmu::Translation Core::translate_checked(VirtAddr va, const poe::Access& access,
                                         std::uint64_t bytes) {
  mmu::Translation t = translate(va, access);
  if (mmu_.checks_tags() && !t.fault) [[unlikely]] {
    t.fault = mmu_.tag_fault(va, t.pa, bytes, access.kind == poe::AccessKind::kWrite);
    count_fault(t.fault);
  }
  return t;
}

// Misses of the L1 TLB alone come here. They are counted by who makes them and for which half, so
// that the price of the linear map can be told from that of user memory.
inline void Core::count_translation(const mmu::Translation& t, VirtAddr va,
                                    const poe::Access& access) {
  const bool kernel_half = mmu::upper_half(va);
  if (t.source == mmu::Source::kL2) {
    count_slow(Event::kL2TlbHit);
    if (access.el != 0) count(kernel_half ? Event::kL2TlbHitKernel : Event::kL2TlbHitCopy);
  }
  if (t.source == mmu::Source::kWalk) {
    count_slow(Event::kWalk);
    if (access.el != 0) count(kernel_half ? Event::kWalkKernel : Event::kWalkCopy);
    count_slow(Event::kWalkRead, t.walk_reads);
    for (unsigned i = 0; i < t.walk_reads; ++i) touch_line(mmu_.walk_path()[i]);
    if (t.updated) count_slow(Event::kHardwareUpdate);
    if (observer_ != nullptr) observer_->walked(t);
  }
  count_fault(t.fault);
  // A page fault of x86-64 takes with it what the address was translated by, global or of the
  // PCID in use (Intel SDM volume 3, 4.10.4.1). Linux counts on it where an entry gains rights.
  if (x86_ && t.fault) {
    const Asid pcid = mmu_.registers().asid();
    mmu_.invalidate(mmu::decode(mmu::TlbiKind::kVae1, mmu::encode_va(va, pcid, 0)));
  }
}

inline void Core::count_fault(const mmu::Fault& fault) {
  if (fault && observer_ != nullptr) [[unlikely]]
    observer_->faulted(fault);
  switch (fault.kind) {
    case mmu::FaultKind::kNone:
      break;
    case mmu::FaultKind::kTranslation:
      count(Event::kFaultTranslation);
      break;
    case mmu::FaultKind::kAccessFlag:
      count(Event::kFaultAccessFlag);
      break;
    case mmu::FaultKind::kAddressSize:
      count(Event::kFaultAddressSize);
      break;
    case mmu::FaultKind::kTagCheck:
      count(Event::kFaultTagCheck);
      break;
    case mmu::FaultKind::kPermission:
      count(fault.overlay ? Event::kFaultOverlay : Event::kFaultPermission);
      break;
  }
}

void Core::count_miss(MemoryLevel level) {
  constexpr Event kLevels[] = {Event::kCachePrefetched, Event::kCacheL2, Event::kCacheLlc,
                               Event::kCacheDram};
  count_slow(kLevels[static_cast<unsigned>(level) - 1]);
}

Core::Elapsed Core::elapsed() const {
  return {ledger_.rest(), in_window() != at_rest() ? ledger_.in_windows() : 0};
}

inline void Core::apply_por() {
  if (por_el1_written_ != mmu_.registers().por_el1) mmu_.set_por_el1(por_el1_written_);
  const bool opens = ((por_el1_written_ ^ por_at_rest_) & window_bits_) != 0;
  if ((opens || wp_changed_) == ledger_.open()) {
    ledger_.not_plain();  // one within another, or an exception
  } else if (ledger_.open()) {
    ledger_.close_window(in_flight_ != 0);
    if (observer_ != nullptr) [[unlikely]]
      observer_->window(false);
  } else {
    por_open_ = por_el1_written_;
    wp_open_ = wp_at_rest_ != wp_changed_;
    ledger_.open_window();
    if (observer_ != nullptr) [[unlikely]]
      observer_->window(true);
  }
}

void Core::execute_user(std::uint64_t instructions) {
  count(Event::kUserInstruction, instructions);
  pass(instructions);
  displaced_ =
      std::min(displaced_ + instructions / kInstructionsPerLine, machine_.profile().l1i.lines());
}

// Straight code needs a line for every 16 instructions; the chance that the L1I has lost it is the
// part of the L1I that was displaced.
void Core::fetch_code(std::uint64_t instructions) {
  const std::uint64_t whole = kInstructionsPerLine * machine_.profile().l1i.lines();
  fetch_rest_ += instructions * displaced_;
  const std::uint64_t lines = std::min(fetch_rest_ / whole, displaced_);
  fetch_rest_ %= whole;
  count(Event::kCodeLine, lines);
  displaced_ -= lines;
}

// touch_line() of a line that is to be looked for, and the value that was there.
std::uint64_t Core::find_line(PhysAddr pa, std::uint64_t value) {
  const MemoryLevel level = caches_.find(pa);
  if (level != MemoryLevel::kL1) count_miss(level);
  return value;
}

LoadResult Core::load_slow(VirtAddr va) {
  const mmu::Translation t = translate_checked(va, kKernelRead, sizeof(std::uint64_t));
  if (t.fault) return {t.fault, 0};
  return {{}, memory_.read64(t.pa)};
}

mmu::Fault Core::store_slow(VirtAddr va, std::uint64_t value) {
  const mmu::Translation t = translate_checked(va, kKernelWrite, sizeof(std::uint64_t));
  if (t.fault) return t.fault;
  memory_.write64(t.pa, value);
  return {};
}

mmu::Fault Core::store_tags(VirtAddr va, std::uint64_t bytes) {
  count(Event::kTagStore);
  const mmu::Translation t = translate(va, kKernelWrite);
  if (t.fault) return t.fault;
  if (mmu_.has_tags(va)) {
    memory_.tags().store(PhysAddr(align_down(t.pa.value, bytes)), bytes, mmu::logical_tag(va));
  }
  return {};
}

LoadResult Core::ldg(VirtAddr va) {
  count(Event::kTagLoad);
  const mmu::Translation t = translate(va, kKernelRead);
  if (t.fault) return {t.fault, 0};
  const mmu::MemoryTag tag = mmu_.has_tags(va) ? memory_.tags().at(t.pa) : mmu::MemoryTag(0);
  return {{}, mmu::with_logical_tag(va, tag).value};
}

void Core::msr_por_el1(std::uint64_t value) {
  count(Event::kMsrPor);
  por_el1_written_ = value;
  if (observer_ != nullptr) observer_->register_written();
  if (x86_) synchronise();
}

void Core::msr_more_por_el1(std::size_t which, std::uint64_t value) {
  count(Event::kMsrPor);
  more_por_written_[which] = value;
  more_por_pending_ = true;
  if (x86_) synchronise();
}

std::uint64_t Core::mrs_more_por_el1(std::size_t which) {
  count(Event::kMrsPor);
  return more_por_written_[which];
}

void Core::mov_to_cr0(std::uint64_t value) {
  count(Event::kMovToCr0);
  mmu_.set_cr0(value);
  wp_changed_ = (mmu::cr0::kWp.get(value) != 0) != wp_at_rest_;
  if (observer_ != nullptr) observer_->register_written();
  synchronise();
}

std::uint64_t Core::mov_from_cr0() {
  count(Event::kMovFromCr0);
  ledger_.not_plain();  // a guard inside a window
  return mmu_.registers().cr0;
}

std::uint64_t Core::mrs_por_el1() {
  count(Event::kMrsPor);
  ledger_.not_plain();      // a guard inside a window, which may find nothing to write
  return por_el1_written_;  // a direct read sees the direct write before it
}

void Core::msr_ttbr(std::uint64_t ttbr0, std::uint64_t ttbr1) {
  mmu::Registers regs = mmu_.registers();
  if (regs.ttbr0 != ttbr0) count(Event::kMsrTtbr);
  if (regs.ttbr1 != ttbr1) count(Event::kMsrTtbr);
  regs.ttbr0 = ttbr0;
  regs.ttbr1 = ttbr1;
  mmu_.set_registers(regs);
}

void Core::mov_to_cr3(PhysAddr tables, Asid pcid, bool keep) {
  mmu::Registers regs = mmu_.registers();
  regs.ttbr0 = tables.value;
  regs.ttbr1 = mmu::ttbr::kAsid.set(regs.ttbr1, pcid.value);
  mmu_.set_registers(regs);
  if (keep) {
    count(Event::kMsrTtbr);
  } else {
    tlbi({mmu::TlbiKind::kAside1, mmu::Domain::kLocal}, mmu::encode_va(VirtAddr(0), pcid, 0));
  }
}

void Core::set_registers(const mmu::Registers& regs) {
  por_el1_written_ = por_at_rest_ = regs.por_el1;
  more_por_written_ = regs.more_por_el1;
  wp_at_rest_ = mmu::cr0::kWp.get(regs.cr0) != 0;
  wp_changed_ = false;
  mmu_.set_registers(regs);
}

void Core::synchronise() {
  apply_por();
  if (more_por_pending_) {
    mmu_.set_more_por_el1(more_por_written_);
    more_por_pending_ = false;
  }
  in_flight_ = 0;
}

void Core::isb() {
  if (x86_) return;
  count(Event::kIsb);
  if (observer_ != nullptr) observer_->before_barrier(Barrier::kIsb);
  count(Event::kInFlight, std::min(in_flight_, machine_.profile().window));
  synchronise();
  if (observer_ != nullptr) observer_->after_barrier(Barrier::kIsb);
}

void Core::set_timer(std::uint64_t interval, std::function<void()> handler) {
  timer_period_ = Cycles(0);
  timer_interval_ = interval;
  until_timer_ = interval == 0 ? ~0ull : interval;
  timer_ = std::move(handler);
}

void Core::set_clock_timer(Cycles period, std::function<void()> handler) {
  timer_period_ = period;
  timer_due_ = Cycles(clock().value + period.value);
  timer_ = std::move(handler);
  until_timer_ = kClockLook;
}

// Adding up the clock is dear, so it is looked at after a part of the instructions that the rest of
// the period might take.
void Core::expire_clock() {
  until_timer_ = ~0ull;  // not while the handler runs
  if (clock() >= timer_due_) {
    timer_();
    const std::uint64_t late = clock().value - timer_due_.value;
    timer_due_.value += (late / timer_period_.value + 1) * timer_period_.value;
  }
  until_timer_ = std::max((timer_due_.value - clock().value) / 4, kClockLook);
}

// `beyond`: how many instructions after the moment at which the timer expired it is now.
void Core::expire(std::uint64_t beyond) {
  if (timer_period_.value != 0) return expire_clock();
  for (;;) {
    until_timer_ = ~0ull;  // not while the handler runs
    timer_();
    if (beyond < timer_interval_) break;
    beyond -= timer_interval_;
  }
  until_timer_ = timer_interval_ - beyond;
}

void Core::complete_tlbis(mmu::Domain reach) {
  ledger_.not_plain();
  // What the other cores do until now they do with the entries that they have.
  if (!outstanding_.empty()) turn();
  bool broadcast = false, everywhere = false;
  CoreSet reached;
  std::size_t which = 0;
  std::erase_if(outstanding_, [&](const Outstanding& pending) {
    const std::size_t here = which++;
    const auto tell = [&](Core& on) {
      if (observer_ != nullptr) observer_->reaching(pending.effect, on, here);
    };
    if (pending.domain > reach) return false;
    if (pending.domain == mmu::Domain::kLocal) {
      tell(*this);
      mmu_.invalidate(pending.effect);
      return true;
    }
    broadcast = true;
    if (!pending.only) {
      everywhere = true;
      for (std::size_t i = 0; observer_ != nullptr && i < machine_.core_count(); ++i) {
        tell(machine_.core(i));
      }
      machine_.invalidate(pending.effect, nullptr);
      return true;
    }
    pending.only->for_each([&](unsigned i) { tell(machine_.core(i)); });
    machine_.invalidate(pending.effect, &*pending.only);
    reached.add(*pending.only);
    return true;
  });
  if (!broadcast) return;
  const std::uint64_t answers = everywhere ? machine_.core_count() : reached.size();
  // Before its own wait is counted: whose has not ended when it begins.
  const std::uint64_t rivals = machine_.broadcast_by(id_, everywhere ? nullptr : &reached);
  count(Event::kDvmSync);
  count(Event::kDvmCore, answers - 1);
  count(Event::kDvmRival, rivals);
  if (machine_.interleaved()) machine_.last_broadcast_[id_] = time();
}

void Core::dsb_ish() {
  if (x86_) return;
  count(Event::kDsbIsh);
  wait_for_tlbis(Barrier::kDsbIsh, mmu::Domain::kInner);
}

void Core::dsb_ishst() {
  ledger_.not_plain();
  if (x86_) return;
  count(Event::kDsbIshst);
  if (observer_ == nullptr) return;
  observer_->before_barrier(Barrier::kDsbIshst);
  observer_->after_barrier(Barrier::kDsbIshst);
}

void Core::wait_for_tlbis(Barrier barrier, mmu::Domain reach) {
  if (observer_ != nullptr) observer_->before_barrier(barrier);
  complete_tlbis(reach);
  if (observer_ != nullptr) observer_->after_barrier(barrier);
}

void Core::dsb_nsh() {
  if (x86_) return;
  count(Event::kDsbNsh);
  wait_for_tlbis(Barrier::kDsbNsh, mmu::Domain::kLocal);
}

void Core::dsb_osh() {
  if (x86_) return;
  count(Event::kDsbOsh);
  wait_for_tlbis(Barrier::kDsbOsh, mmu::Domain::kOuter);
}

void Core::tlbi(mmu::TlbiOp op, std::uint64_t xt, const CoreSet* only) {
  ledger_.not_plain();
  count(tlbi_event(op.kind));
  mmu::TlbiEffect effect = mmu::decode(op.kind, xt);
  if (mmu::tcr::kAs.get(mmu_.registers().tcr) == 0) effect.asid.value &= 0xff;  // 8-bit ASIDs
  if (observer_ != nullptr) observer_->tlbi(op, effect, only);
  if (x86_) {
    if (observer_ != nullptr) observer_->reaching(effect, *this, Observer::kAtOnce);
    mmu_.invalidate(effect);
  } else {
    outstanding_.push_back({effect, op.domain, {}});
    if (only == nullptr) return;
    outstanding_.back().only = *only;
    outstanding_.back().only->add(id_);
  }
}

void Core::invlpgb(mmu::TlbiKind kind, const std::vector<mmu::TlbiEffect>& effects) {
  ledger_.not_plain();
  count(tlbi_event(kind));
  for (const mmu::TlbiEffect& effect : effects) {
    if (observer_ != nullptr) observer_->tlbi({kind, mmu::Domain::kInner}, effect, nullptr);
    outstanding_.push_back({effect, mmu::Domain::kInner, {}});
  }
}

void Core::tlbsync() {
  count(Event::kDsbIsh);
  wait_for_tlbis(Barrier::kDsbIsh, mmu::Domain::kInner);
}

void Core::at(mmu::AtOp op, VirtAddr va) { par_el1_ = mmu::par_of(mmu_, op, va, pan_); }

void Core::take_exception() {
  count(el_ == 0 ? Event::kExceptionEl0 : Event::kExceptionEl1);
  if (observer_ != nullptr) observer_->exception(el_);
  el_ = 1;
  synchronise();
}

void Core::eret(unsigned to_el) {
  count(Event::kEret);
  if (observer_ != nullptr) observer_->eret(to_el);
  el_ = to_el;
  synchronise();
}

void Core::hvc() {
  count(Event::kHvc);
  synchronise();
}

Machine::Machine(const CoreProfile& profile, unsigned cores)
    : profile_(profile),
      holders_(cores),
      cache_room_((Cache::bytes(profile.l1d) + Cache::bytes(profile.l2)) * cores +
                  Cache::bytes(profile.llc)),
      llc_(profile.llc, cache_room_),
      last_broadcast_(cores) {
  for (unsigned i = 0; i < cores; ++i) {
    cores_.push_back(std::make_unique<Core>(*this, i));
    cores_.back()->mmu_.report_to(holders_, i);
  }
}

void Machine::invalidate(const mmu::TlbiEffect& effect, const CoreSet* only) {
  const auto visit = [&](unsigned i) {
    if (only == nullptr || only->has(i)) cores_[i]->mmu_.invalidate(effect);
  };
  if (!cores_[0]->mmu_.takes_all(effect)) return holders_.for_each(effect, visit);
  for (unsigned i = 0; i < cores_.size(); ++i) visit(i);
}

void Machine::set_turns(Turns* turns) {
  turns_ = turns;
  for (const auto& core : cores_) core->turns_ = turns;
  std::fill(last_broadcast_.begin(), last_broadcast_.end(), 0);
}

std::uint64_t Machine::broadcast_by(unsigned core, const CoreSet* among) {
  if (interleaved()) {
    const std::uint64_t now = cores_[core]->time();
    std::uint64_t waiting = 0;
    for (unsigned other = 0; other < last_broadcast_.size(); ++other) {
      if (other == core || last_broadcast_[other] <= now) continue;
      if (among == nullptr || among->has(other)) ++waiting;
    }
    return waiting;
  }
  const std::uint64_t last = last_broadcast_[core];
  last_broadcast_[core] = ++broadcasts_;
  if (last == 0) return 0;
  std::uint64_t rivals = 0;
  for (unsigned other = 0; other < last_broadcast_.size(); ++other) {
    if (other == core || last_broadcast_[other] <= last) continue;
    if (among == nullptr || among->has(other)) ++rivals;
  }
  return rivals;
}

}  // namespace kpksim::cpu
