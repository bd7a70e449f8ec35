// When strikes fall, and from where.

#include <algorithm>
#include <utility>

#include "sim/attack/course.h"
#include "sim/base/error.h"
#include "sim/kernel/object/keyed_classes.h"

namespace kpksim::attack {

void Course::watch() {
  kernel::System& system = kernel_->system();
  occasions_.marking = [this](cpu::Core& core, std::optional<Pfn> page) {
    marked_[core.id()] = page;
  };
  occasions_.before_mark = [this](cpu::Core& core) { occasion(When::kMarking, core); };
  occasions_.after_unmark = [this](cpu::Core& core) { occasion(When::kUnmarking, core); };
  occasions_.window_opened = [this](cpu::Core& core, const kernel::Target& target) {
    occasion(When::kWindow, core,
             [&](const Strike& strike) { return is_for(target, strike.page); });
  };
  // A window is short beside the steps between two points where the order of cores matters. So its
  // beginning, its end and the stores in it are such points, too: a core that is ahead of the
  // moment would else stand in a window that it opens later.
  occasions_.window_opening = occasions_.window_closing = [](cpu::Core& core) { core.turn(); };
  occasions_.exception_saved = [this](cpu::Core& core, std::uint64_t& saved) {
    if (has_key_register_) {
      occasion(
          When::kException, core, [](const Strike&) { return true; },
          [&](const Strike& strike) { saved = strike.value.number; });
    }
  };
  system.flush.watch([this](cpu::Core& core, kernel::FlushSite site, kernel::FlushMoment m) {
    const bool issued = m == kernel::FlushMoment::kOutstanding;
    occasion(issued ? When::kOutstanding : When::kFlush, core,
             [&](const Strike& strike) { return !strike.site || *strike.site == site; });
  });
  const bool stores =
      std::any_of(scenario_.strikes.begin(), scenario_.strikes.end(), [this](const Strike& s) {
        return s.when == When::kStore || (pending_ && s.from == From::kOtherCore);
      });
  if (stores) {
    system.tables.watch_stores([this](cpu::Core& core, PhysAddr) {
      core.turn();
      occasion(When::kStore, core);
    });
  }
  if (system.classes) watch_classes();
}

void Course::watch_classes() {
  kernel::KeyedClasses& classes = *kernel_->system().classes;
  classes.at_each_entry([this](cpu::Core& core, std::size_t context) {
    occasion(When::kContext, core, [&](const Strike& s) { return s.context == context; });
  });
  classes.at_each_sleep([this](cpu::Core& core, std::size_t context, pkrs::KeyRegister* saved) {
    occasion(
        When::kAsleep, core, [&](const Strike& s) { return s.context == context; },
        [&](const Strike& strike) {
          if (saved != nullptr) saved->set_word(0, strike.value.number);
        });
  });
}

// A window for the page itself: where others open more, it is among them. One for a page that is
// not there yet is no occasion.
bool Course::is_for(const kernel::Target& target, const PageRef& page) const {
  if (target.begin() == target.end()) return true;
  try {
    return target.has(pages_->page(page));
  } catch (const InputError&) {
    return false;
  }
}

// One has come on `core`: each strike of this phase that waits for it and `fits` counts it, and
// falls when it is its turn. What a strike itself sets off is none. `save` changes what is saved.
template <class Fits, class Save>
void Course::occasion(When when, cpu::Core& core, Fits&& fits, Save&& save) {
  if (!running_ || striking(core)) return;
  for (const Strike& strike : scenario_.strikes) {
    if (strike.phase != phase_ || strike.when != when) continue;
    // On the core itself that is to strike it is none.
    if (pending_ && strike.from == From::kOtherCore && other_core(strike, core) == core.id()) {
      continue;
    }
    in_place(strike.at, [&] {
      pages_->marked = marked_[core.id()];
      if (!fits(strike) || ++seen_[&strike] != nth(strike)) return;
      if (strike.each != 0) fell_ = true;
      striking(core) = true;
      if (strike.primitive == Primitive::kSetSaved) save(strike);
      from(strike, core);
      striking(core) = false;
    });
    pages_->marked.reset();
  }
}
template <class Fits>
void Course::occasion(When when, cpu::Core& core, Fits&& fits) {
  occasion(when, core, fits, [](const Strike&) {});
}
void Course::occasion(When when, cpu::Core& core) {
  occasion(when, core, [](const Strike&) { return true; });
}

// Which core strikes while `core` is struck: that of the strike's task, or any other.
unsigned Course::other_core(const Strike& strike, const cpu::Core& core) {
  if (strike.task == 0) return core.id() == 0 ? 1 : 0;
  return kernel_->alive(strike.task) ? kernel_->cpu_of(strike.task) : core.id();
}

void Course::from(const Strike& strike, cpu::Core& core) {
  switch (strike.from) {
    case From::kCode:
      return blow(strike, core);
    case From::kOtherCore: {
      if (pending_) {
        strokes_->check(strike);
        return pending_->add({&strike, other_core(strike, core), core.time(), marked_[core.id()]},
                             core);
      }
      cpu::Core& other = strike.task != 0
                             ? core_of(strike.task)
                             : kernel_->system().machine.core(other_core(strike, core));
      if (&other == &core) throw InputError("the task runs on the core that is struck then");
      return blow(strike, other);
    }
    case From::kInterrupt:
      return from_interrupt(strike, core);
  }
}

void Course::from_interrupt(const Strike& strike, cpu::Core& core) {
  kernel::Protection& protection = *kernel_->system().protection;
  const unsigned level = core.level();
  core.continue_at(1);
  core.take_exception();
  const std::uint64_t saved = protection.exception_entry(core);
  {
    const kernel::InterruptContext handler(kernel_->system().tables);
    blow(strike, core);
  }
  protection.exception_return(core, saved);
  core.eret(1);
  core.continue_at(level);
}

// The striking core has got to the moment, or is beyond it by the rest of a step. What was there at
// the moment may be gone by then.
void Course::fall(const Pending::Due& due, cpu::Core& core) {
  const Strike& strike = *due.strike;
  Blow late{strike.text};
  const std::uint64_t now = core.time();
  std::optional<Blow> met;
  striking(core) = true;
  pages_->marked = due.marked;
  try {
    met = strokes_->strike(strike, core);
  } catch (const InputError&) {
    met = late;
  }
  pages_->marked.reset();
  striking(core) = false;
  if (!met) return;
  met->moment = due.moment;
  met->fell = now;
  add(std::move(*met), core);
}

void Course::blow(const Strike& strike, cpu::Core& core) {
  auto met = strokes_->strike(strike, core);
  if (met) add(std::move(*met), core);
}

void Course::add(Blow met, cpu::Core& core) {
  if (audience_ != nullptr) audience_->struck(core, met);
  verdict_.blows.push_back(std::move(met));
}

cpu::Core& Course::context(const Strike& strike) {
  return strike.task != 0 ? core_of(strike.task) : kernel_->system().machine.core(0);
}
cpu::Core& Course::core_of(std::uint32_t task) {
  if (!strokes_->root_forged()) kernel_->switch_to(task);
  return kernel_->system().machine.core(kernel_->cpu_of(task));
}

}  // namespace kpksim::attack
