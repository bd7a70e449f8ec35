#include "sim/kernel/pgtable.h"

#include <fmt/core.h>

#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/protect/soft_mode.h"

namespace kpksim::kernel {

std::uint64_t PageTables::read(cpu::Core& core, PhysAddr entry) {
  const auto slow = [&] { return read_slow(core, entry); };
  return reads_apart_ ? slow() : core.load_word(linear_va(entry), slow);
}

std::uint64_t PageTables::read_slow(cpu::Core& core, PhysAddr entry) {
  if (hides_ && !is_open(frame_of(entry))) [[unlikely]]
    return read_hidden(core, entry);
  const cpu::LoadResult result = core.load64(pointer_to(core, entry));
  if (result.fault)
    throw KernelOops(fmt::format("load of {:#x} refused", entry.value), result.fault);
  core.touch_line(entry);
  return result.value;
}

// A mechanism that changes the linear map does so with page-table writes of its own: a lazy MMU
// section pauses meanwhile (lazy_mmu_mode_pause()).
std::uint64_t PageTables::begin_paused(cpu::Core& core, const Target& target) {
  if (taps_.observer != nullptr) taps_.observer->window_opening(core, target);
  const bool lazy = std::exchange(now_.lazy, false);
  const bool pending = std::exchange(now_.barriers_pending, false);
  const std::uint64_t before = protection_.open(core, target);
  now_.lazy = lazy;
  now_.barriers_pending |= pending;
  return before;
}

void PageTables::end_paused(cpu::Core& core, const Target& target, std::uint64_t before,
                            bool synchronised) {
  const bool lazy = std::exchange(now_.lazy, false);
  const bool pending = std::exchange(now_.barriers_pending, false);
  protection_.close(core, target, before, synchronised);
  now_.lazy = lazy;
  now_.barriers_pending |= pending;
}

// pte_offset_map() without a lock: it maps the table too, as it does where tables are in highmem.
std::uint64_t PageTables::read_hidden(cpu::Core& core, PhysAddr entry) {
  const Window mapped(*this, core, frame_of(entry));
  return read(core, entry);
}

VirtAddr PageTables::watched_pointer(cpu::Core& core, PhysAddr entry) const {
  if (store_watcher_) store_watcher_(core, entry);
  return protection_.pointer_to(core, linear_va(entry));
}

// Quick where nobody looks on and the pointer is that of the linear map.
void PageTables::store(cpu::Core& core, PhysAddr entry, std::uint64_t value, bool atomic) {
  const bool quick = taps_.observer == nullptr && !own_pointers_;
  if (!quick || !core.store_word(linear_va(entry), value)) [[unlikely]]
    return store_slow(core, entry, value, atomic);
  ++writes_;
  if (atomic) return core.atomic(entry);
  core.touch_line(entry);
}

void PageTables::store_slow(cpu::Core& core, PhysAddr entry, std::uint64_t value, bool atomic) {
  if (taps_.observer != nullptr) [[unlikely]]
    taps_.observer->writing(core, entry, value);
  const mmu::Fault fault = core.store64(store_pointer(core, entry), value);
  core.touch_line(entry);
  if (atomic) core.atomic(entry);
  ++writes_;
  if (fault) [[unlikely]]
    refused(core, entry, value, fault);
}

void PageTables::refused(cpu::Core& core, PhysAddr entry, std::uint64_t value,
                         const mmu::Fault& fault) {
  if (let_pass(core, fault) && !core.store64(pointer_to(core, entry), value)) return;
  throw KernelOops(fmt::format("store to {:#x} refused", entry.value), fault);
}

// The fault is an exception from EL1, whose handler is in no window and no lazy MMU section.
bool PageTables::let_pass(cpu::Core& core, const mmu::Fault& fault) {
  if (soft_ == nullptr || !soft_->detects(fault)) return false;
  const unsigned level = core.level();
  core.continue_at(1);
  core.take_exception();
  const std::uint64_t saved = protection_.exception_entry(core);
  if (taps_.observer != nullptr) taps_.observer->handling(core);
  {
    const InterruptContext handler(*this);
    soft_->let_pass(core, fault);
  }
  protection_.exception_return(core, saved);
  core.eret(1);
  core.continue_at(level);
  return true;
}

// What a guard itself executes: its look for an open window, and its own window.
inline void PageTables::execute_guard(cpu::Core& core, bool opens) const {
  const auto is = [&](Cause cause) { return core.cause() == static_cast<cpu::CauseId>(cause); };
  const bool handles_fault = is(Cause::kFault) || is(Cause::kCow);
  if (window_ != WindowScope::kEntry) {
    const std::uint64_t none = handles_fault ? options_.fault_section_open : options_.section_open;
    core.execute_guard(now_.lazy ? now_.look : none);
  }
  if (opens) core.execute_guard(handles_fault ? options_.fault_section : options_.section);
}

void PageTables::write(cpu::Core& core, PhysAddr entry, std::uint64_t value, GuardSite guard,
                       bool atomic) {
  const bool opens = window_ && !is_open(frame_of(entry));
  if (window_) execute_guard(core, opens);
  if (!opens) return store(core, entry, value, atomic);
  Open window{Target(frame_of(entry)), 0, guard, !taps_.injector.skips(open_of(guard))};
  if (window.opened) window.before = begin(core, window.target);
  core.turn(cpu::Seen::kByAddressSpace);
  store(core, entry, value, atomic);
  close(core, window, false);
}

// What was never opened has nothing to put back.
void PageTables::close_broken(cpu::Core& core, const Open& window, bool synchronised) {
  if (!window.opened) return;
  taps_.injector.at(core, close_of(window.guard), [this, window, synchronised](cpu::Core& on) {
    end(on, window.target, window.before, synchronised);
  });
}

void PageTables::barriers(cpu::Core& core, FaultSite dsb, FaultSite isb) {
  if (now_.lazy && options_.lazy_barriers) {
    now_.barriers_pending = true;
    return;
  }
  taps_.injector.at(core, dsb, [](cpu::Core& on) { on.dsb_ishst(); });
  taps_.injector.at(core, isb, [](cpu::Core& on) { on.isb(); });
}

void PageTables::set_pte(cpu::Core& core, PhysAddr entry, mmu::Descriptor d, bool kernel_mapping) {
  write(core, entry, d.raw, GuardSite::kSetPte);
  if (kernel_mapping && d.valid()) barriers(core, FaultSite::kDsbSetPte, FaultSite::kIsbSetPte);
}

void PageTables::set_table(cpu::Core& core, PhysAddr entry, mmu::Descriptor d, unsigned level) {
  write(core, entry, d.raw, GuardSite::kSetTable);
  if (d.valid() || level == 0) barriers(core, FaultSite::kDsbSetTable, FaultSite::kIsbSetTable);
}

mmu::Descriptor PageTables::get_and_clear(cpu::Core& core, PhysAddr entry) {
  const mmu::Descriptor old{read(core, entry)};
  write(core, entry, 0, GuardSite::kGetAndClear, true);  // xchg
  return old;
}

void PageTables::exchange(cpu::Core& core, PhysAddr entry, mmu::Descriptor d) {
  write(core, entry, d.raw, GuardSite::kExchange, true);  // cmpxchg
}

void PageTables::update(cpu::Core& core, PhysAddr entry, mmu::Descriptor d) {
  write(core, entry, d.raw, GuardSite::kUpdate);
}

void PageTables::enter_lazy(cpu::Core& core, const Target& target,
                            std::optional<std::uint64_t> instructions) {
  if (now_.interrupt) return;
  if (now_.lazy) {
    // Only what a fault was injected for can come in the middle of a section. One inside another
    // ends it early (arm64's arch_enter_lazy_mmu_mode(): what is left of the outer one is not
    // lazy).
    if (!taps_.injector.active()) throw ModelError("lazy MMU sections do not nest");
    leave_lazy(core);
  }
  if (window_ == WindowScope::kLazy) {
    core.execute(options_.lazy_section);
    open(core, target, GuardSite::kLazy);
  }
  now_.lazy = true;
  look(instructions);
}

void PageTables::leave_lazy(cpu::Core& core) {
  if (now_.interrupt) return;
  if (!std::exchange(now_.lazy, false)) return;  // ended by one inside it
  if (now_.barriers_pending) {
    taps_.injector.at(core, FaultSite::kDsbLazyEnd, [](cpu::Core& on) { on.dsb_ishst(); });
  }
  if (window_ == WindowScope::kLazy) close(core, now_.barriers_pending);
  if (now_.barriers_pending) {
    taps_.injector.at(core, FaultSite::kIsbLazyEnd, [](cpu::Core& on) { on.isb(); });
  }
  now_.barriers_pending = false;
}

}  // namespace kpksim::kernel
