#include "sim/attack/battle.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "sim/attack/course.h"
#include "sim/base/error.h"
#include "sim/kernel/object/keyed_classes.h"
#include "sim/mmu/at.h"

namespace kpksim::attack {
namespace {

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

Course::Draw draw_of(const kernel::Config& config, const TagDraw& tags, std::uint64_t point) {
  return {tags, point, uses_keys(config)};
}

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
    Course course(scenario, core, profile, config, draw_of(config, tags, point));
    Verdict one = course.run();
    if (takes_turns && !course.fell()) {
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
  config.interleave |= scenario.workload.interleave;
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
    Verdict one = Course(scenario, core, profile, config, draw_of(config, tags, known.point)).run();
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
  config.interleave |= scenario.workload.interleave;
  if (!add_classes(scenario, config)) return;
  TagDraw tags;
  if (uses_tags(config)) {
    tags = {.kind = TagDraw::Kind::kLuckiest,
            .tags = tags_of(config),
            .tagged_objects = draws.tagged_objects};
  }
  Course(scenario, core, profile, config, draw_of(config, tags, point)).show(audience);
}

}  // namespace kpksim::attack
