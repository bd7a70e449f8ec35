#include "sim/check/core_watch.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "sim/kernel/cause.h"
#include "sim/mmu/regime.h"

namespace kpksim::check {

using Kind = History::Kind;

void CoreWatch::log(History::Event event) {
  event.core = static_cast<std::uint16_t>(core_.id());
  event.cause = core_.cause();
  sanitizer_.history_.add(event);
}

void CoreWatch::leaf_cached(PhysAddr entry, VirtAddr va, Asid asid, const mmu::Leaf& leaf) {
  check_root(va);
  sanitizer_.leaf_cached(core_, entry, va, asid, leaf);
}

void CoreWatch::table_cached(PhysAddr entry, VirtAddr va, Asid asid, const mmu::WalkState& next) {
  sanitizer_.table_cached(core_, entry, va, asid, next.table);
}

void CoreWatch::judged(VirtAddr va, const mmu::Leaf&, const poe::Access& access) {
  sanitizer_.judged(core_, va, access);
}

void CoreWatch::tlbi(const mmu::TlbiOp& op, const mmu::TlbiEffect& effect,
                     const cpu::CoreSet* only) {
  log({.kind = Kind::kTlbi, .detail = static_cast<std::uint8_t>(op.kind), .effect = effect});
  something_to_wait_for_ = true;
  constexpr std::size_t kKept = 16;
  many_issued_ |= issued_.size() == kKept;
  if (issued_.size() < kKept) issued_.push_back(effect);
  sanitizer_.tlbi(core_, effect);
  if (effect.stages != mmu::TlbiStages::kFirst && std::exchange(stage2_unpublished_, false)) {
    sanitizer_.report_.add(Rule::kMissingDsb, core_,
                           "a TLBI of stage 2 is issued, and no DSB has published the write before",
                           [this] { return sanitizer_.history_.of_barriers(core_.id()); });
  }
  if (effect.stages == mmu::TlbiStages::kFirst) hint_reach(op, effect, only);
}

// What the TLBs certainly do not hold (mmu::Presence) need not be invalidated there.
void CoreWatch::hint_reach(const mmu::TlbiOp& op, const mmu::TlbiEffect& effect,
                           const cpu::CoreSet* only) {
  cpu::Machine& machine = core_.machine();
  const bool broadcast = op.domain != mmu::Domain::kLocal && !sanitizer_.x86_;
  bool here = core_.mmu().may_hold(effect), elsewhere = false;
  for (unsigned c = 0; broadcast && c < machine.core_count() && !elsewhere; ++c) {
    if (c == core_.id() || (only != nullptr && !only->has(c))) continue;
    elsewhere = machine.core(c).mmu().may_hold(effect);
  }
  const std::string_view name = mmu::info(op.kind).name;
  const auto nothing = [] { return std::vector<std::string>(); };
  if (!here && !elsewhere) {
    sanitizer_.report_.add(Rule::kUselessTlbi, core_, fmt::format("TLBI {}", name), nothing);
  } else if (broadcast && !elsewhere && machine.core_count() > 1) {
    sanitizer_.report_.add(Rule::kWideTlbi, core_,
                           fmt::format("TLBI {} on all cores, which none but its own needs", name),
                           nothing);
  }
}

void CoreWatch::before_barrier(cpu::Barrier barrier) {
  if (barrier == cpu::Barrier::kIsb) {
    if (register_pending_) log({.kind = Kind::kIsb, .detail = static_cast<std::uint8_t>(barrier)});
    synchronised();
    return;
  }
  stage2_unpublished_ = false;
  log({.kind = Kind::kDsb, .detail = static_cast<std::uint8_t>(barrier)});
  if (!something_to_wait_for_) {
    sanitizer_.report_.add(Rule::kDoubledBarrier, core_,
                           "DSB after which no page table was written and no TLBI issued",
                           [] { return std::vector<std::string>(); });
  }
}

void CoreWatch::after_barrier(cpu::Barrier barrier) {
  if (barrier == cpu::Barrier::kIsb) return;
  // A DSB ISHST does not wait for TLBIs.
  waited_ = core_.outstanding_tlbis() == 0 && (many_issued_ || !issued_.empty());
  something_to_wait_for_ = core_.outstanding_tlbis() != 0;
  if (!unpublished_.empty()) {
    unsynchronised_.insert(unsynchronised_.end(), unpublished_.begin(), unpublished_.end());
    unpublished_.clear();
  }
  sanitizer_.dsb(core_);
}

bool CoreWatch::may_have_dropped(const mmu::CachedRange& range, bool table) const {
  if (many_issued_) return true;
  return std::any_of(issued_.begin(), issued_.end(), [&](mmu::TlbiEffect effect) {
    effect.ttl_level = effect.granule_shift = 0;
    return table ? effect.drops_table(range) : effect.drops_leaf(range);
  });
}

void CoreWatch::forget_tlbis() {
  issued_.clear();
  many_issued_ = false;
}

void CoreWatch::synchronised() {
  register_pending_ = false;
  unsynchronised_.clear();
  ttbr0_ = core_.mmu().registers().ttbr0;
}

// A walk of the lower half begins at a TTBR0_EL1 that no ISB has put in force.
void CoreWatch::check_root(VirtAddr va) {
  if (sanitizer_.x86_ || mmu::upper_half(va)) return;
  const std::uint64_t now = core_.mmu().registers().ttbr0;
  if (std::exchange(ttbr0_, now) == now) return;
  sanitizer_.report_.add(
      Rule::kMissingIsb, core_,
      fmt::format("a walk begins at a TTBR0_EL1 that no ISB has put in force: for {:#x}", va.value),
      [this] { return sanitizer_.history_.of_register(core_.id()); });
}

void CoreWatch::register_written() {
  const std::uint64_t value = core_.written_por_el1();
  log({.kind = Kind::kRegister, .now = value});
  const auto tell = [this] { return sanitizer_.history_.of_register(core_.id()); };
  if (value != last_context_) {
    if (!sanitizer_.system_.protection->is_context(value)) {
      sanitizer_.report_.add(Rule::kNoContext, core_,
                             fmt::format("the key register is no context: {:#x}", value), tell);
    }
    last_context_ = value;
  }
  if (sanitizer_.x86_) return;
  if (register_pending_) {
    sanitizer_.report_.add(
        Rule::kMissingIsb, core_,
        "the key register is written again, and no ISB has put the first value in force", tell);
  }
  register_pending_ = value != core_.mmu().registers().por_el1;
}

void CoreWatch::check_window(const char* where) {
  const std::uint64_t in_force = core_.mmu().registers().por_el1, rest = core_.at_rest().por_el1;
  if (core_.written_por_el1() == rest && in_force == rest && !core_.wp_is_open()) return;
  sanitizer_.report_.add(
      Rule::kOpenWindow, core_,
      fmt::format("a window is open {}: the key register has {:#x}", where, in_force),
      [this] { return sanitizer_.history_.of_register(core_.id()); });
}

void CoreWatch::exception(unsigned from_el) {
  log({.kind = Kind::kException, .now = from_el});
  synchronised();
}

void CoreWatch::eret(unsigned to_el) {
  log({.kind = Kind::kReturn, .now = to_el});
  if (std::uncaught_exceptions() != 0) return;  // the simulated kernel has died on the way here
  const auto tell = [this] { return sanitizer_.history_.of_register(core_.id()); };
  if (to_el == 0) {
    if (register_pending_) {
      sanitizer_.report_.add(Rule::kMissingIsb, core_,
                             "no ISB has put the key register in force up to the return to EL0",
                             tell);
    }
    if (core_.written_por_el1() != core_.at_rest().por_el1 || core_.wp_is_open()) {
      check_window("at the return to EL0");
    }
    sanitizer_.returning(core_);
  }
  synchronised();
}

void CoreWatch::writing(bool depends, PhysAddr entry) {
  something_to_wait_for_ = true;
  if (depends && !sanitizer_.x86_) unpublished_.push_back(entry);
  if (!register_pending_) return;
  sanitizer_.report_.add(Rule::kMissingIsb, core_,
                         "a page table is written before the ISB of the key register",
                         [this] { return sanitizer_.history_.of_register(core_.id()); });
  register_pending_ = false;  // once for each write of the register
}

// Its entries must be there for walkers who come from what was live before it.
void CoreWatch::hooking(Pfn table, bool live) {
  if (!live || sanitizer_.x86_) return;
  const auto of_table = [&](PhysAddr entry) { return frame_of(entry) == table; };
  const auto at = std::find_if(unpublished_.rbegin(), unpublished_.rend(), of_table);
  if (at == unpublished_.rend()) return;
  sanitizer_.report_.add(
      Rule::kMissingDsb, core_,
      fmt::format("a table is hooked in, and no DSB has published its entries: {:#x}",
                  address_of(table).value),
      [&] { return sanitizer_.history_.of_entry(*at, VirtAddr(0), Asid(0)); });
}

void CoreWatch::check_published(const cpu::Core& walker, PhysAddr entry, VirtAddr va) {
  const auto has = [&](const std::vector<PhysAddr>& list) {
    return std::find(list.begin(), list.end(), entry) != list.end();
  };
  const auto tell = [&] { return sanitizer_.history_.of_entry(entry, va, Asid(0)); };
  // A core that runs at the same time may find what this one has stored and is about to publish.
  const bool about_to = &walker != &core_ && sanitizer_.system_.interleaving && core_.level() != 0;
  if (has(unpublished_) && !about_to) {
    sanitizer_.report_.add(
        Rule::kMissingDsb, walker,
        fmt::format("a walk needs a descriptor that no DSB has published: for {:#x}", va.value),
        tell);
  } else if (&walker == &core_ && has(unsynchronised_)) {
    sanitizer_.report_.add(
        Rule::kMissingIsb, walker,
        fmt::format("a walk needs a descriptor before the ISB behind its DSB: for {:#x}", va.value),
        tell);
  }
}

}  // namespace kpksim::check
