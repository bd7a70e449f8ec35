#include "sim/validate/published_model.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/workload/driver.h"

namespace kpksim::validate {
namespace {

using cpu::Event;

constexpr const char* kMeasured = "measured";
constexpr unsigned kGraviton3Cores = 64;
constexpr unsigned kHz = 250;  // of arm64's defconfig

bool is_user(std::size_t event) {
  return event == static_cast<std::size_t>(Event::kUserInstruction) ||
         event == static_cast<std::size_t>(Event::kUserAccess);
}

template <class Use>
void for_operations(std::vector<workload::Step>& steps, std::uint64_t times, const Use& use) {
  for (workload::Step& step : steps) {
    if (step.body.empty()) {
      use(step.op, times * step.repeat);
    } else {
      for_operations(step.body, times * step.repeat, use);
    }
  }
}

}  // namespace

kernel::Config config_of(const Scheme& scheme) {
  kernel::Config config;
  config.memory_bytes = 8ull << 30;
  config.cores = kGraviton3Cores;
  config.hz = kHz;
  if (!scheme.protect) return config;
  config.policy.protection.name = "kpkeys-poe";
  config.policy.window = scheme.batched ? kernel::WindowScope::kLazy : kernel::WindowScope::kEntry;
  config.policy.allocator.name = scheme.keyed ? "per-page" : "buddy";
  return config;
}

std::uint64_t RunCounts::cost(const Prices& prices, Measure measure) const {
  std::uint64_t sum = 0;
  for (std::size_t e = 0; e < cpu::kEvents; ++e) {
    if (measure != Measure::kAll && is_user(e) != (measure == Measure::kUser)) continue;
    sum += events[e] * prices[e];
  }
  return sum;
}

RunCounts simulate(const workload::Workload& workload, const cpu::CoreProfile& core,
                   const kernel::KernelProfile& kernel, const Scheme& scheme) {
  kernel::Kernel machine(core, kernel, config_of(scheme));
  const auto phases = workload::Driver(machine).run(workload);
  const bool marked = std::any_of(phases.begin(), phases.end(),
                                  [](const auto& phase) { return phase.name == kMeasured; });
  RunCounts out;
  for (std::size_t p = 0; p < phases.size(); ++p) {
    if (marked && phases[p].name != kMeasured) continue;
    for (const cpu::Counters& counters : phases[p].cores) {
      for (std::size_t e = 0; e < cpu::kEvents; ++e) {
        out.events[e] += counters.total(static_cast<Event>(e));
      }
    }
    auto steps = workload.phases[p].steps;
    for_operations(steps, 1, [&](const workload::Operation& op, std::uint64_t times) {
      if (op.kind == workload::OpKind::kVmalloc) out.rounds += times;
    });
  }
  return out;
}

workload::Workload with_instructions(workload::Workload recording, const Instructions& all,
                                     const cpu::CoreProfile& core,
                                     const kernel::KernelProfile& kernel) {
  const RunCounts plain = simulate(recording, core, kernel, {});
  std::uint64_t modelled = 0;
  for (const Event e : cpu::kKernelInstructions) {
    modelled += plain.events[static_cast<std::size_t>(e)];
  }
  std::uint64_t calls = 0, places = 0;
  const auto each = [&](const auto& use) {
    for (workload::Phase& phase : recording.phases) for_operations(phase.steps, 1, use);
  };
  each([&](const workload::Operation& op, std::uint64_t times) {
    if (op.kind == workload::OpKind::kSyscall) calls += times;
    places += times * workload::places_of(op);
  });
  if (calls == 0 || modelled > all.kernel) {
    throw ModelError("a recording without system calls, or with more instructions than measured");
  }
  each([&](workload::Operation& op, std::uint64_t) {
    if (op.kind == workload::OpKind::kSyscall) op.count = (all.kernel - modelled) / calls;
    op.computes = all.user / places;
  });
  return recording;
}

double PublishedModel::overhead(const Cell& cell, bool keyed, const Prices& prices) const {
  const std::uint64_t base = runs_.at({cell.run, {}}).cost(prices, cell.measure);
  const std::uint64_t with =
      runs_.at({cell.run, {true, keyed, cell.batched}}).cost(prices, cell.measure);
  return (static_cast<double>(with) / static_cast<double>(base) - 1) * 100;
}

double PublishedModel::usec(const AbsoluteTime& time, const Prices& prices,
                            double clock_ghz) const {
  const RunCounts& run = runs_.at({time.run, {}});
  const double cycles = static_cast<double>(run.cost(prices, Measure::kAll)) / 1000 /
                        static_cast<double>(run.rounds) * time.rounds;
  return cycles / clock_ghz / 1000;
}

}  // namespace kpksim::validate
