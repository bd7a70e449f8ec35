#include "sim/attack/battle.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "sim/attack/pages.h"
#include "sim/attack/strokes.h"
#include "sim/attack/struck.h"
#include "sim/base/error.h"
#include "sim/kernel/object/keyed_classes.h"
#include "sim/mmu/at.h"

namespace kpksim::attack {
namespace {

using kernel::Kernel;

// A strike cannot be done: the place is in the message.
class StrikeError : public InputError {
 public:
  using InputError::InputError;
};

constexpr std::uint64_t kTried = 20480;  // pages from a region's start on: 80 MB

bool refuses(const kernel::Config& config, bool (*such)(const kernel::Refusal&)) {
  const auto& info = kernel::Protections::find(config.policy.protection.name, "protection");
  return std::any_of(info.refuses.begin(), info.refuses.end(), such);
}
bool uses_tags(const kernel::Config& config) {
  return refuses(config,
                 [](const kernel::Refusal& r) { return r.kind == mmu::FaultKind::kTagCheck; });
}
bool uses_keys(const kernel::Config& config) {
  return refuses(config, [](const kernel::Refusal& r) { return r.overlay; });
}
// How many tags page tables' are drawn from.
std::uint64_t tags_of(const kernel::Config& config) {
  const kernel::Part& part = config.policy.protection;
  const auto& info = kernel::Protections::find(part.name, "protection");
  return Parameters(part.name, info.parameters, part.parameters).number("tags");
}

// The scenario's classes under this policy. A protection without keys runs the same accesses to
// pages without any. One with keys must be able to give them to classes: false, if the model's
// cannot.
bool add_classes(const Scenario& scenario, kernel::Config& config) {
  if (!scenario.classes) return true;
  kernel::ClassPlan plan = *scenario.classes;
  plan.unprotected = !uses_keys(config);
  config.classes = std::make_shared<const kernel::ClassPlan>(std::move(plan));
  if (config.classes->unprotected) return true;
  try {
    kernel::check(config);
  } catch (const InputError&) {
    return false;
  }
  return true;
}

class Battle {
 public:
  // `tags`: how they fall; `point`: which occasion it is for a strike that takes turns.
  Battle(const Scenario& scenario, const cpu::CoreProfile& core,
         const kernel::KernelProfile& profile, kernel::Config config, const TagDraw& tags,
         std::uint64_t point)
      : scenario_(scenario), point_(point), has_key_register_(uses_keys(config)) {
    verdict_.x86 = core.architecture == cpu::Architecture::kX86;
    config.credentials = scenario.credentials;
    config.injections.insert(config.injections.end(), scenario.injections.begin(),
                             scenario.injections.end());
    // Who has something around the protection already is inside.
    config.around = [this, given = config.around](std::unique_ptr<kernel::Protection> inner) {
      if (given) inner = given(std::move(inner));
      return std::make_unique<Struck>(std::move(inner), occasions_);
    };
    kernel_.emplace(core, profile, config);
    execution_.emplace(*kernel_);
    pages_.emplace(*kernel_, *execution_);
    strokes_.emplace(*kernel_, *pages_, tags);
    execution_->begin(scenario.workload);
    watch();
  }

  void show(Audience& audience) {
    audience_ = &audience;
    audience.begin(*kernel_);
    run();
    audience.end();
  }

  Verdict run() {
    try {
      for (phase_ = 0; phase_ < scenario_.workload.phases.size(); ++phase_) {
        if (audience_ != nullptr) audience_->phase(scenario_.workload.phases[phase_].name);
        running_ = true;
        steps(scenario_.workload.phases[phase_].steps);
        running_ = false;
        after_phase();
        if (!verdict_.ended.empty()) break;
      }
      verdict_.outcome = outcome();
    } catch (const kernel::KernelOops& oops) {
      Blow dead{"the kernel's own code", oops.fault};
      dead.happened = true;
      verdict_.blows.push_back(dead);
      verdict_.oops = true;
      verdict_.outcome = changed() ? Outcome::kSucceeded : Outcome::kStoppedByFault;
    }
    verdict_.tag_tried = strokes_->tag_tried();
    return std::move(verdict_);
  }
  bool fell() const { return fell_; }  // the strike that takes turns

 private:
  // A task whose root is forged runs on by that one. The kernel's fault handler knows of the other
  // alone and does not help it: the first access that the forged tables do not allow is its last.
  void steps(const std::vector<workload::Step>& list) {
    for (const workload::Step& step : list) {
      for (std::uint64_t i = 0; i < step.repeat && verdict_.ended.empty(); ++i) {
        if (!step.body.empty()) {
          steps(step.body);
          continue;
        }
        try {
          execution_->execute(step.op);
        } catch (const StrikeError&) {
          throw;
        } catch (const InputError& e) {
          const std::string what =
              fmt::format("{}:{}: {}", scenario_.workload.source, step.op.line, e.what());
          if (!strokes_->root_forged()) throw InputError(what);
          verdict_.ended = what;
          return;
        }
      }
    }
  }

  void after_phase() {
    for (const Strike& strike : scenario_.strikes) {
      if (strike.phase != phase_) continue;
      if (strike.when == When::kAtRest) {
        in_place(strike.at, [&] { blow(strike, context(strike)); });
      } else if (seen_[&strike] < nth(strike)) {
        verdict_.blows.push_back({strike.text});
      }
    }
  }

  // --- occasions ------------------------------------------------------------------------------
  void watch() {
    kernel::System& system = kernel_->system();
    occasions_.marking = [this](std::optional<Pfn> page) { pages_->marked = page; };
    occasions_.before_mark = [this](cpu::Core& core) { occasion(When::kMarking, core); };
    occasions_.after_unmark = [this](cpu::Core& core) { occasion(When::kUnmarking, core); };
    occasions_.window_opened = [this](cpu::Core& core, const kernel::Target& target) {
      occasion(When::kWindow, core,
               [&](const Strike& strike) { return is_for(target, strike.page); });
    };
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
    const bool stores = std::any_of(scenario_.strikes.begin(), scenario_.strikes.end(),
                                    [](const Strike& s) { return s.when == When::kStore; });
    if (stores) {
      system.tables.watch_stores(
          [this](cpu::Core& core, PhysAddr) { occasion(When::kStore, core); });
    }
    if (!system.classes) return;
    system.classes->at_each_entry([this](cpu::Core& core, std::size_t context) {
      occasion(When::kContext, core, [&](const Strike& s) { return s.context == context; });
    });
    system.classes->at_each_sleep(
        [this](cpu::Core& core, std::size_t context, pkrs::KeyRegister* saved) {
          occasion(
              When::kAsleep, core, [&](const Strike& s) { return s.context == context; },
              [&](const Strike& strike) {
                if (saved != nullptr) saved->set_word(0, strike.value.number);
              });
        });
  }

  // A window for the page itself: where others open more, it is among them. One for a page that is
  // not there yet is no occasion.
  bool is_for(const kernel::Target& target, const PageRef& page) const {
    if (target.begin() == target.end()) return true;
    try {
      return target.has(pages_->page(page));
    } catch (const InputError&) {
      return false;
    }
  }

  std::uint64_t nth(const Strike& strike) const { return strike.each != 0 ? point_ : strike.nth; }

  // One has come on `core`: each strike of this phase that waits for it and `fits` counts it, and
  // falls when it is its turn. What a strike itself sets off is none. `save` changes what is saved.
  template <class Fits, class Save>
  void occasion(When when, cpu::Core& core, Fits&& fits, Save&& save) {
    if (!running_ || striking_) return;
    for (const Strike& strike : scenario_.strikes) {
      if (strike.phase != phase_ || strike.when != when) continue;
      in_place(strike.at, [&] {
        if (!fits(strike) || ++seen_[&strike] != nth(strike)) return;
        striking_ = true;
        if (strike.each != 0) fell_ = true;
        if (strike.primitive == Primitive::kSetSaved) save(strike);
        from(strike, core);
        striking_ = false;
      });
    }
  }
  template <class Fits>
  void occasion(When when, cpu::Core& core, Fits&& fits) {
    occasion(when, core, fits, [](const Strike&) {});
  }
  void occasion(When when, cpu::Core& core) {
    occasion(when, core, [](const Strike&) { return true; });
  }

  void from(const Strike& strike, cpu::Core& core) {
    kernel::Protection& protection = *kernel_->system().protection;
    switch (strike.from) {
      case From::kCode:
        return blow(strike, core);
      case From::kOtherCore: {
        cpu::Core& other = strike.task != 0
                               ? core_of(strike.task)
                               : kernel_->system().machine.core(core.id() == 0 ? 1 : 0);
        if (&other == &core) throw InputError("the task runs on the core that is struck then");
        return blow(strike, other);
      }
      case From::kInterrupt: {
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
    }
  }

  void blow(const Strike& strike, cpu::Core& core) {
    auto met = strokes_->strike(strike, core);
    if (!met) return;
    if (audience_ != nullptr) audience_->struck(core, *met);
    verdict_.blows.push_back(std::move(*met));
  }
  // What cannot be done is told with the strike's place.
  template <class Do>
  static void in_place(const std::string& at, Do&& act) {
    try {
      act();
    } catch (const InputError& e) {
      throw StrikeError(fmt::format("{}: {}", at, e.what()));
    }
  }

  cpu::Core& context(const Strike& strike) {
    return strike.task != 0 ? core_of(strike.task) : kernel_->system().machine.core(0);
  }
  cpu::Core& core_of(std::uint32_t task) {
    if (!strokes_->root_forged()) kernel_->switch_to(task);
    return kernel_->system().machine.core(kernel_->cpu_of(task));
  }

  // --- the verdict -----------------------------------------------------------------------------
  Outcome outcome() {
    if (scenario_.goal.kind == Goal::Kind::kChange ? changed() : reached()) {
      return Outcome::kSucceeded;
    }
    const auto& blows = verdict_.blows;
    if (std::any_of(blows.begin(), blows.end(), [](const Blow& b) { return bool(b.fault); })) {
      return Outcome::kStoppedByFault;
    }
    if (std::any_of(blows.begin(), blows.end(), [](const Blow& b) { return !b.happened; })) {
      return Outcome::kNoOccasion;
    }
    const bool any_table =
        std::any_of(blows.begin(), blows.end(), [](const Blow& b) { return b.on_table; });
    if (any_table) return Outcome::kNoEffect;
    const bool any_freed =
        std::any_of(blows.begin(), blows.end(), [](const Blow& b) { return b.on_freed_table; });
    return any_freed ? Outcome::kFreedTable : Outcome::kStoppedByAllocator;
  }

  bool changed() {
    const Goal& goal = scenario_.goal;
    if (goal.kind != Goal::Kind::kChange) return false;
    std::optional<Strokes::Change> change;
    in_place(goal.at, [&] { change = strokes_->change_in(pages_->find(goal.page)); });
    if (!change) return false;
    verdict_.proof = fmt::format("the word at {:#x}, of {}, has been written: {:#x}",
                                 change->word.value, goal.page.text, change->value);
    return true;
  }

  bool reached() {
    const Goal& goal = scenario_.goal;
    Pfn page(0);
    VirtAddr start{};
    in_place(goal.at, [&] {
      page = pages_->page(goal.page);
      // A table that maps a part of the region maps what lies beside it too.
      start = VirtAddr(align_down(pages_->place(goal.task, goal.region, 0).value, kPmdSize));
      const auto alive = kernel_->alive_tasks();
      if (std::find(alive.begin(), alive.end(), goal.task) == alive.end()) {
        throw InputError(fmt::format("'{}' has exited by then", goal.task_name));
      }
    });
    cpu::Core& core = core_of(goal.task);
    for (std::uint64_t i = 0; i < kTried; ++i) {
      const VirtAddr va = start + i * kPageSize;
      const std::uint64_t par = mmu::par_of(core.mmu(), mmu::AtOp::kS1E0W, va, false);
      if (mmu::par::kF.get(par) != 0) continue;
      const Pfn frame(mmu::par::kPa.get(par));
      if (frame != page || core.user_access(va, poe::AccessKind::kWrite)) continue;
      verdict_.proof =
          fmt::format("EL0 of '{}' writes {:#x}, {}, at its address {:#x} in '{}'", goal.task_name,
                      address_of(frame).value, goal.page.text, va.value, goal.region_name);
      return true;
    }
    return false;
  }

  const Scenario& scenario_;
  const std::uint64_t point_;
  const bool has_key_register_;
  Occasions occasions_;
  std::optional<Kernel> kernel_;
  std::optional<workload::Execution> execution_;
  std::optional<Pages> pages_;
  std::optional<Strokes> strokes_;
  std::map<const Strike*, std::uint64_t> seen_;  // occasions
  std::size_t phase_ = 0;
  bool running_ = false, striking_ = false, fell_ = false;
  Audience* audience_ = nullptr;
  Verdict verdict_;
};

// A strike that takes turns falls at each of its points, each time in a run of its own. The verdict
// is that of the first point at which it succeeds.
Verdict every_point(const Scenario& scenario, const cpu::CoreProfile& core,
                    const kernel::KernelProfile& profile, const kernel::Config& config,
                    const TagDraw& tags) {
  std::uint64_t points = 1;
  const auto turns = std::find_if(scenario.strikes.begin(), scenario.strikes.end(),
                                  [](const Strike& s) { return s.each != 0; });
  const bool takes_turns = turns != scenario.strikes.end();
  if (takes_turns) points = turns->each;
  std::optional<Verdict> worst;
  std::uint64_t fell = 0, succeeded = 0;
  bool tag_tried = false;
  for (std::uint64_t point = 1; point <= points; ++point) {
    Battle battle(scenario, core, profile, config, tags, point);
    Verdict one = battle.run();
    if (takes_turns && !battle.fell()) {
      if (!worst) worst = std::move(one);
      break;
    }
    ++fell;
    tag_tried |= one.tag_tried;
    const bool success = one.outcome == Outcome::kSucceeded;
    succeeded += success ? 1 : 0;
    if (!worst || (success && worst->outcome != Outcome::kSucceeded)) {
      worst = std::move(one);
      worst->point = point;
    }
  }
  worst->tag_tried = tag_tried;
  if (takes_turns) {
    worst->points = fell;
    worst->points_succeeded = succeeded;
  }
  return std::move(*worst);
}

}  // namespace

const std::vector<std::string>& usual_policies() {
  static const std::vector<std::string> policies = {"none,buddy,pte",
                                                    "kpkeys-poe,per-page,pte",
                                                    "kpkeys-poe,pba,block",
                                                    "kpkeys-poe+lazy,pba,block",
                                                    "kpkeys-poe+lock,per-page,pte",
                                                    "rodata-toggle,per-page,pte",
                                                    "unmap-leaf,per-page,pte",
                                                    "mte,per-page,pte",
                                                    "kpkeys-poe+mte,per-page,pte",
                                                    "hypervisor,per-page,pte",
                                                    "hypervisor-window,per-page,pte",
                                                    "kpkeys-poe:cred=on,pba,block"};
  return policies;
}

Verdict fight(const Scenario& scenario, const cpu::CoreProfile& core,
              const kernel::KernelProfile& profile, const kernel::Config& given,
              const Draws& draws) {
  kernel::Config config = given;
  if (!add_classes(scenario, config)) {
    Verdict none;
    none.outcome = Outcome::kNotModelled;
    return none;
  }
  if (!uses_tags(config)) return every_point(scenario, core, profile, config, {});
  // Whoever has the right tag gets at least as far as with any other: where that is stopped, no
  // draw decides anything. Else they are made at the point where it succeeds.
  TagDraw tags{.kind = TagDraw::Kind::kLuckiest,
               .tags = tags_of(config),
               .tagged_objects = draws.tagged_objects};
  Verdict known = every_point(scenario, core, profile, config, tags);
  if (!known.tag_tried || known.outcome != Outcome::kSucceeded) return known;
  tags.kind = TagDraw::Kind::kDrawn;
  std::mt19937_64 random(draws.seed);
  std::optional<Verdict> out;
  unsigned successes = 0;
  for (unsigned draw = 0; draw < draws.count; ++draw) {
    config.policy.protection.parameters["seed"] = std::to_string(random() % (1u << 30));
    tags.guess = mmu::MemoryTag(static_cast<std::uint8_t>(random() % tags.tags));
    tags.seed = draws.seed + draw;
    Verdict one = Battle(scenario, core, profile, config, tags, known.point).run();
    const bool success = one.outcome == Outcome::kSucceeded;
    successes += success ? 1 : 0;
    if (!out || (success && out->outcome != Outcome::kSucceeded)) out = std::move(one);
  }
  out->points = known.points;
  out->points_succeeded = known.points_succeeded;
  out->point = known.point;
  out->draws = draws.count;
  out->successes = successes;
  return std::move(*out);
}

void replay(const Scenario& scenario, const cpu::CoreProfile& core,
            const kernel::KernelProfile& profile, const kernel::Config& given, const Draws& draws,
            std::uint64_t point, Audience& audience) {
  kernel::Config config = given;
  if (!add_classes(scenario, config)) return;
  TagDraw tags;
  if (uses_tags(config)) {
    tags = {.kind = TagDraw::Kind::kLuckiest,
            .tags = tags_of(config),
            .tagged_objects = draws.tagged_objects};
  }
  Battle(scenario, core, profile, config, tags, point).show(audience);
}

}  // namespace kpksim::attack
