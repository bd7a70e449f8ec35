#include "sim/attack/course.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "sim/base/error.h"

namespace kpksim::attack {
namespace {

constexpr std::uint64_t kTried = 20480;  // pages from a region's start on: 80 MB

constexpr poe::Access kEl0Write{poe::AccessKind::kWrite, 0, false};

// The workload goes no further: it ran by a forged root.
struct Ended {};

}  // namespace

Course::Course(const Scenario& scenario, const cpu::CoreProfile& core,
               const kernel::KernelProfile& profile, kernel::Config config, const Draw& draw)
    : scenario_(scenario), point_(draw.point), has_key_register_(draw.has_key_register) {
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
  strokes_.emplace(*kernel_, *pages_, draw.tags);
  if (config.interleave) {
    pending_.emplace(kernel_->system().interleaving->locks.interleaver(),
                     [this](const Pending::Due& due, cpu::Core& on) { fall(due, on); });
  }
  execution_->begin(scenario.workload);
  watch();
}

void Course::show(Audience& audience) {
  audience_ = &audience;
  audience.begin(*kernel_);
  run();
  audience.end();
}

Verdict Course::run() {
  try {
    for (phase_ = 0; phase_ < scenario_.workload.phases.size(); ++phase_) {
      if (audience_ != nullptr) audience_->phase(scenario_.workload.phases[phase_].name);
      running_ = true;
      phase(scenario_.workload.phases[phase_].steps);
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

void Course::phase(const std::vector<workload::Step>& list) {
  try {
    if (!pending_) return steps(list);
    kernel_->system().exposure.begin_series();
    interleaved_.emplace(
        *kernel_, order_, [this](const workload::Operation& op) { execute(op); }, &*pending_);
    steps(list);
    interleaved_->finish();
    interleaved_.reset();
  } catch (const Ended&) {
    interleaved_.reset();
  }
}

void Course::steps(const std::vector<workload::Step>& list) {
  for (const workload::Step& step : list) {
    for (std::uint64_t i = 0; i < step.repeat; ++i) {
      if (!step.body.empty()) {
        steps(step.body);
      } else if (interleaved_) {
        interleaved_->add(step.op);
      } else {
        execute(step.op);
      }
    }
  }
}

// A task whose root is forged runs on by that one. The kernel's fault handler knows of the other
// alone and does not help it: the first access that the forged tables do not allow is its last.
void Course::execute(const workload::Operation& op) {
  try {
    execution_->execute(op);
  } catch (const StrikeError&) {
    throw;
  } catch (const InputError& e) {
    const std::string what = fmt::format("{}:{}: {}", scenario_.workload.source, op.line, e.what());
    if (!strokes_->root_forged()) throw InputError(what);
    verdict_.ended = what;
    throw Ended();
  }
}

void Course::after_phase() {
  if (pending_) {
    for (const Pending::Due& never : pending_->take_rest()) {
      verdict_.blows.push_back({never.strike->text});
    }
  }
  for (const Strike& strike : scenario_.strikes) {
    if (strike.phase != phase_) continue;
    if (strike.when == When::kAtRest) {
      in_place(strike.at, [&] { blow(strike, context(strike)); });
    } else if (seen_[&strike] < nth(strike)) {
      verdict_.blows.push_back({strike.text});
    }
  }
}

// --- the verdict -------------------------------------------------------------------------------
Outcome Course::outcome() {
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

bool Course::changed() {
  const Goal& goal = scenario_.goal;
  if (goal.kind != Goal::Kind::kChange) return false;
  std::optional<Strokes::Change> change;
  in_place(goal.at, [&] { change = strokes_->change_in(pages_->find(goal.page)); });
  if (!change) return false;
  verdict_.proof = fmt::format("the word at {:#x}, of {}, has been written: {:#x}",
                               change->word.value, goal.page.text, change->value);
  return true;
}

bool Course::reached() {
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
    // A real access: it uses what the core has cached, of leaves and of tables.
    if (core.user_access(va, poe::AccessKind::kWrite)) continue;
    const mmu::Translation used = core.mmu().peek(va, kEl0Write, false);
    const Pfn frame = frame_of(used.pa);
    if (used.fault || frame != page) continue;
    verdict_.proof =
        fmt::format("EL0 of '{}' writes {:#x}, {}, at its address {:#x} in '{}'", goal.task_name,
                    address_of(frame).value, goal.page.text, va.value, goal.region_name);
    return true;
  }
  return false;
}

}  // namespace kpksim::attack
