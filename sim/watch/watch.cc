#include "sim/watch/watch.h"

#include <algorithm>
#include <utility>

namespace kpksim::watch {

unsigned entries_dropped(const cpu::Core& core, const mmu::TlbiEffect& effect, bool empties_l1) {
  const mmu::Mmu& mmu = core.mmu();
  const bool stage1 = effect.stages != mmu::TlbiStages::kSecond;
  if (!empties_l1 && !(stage1 && mmu.may_hold(effect))) return 0;
  unsigned n = 0;
  const auto count = [&](const mmu::Tlb& tlb, bool all) {
    for (const mmu::TlbEntry& e : tlb.entries()) {
      n += e.valid && (all || (stage1 && effect.drops_leaf(e.range()))) ? 1 : 0;
    }
  };
  count(mmu.l1i(), empties_l1);
  count(mmu.l1d(), empties_l1);
  count(mmu.l2(), false);
  for (const mmu::WalkCache::Entry& e : mmu.walk_cache().entries()) {
    n += e.valid && stage1 && effect.drops_table(e.range()) ? 1 : 0;
  }
  return n;
}

unsigned tlb_entries(const mmu::Mmu& mmu) {
  unsigned n = 0;
  for (const mmu::Tlb* tlb : {&mmu.l1i(), &mmu.l1d(), &mmu.l2()}) {
    for (const mmu::TlbEntry& e : tlb->entries()) n += e.valid ? 1 : 0;
  }
  return n;
}

class Watch::OfCore final : public cpu::Observer {
 public:
  OfCore(Watch& watch, cpu::Core& core) : watch_(watch), core_(core), next_(core.observer()) {
    core.set_observer(this);
  }
  ~OfCore() override { core_.set_observer(next_); }
  OfCore(const OfCore&) = delete;
  OfCore& operator=(const OfCore&) = delete;

  void leaf_cached(PhysAddr entry, VirtAddr va, Asid asid, const mmu::Leaf& leaf) override {
    ended_in_ = leaf.page_bits;
    if (next_ != nullptr) next_->leaf_cached(entry, va, asid, leaf);
  }
  void table_cached(PhysAddr entry, VirtAddr va, Asid asid, const mmu::WalkState& next) override {
    if (next_ != nullptr) next_->table_cached(entry, va, asid, next);
  }
  void updating(PhysAddr entry, std::uint64_t now) override {
    if (next_ != nullptr) next_->updating(entry, now);
  }
  void judged(VirtAddr va, const mmu::Leaf& leaf, const poe::Access& access) override {
    if (next_ != nullptr) next_->judged(va, leaf, access);
  }
  void tlbi(const mmu::TlbiOp& op, const mmu::TlbiEffect& effect,
            const cpu::CoreSet* only) override {
    if (next_ != nullptr) next_->tlbi(op, effect, only);
    watch_.tell(core_, [&](Listener& to, Time now) { to.tlbi(core_, op, only, now); });
  }
  void before_barrier(cpu::Barrier barrier) override {
    if (next_ != nullptr) next_->before_barrier(barrier);
    watch_.tell(core_, [&](Listener& to, Time now) { to.barrier(core_, barrier, false, now); });
  }
  void after_barrier(cpu::Barrier barrier) override {
    if (next_ != nullptr) next_->after_barrier(barrier);
    watch_.tell(core_, [&](Listener& to, Time now) { to.barrier(core_, barrier, true, now); });
  }
  void register_written() override {
    if (next_ != nullptr) next_->register_written();
  }
  void exception(unsigned from_el) override {
    if (next_ != nullptr) next_->exception(from_el);
    watch_.tell(core_, [](Listener&, Time) {});
  }
  void eret(unsigned to_el) override {
    if (next_ != nullptr) next_->eret(to_el);
    watch_.tell(core_, [](Listener&, Time) {});
  }
  void window(bool opened) override {
    if (next_ != nullptr) next_->window(opened);
    watch_.tell(core_, [&](Listener& to, Time now) { to.window(core_, opened, now); });
  }
  void walked(const mmu::Translation& outcome) override {
    if (next_ != nullptr) next_->walked(outcome);
    const unsigned bits = std::exchange(ended_in_, 0);
    watch_.tell(core_, [&](Listener& to, Time now) { to.walked(core_, bits, now); });
  }
  void faulted(const mmu::Fault& fault) override {
    if (next_ != nullptr) next_->faulted(fault);
    watch_.tell(core_, [&](Listener& to, Time now) { to.faulted(core_, fault, now); });
  }
  void reaching(const mmu::TlbiEffect& effect, cpu::Core& on, std::size_t which) override {
    if (next_ != nullptr) next_->reaching(effect, on, which);
    const unsigned dropped =
        entries_dropped(on, effect, core_.machine().profile().mmu.tlbi_empties_l1);
    watch_.tell(core_,
                [&](Listener& to, Time now) { to.reaching(core_, on, which, dropped, now); });
  }
  void interrupting(cpu::Core& to_core) override {
    if (next_ != nullptr) next_->interrupting(to_core);
    watch_.tell(core_, [&](Listener& to, Time now) { to.interrupting(core_, to_core, now); });
  }
  void interrupted(cpu::Core& to_core) override {
    if (next_ != nullptr) next_->interrupted(to_core);
    watch_.tell(core_, [&](Listener& to, Time now) { to.interrupted(core_, to_core, now); });
  }

 private:
  Watch& watch_;
  cpu::Core& core_;
  cpu::Observer* const next_;
  unsigned ended_in_ = 0;  // log2 of the page that the walk under way has found
};

Watch::Watch(kernel::System& system, std::vector<Listener*> listeners)
    : system_(system), listeners_(std::move(listeners)), next_(system.taps.observer) {
  cpu::Machine& machine = system_.machine;
  for (unsigned c = 0; c < machine.core_count(); ++c) {
    seen_.push_back(machine.core(c).time());
    begin_ = std::max(begin_, seen_.back());
    cores_.push_back(std::make_unique<OfCore>(*this, machine.core(c)));
  }
  acts_ = &machine.core(0);
  system_.set_observer(this);
}

Watch::~Watch() { system_.set_observer(next_); }

void Watch::advance(cpu::Core& core) {
  const Time time = core.time();
  passed_ += time - std::exchange(seen_[core.id()], time);
}

Time Watch::now(cpu::Core& core) {
  if (system_.machine.interleaved()) {
    // Before all cores have met for the first time, some are behind.
    const Time time = core.time();
    return time - std::min(time, begin_);
  }
  if (&core != acts_) {
    advance(*acts_);  // what it has done since something was told of it
    acts_ = &core;
  }
  advance(core);
  return passed_;
}

Time Watch::latest() {
  Time last = 0;
  for (std::size_t c = 0; c < system_.machine.core_count(); ++c) {
    last = std::max(last, now(system_.machine.core(c)));
  }
  return last;
}

template <class Tell>
void Watch::tell(cpu::Core& core, Tell&& tell) {
  const Time time = now(core);
  for (Listener* const listener : listeners_) {
    listener->passing(core, time);
    tell(*listener, time);
  }
}

void Watch::writing(cpu::Core& core, PhysAddr entry, std::uint64_t value) {
  if (next_ != nullptr) next_->writing(core, entry, value);
  tell(core, [](Listener&, Time) {});
}
void Watch::table_taken(cpu::Core& core, Pfn table, Pfn root) {
  if (next_ != nullptr) next_->table_taken(core, table, root);
}
void Watch::table_freed(cpu::Core& core, Pfn table) {
  if (next_ != nullptr) next_->table_freed(core, table);
}
void Watch::frames_freed(Pfn first, unsigned order) {
  if (next_ != nullptr) next_->frames_freed(first, order);
}
void Watch::marked(cpu::Core& core, Pfn first, std::uint64_t count) {
  if (next_ != nullptr) next_->marked(core, first, count);
}
void Watch::unmarking(cpu::Core& core, Pfn first, std::uint64_t count) {
  if (next_ != nullptr) next_->unmarking(core, first, count);
}
void Watch::flushing(cpu::Core& core, kernel::FlushSite site) {
  if (next_ != nullptr) next_->flushing(core, site);
}
void Watch::handling(cpu::Core& core) {
  if (next_ != nullptr) next_->handling(core);
}
void Watch::switching(cpu::Core& core) {
  if (next_ != nullptr) next_->switching(core);
}
void Watch::generation_flushed(cpu::Core& core) {
  if (next_ != nullptr) next_->generation_flushed(core);
}

void Watch::begun(const kernel::Span& span) {
  if (next_ != nullptr) next_->begun(span);
  tell(span.core(), [&](Listener& to, Time now) { to.begun(span, now); });
}

void Watch::ending(const kernel::Span& span) {
  if (next_ != nullptr) next_->ending(span);
  tell(span.core(), [&](Listener& to, Time now) { to.ending(span, now); });
}

}  // namespace kpksim::watch
