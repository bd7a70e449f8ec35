#include "sim/validate/kernel_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "sim/kernel/kernel.h"

namespace kpksim::validate {
namespace {

// Phases with many processes at once were read once and depend on scheduling: the readings of the
// same scheme, batched or not, give a range for what batching does not change.
std::map<std::string, Range> ranges_of(const CountsFile& file, const Measurement& of) {
  const auto scheme = [](const Measurement& m) {
    return m.variant.substr(0, m.variant.find("-batched"));
  };
  std::map<std::string, Range> ranges;
  for (const Measurement& m : file.measurements) {
    if (m.phase != of.phase || m.cpu != of.cpu || scheme(m) != scheme(of)) continue;
    for (const auto& [name, values] : m.counts) {
      if (!name.starts_with("tlbi.") && !name.starts_with("dsb_") &&
          !name.starts_with("allocator.")) {
        continue;
      }
      const auto [it, first] = ranges.try_emplace(name, values[0], values[0]);
      it->second.first = std::min(it->second.first, values[0]);
      it->second.second = std::max(it->second.second, values[0]);
    }
  }
  return ranges;
}

// Randomised addresses: a stack that exec moves by a multiple of 2 MB goes with its whole table,
// one that stays in its table frees none; either happens to one move in 512.
void add_coincidences(const Measurement& of, Surroundings& around) {
  constexpr std::uint64_t kMoves = 3;  // of the 50 of a phase, at most
  for (const char* name : {"dsb_ishst", "tlbi.ASIDE1IS", "tlbi.VAE1IS", "tlbi.RVAE1IS"}) {
    const auto real = of.counts.find(name);
    if (real == of.counts.end()) continue;
    const auto [least, most] = std::minmax_element(real->second.begin(), real->second.end());
    around.stretched[name] = {*least - std::min(*least, kMoves), *most + kMoves};
  }
}

// zap_pte_range() stops where a timer interrupt made a reschedule due, and then dirty pages of a
// file are flushed in two parts: as often as the real kernel has more flushes than the model.
void add_stops(const Measurement& of, const workload::PhaseResult& model, Surroundings& around) {
  const ModelCounts counts = model_counts(model);
  const auto real = [&](const char* name) {
    const auto it = of.counts.find(name);
    return it == of.counts.end() ? std::vector<std::uint64_t>{0} : it->second;
  };
  const auto excess = [&](const char* name) {
    const std::vector<std::uint64_t> v = real(name);
    const std::uint64_t most = *std::max_element(v.begin(), v.end());
    return most - std::min(most, counts.all.at(name) - counts.timer.at(name));
  };
  const std::uint64_t stops = std::min({excess("dsb_ishst"), excess("eret"), model.forced_flushes});
  if (stops == 0) return;
  // Of a table's 512 pages a part needs up to five range operations and a page, or 512 pages.
  struct Room {
    const char* counter;
    std::uint64_t more, less;
  };
  constexpr Room kRooms[] = {{"dsb_ishst", 1, 0},
                             {"tlbi.RVALE1IS", 5, 0},
                             {"tlbi.VALE1IS", 512 + 2, 0},
                             {"tlbi.ASIDE1IS", 0, 1}};
  for (const Room& room : kRooms) {
    const std::vector<std::uint64_t> v = real(room.counter);
    const auto [least, most] = std::minmax_element(v.begin(), v.end());
    around.stretched[room.counter] = {*least - std::min(*least, stops * room.more),
                                      *most + stops * room.less};
  }
}

// The measured phases of one file, CPU and variant follow each other, and the first follows the
// last: what RCU puts off in one may fall into the next.
void add_neighbours(const CountsFile& file,
                    const std::map<const Measurement*, Outcome*>& outcomes) {
  std::map<std::pair<std::string, std::string>, std::vector<Outcome*>> chains;
  for (const Measurement& m : file.measurements) {
    if (const auto it = outcomes.find(&m); it != outcomes.end()) {
      chains[{m.cpu, m.variant}].push_back(it->second);
    }
  }
  for (const auto& [of, chain] : chains) {
    for (std::size_t i = 0; i < chain.size(); ++i) {
      const Outcome& before = *chain[(i + chain.size() - 1) % chain.size()];
      std::uint64_t& tables = chain[i]->around.tables_before;
      tables = std::max(tables, before.model.rcu_added);
    }
  }
}

constexpr const char* kCountOfInstructions = "kernel_instructions";

// What a variant adds to the instructions of "off", of the same file, phase and CPU. "off-block"
// runs the same code on another linear map: its difference is what two boots differ by.
void add_difference(const Outcome& variant, const std::vector<const Outcome*>& all,
                    PhaseCheck& check) {
  const Measurement& m = *variant.measurement;
  const auto find = [&](const char* name) -> const Outcome* {
    for (const Outcome* o : all) {
      const Measurement& other = *o->measurement;
      if (other.variant == name && other.phase == m.phase && other.cpu == m.cpu &&
          other.counts.contains(kCountOfInstructions)) {
        return o;
      }
    }
    return nullptr;
  };
  const Outcome* off = find("off");
  const Outcome* block = find("off-block");
  if (off == nullptr || !m.counts.contains(kCountOfInstructions)) return;
  const auto& real_off = off->measurement->counts.at(kCountOfInstructions);
  const auto model = [](const Outcome& of) {
    const ModelCounts counts = model_counts(of.model);
    return std::pair{counts.all.at(kCountOfInstructions) - counts.timer.at(kCountOfInstructions),
                     static_cast<double>(counts.timer.at(kCountOfInstructions))};
  };
  const auto [of_off, timer_off] = model(*off);
  const auto [of_variant, timer_variant] = model(variant);
  double noise = std::max(timer_off, timer_variant);
  if (block != nullptr) {
    const auto& real_block = block->measurement->counts.at(kCountOfInstructions);
    const auto least = [](const auto& v) {
      return static_cast<double>(*std::min_element(v.begin(), v.end()));
    };
    noise += std::abs(least(real_block) - least(real_off));
  }
  check.rows.push_back(
      compare_difference(real_off, of_off, m.counts.at(kCountOfInstructions), of_variant, noise));
}

}  // namespace

Places places_of(const std::vector<workload::Workload>& workloads) {
  Places out;
  for (const workload::Workload& w : workloads) {
    for (const workload::Phase& phase : w.phases) {
      out[phase.name] = {&w, phase.name};
      for (const std::string& name : phase.also) out[name] = {&w, phase.name};
    }
  }
  return out;
}

std::vector<KernelRun> runs_of(const std::vector<CountsFile>& files, const Places& places,
                               const std::set<const Measurement*>& wanted) {
  std::map<std::string, KernelRun> runs;  // by what they are printed in the order of
  for (const CountsFile& file : files) {
    for (const Measurement& m : file.measurements) {
      if (!wanted.contains(&m)) continue;
      const workload::Workload& w = *places.at(m.phase).workload;
      KernelRun& run =
          runs[fmt::format("{} {} {} {} {}", w.source, m.cpu, m.variant, m.kernel, file.path)];
      run.workload = &w;
      run.file = &file;
      run.cpu = m.cpu;
      run.variant = m.variant;
      run.kernel = m.kernel;
      run.measurements.push_back(&m);
    }
  }
  std::vector<KernelRun> out;
  out.reserve(runs.size());
  for (auto& [key, run] : runs) out.push_back(std::move(run));
  return out;
}

// Twice in one boot, as the measurements were made; what was measured once, in a boot of its own.
// The first run says how many exception returns there are without interrupts, and so how many
// interrupts the real phase had; the second has as many.
std::vector<Outcome> execute(const KernelRun& job, const cpu::CoreProfile& core,
                             const kernel::KernelProfile& profile, const Places& places) {
  const kernel::Config config = config_of(job.variant);
  const workload::Workload& w = *job.workload;
  auto kernel = std::make_unique<kernel::Kernel>(core, profile, config);
  const kernel::AllocatorStatistics boot = kernel->system().allocator->statistics();
  kernel->clock().set_timer(profile.timer_instructions);
  const auto first = workload::Driver(*kernel).run(w);
  const bool once = job.measurements.front()->counts.begin()->second.size() == 1;
  if (once) {
    kernel = std::make_unique<kernel::Kernel>(core, profile, config);
  } else {
    kernel->exit_all();
  }

  std::map<std::string, const Measurement*> measured;
  for (const Measurement* m : job.measurements) measured[places.at(m->phase).phase] = m;
  std::map<std::string, std::uint64_t> interval;
  for (const workload::PhaseResult& phase : first) {
    // Before a phase that is measured the guest prints its name: much time, few instructions.
    interval[phase.name] = profile.timer_instructions / 10;
    const auto m = measured.find(phase.name);
    if (m == measured.end()) continue;
    const ModelCounts counts = model_counts(phase);
    const auto without = [&](const char* name) {
      return counts.all.at(name) - counts.timer.at(name);
    };
    const double n = interrupts(*m->second, without("eret"));
    std::uint64_t instructions = without("kernel_instructions");
    for (const cpu::Counters& c : phase.cores) {
      instructions += kernel::UserAccess::kInstructions * c.total(cpu::Event::kUserAccess);
    }
    // Those of the phase lie within it: none at its end.
    interval[phase.name] =
        static_cast<std::uint64_t>(static_cast<double>(instructions) / (n + 0.5)) + 1;
  }
  workload::Driver driver(*kernel);
  driver.before_phase(
      [&](const std::string& name) { kernel->clock().set_timer(interval.at(name)); });
  const bool drained = job.measurements.front()->drained;
  if (drained) driver.end_of_phase([&] { kernel->clock().wait_for_rcu(); });
  const auto results = driver.run(w);

  std::vector<Outcome> out;
  for (const Measurement* m : job.measurements) {
    for (std::size_t p = 0; p < results.size(); ++p) {
      if (results[p].name != places.at(m->phase).phase) continue;
      Surroundings around;
      around.drained = drained;
      if (p > 0) around.tables_before = results[p - 1].rcu_added;
      if (p > 0) around.after_fork = forks_once(results[p - 1]);
      around.ranges = ranges_of(*job.file, *m);
      if (w.program.randomize) add_coincidences(*m, around);
      add_stops(*m, results[p], around);
      if (once) around.totals = allocator_totals(boot, results, p);
      out.push_back({m, results[p], std::move(around)});
    }
  }
  return out;
}

std::vector<PhaseCheck> check(const std::vector<CountsFile>& files,
                              const std::vector<KernelRun>& runs,
                              std::vector<std::vector<Outcome>>& outcomes,
                              const std::map<std::string, cpu::CoreProfile>& cores) {
  std::map<const Measurement*, Outcome*> by_measurement;
  std::map<const CountsFile*, std::vector<const Outcome*>> off;  // and off-block
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (Outcome& outcome : outcomes[i]) {
      by_measurement[outcome.measurement] = &outcome;
      if (runs[i].variant.starts_with("off")) off[runs[i].file].push_back(&outcome);
    }
  }
  for (const CountsFile& file : files) add_neighbours(file, by_measurement);
  std::vector<PhaseCheck> checks;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const Outcome& outcome : outcomes[i]) {
      checks.push_back(compare(*outcome.measurement, outcome.model, outcome.around,
                               cores.at(runs[i].cpu).repeat_tlbi));
      if (!runs[i].variant.starts_with("off")) {
        add_difference(outcome, off[runs[i].file], checks.back());
      }
    }
  }
  return checks;
}

}  // namespace kpksim::validate
