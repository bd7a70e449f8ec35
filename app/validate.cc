// kpksim validate kernel: the kernel model against a real kernel's counts.

#include "app/validate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <thread>

#include "app/command_line.h"
#include "app/data.h"
#include "app/options.h"
#include "app/parallel.h"
#include "app/progress.h"
#include "sim/base/error.h"
#include "sim/validate/kernel_check.h"
#include "sim/validate/reasons.h"
#include "sim/workload/json.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using validate::Measurement;

struct Request {
  std::vector<std::string> files;
  std::string phase, variant;
  bool all = false;
  std::uint64_t max_off = 0;
  unsigned jobs = 1;
};

bool parse(const std::vector<std::string>& arguments, Request& request) {
  po::options_description options(
      "kpksim validate kernel [options] [FILE...]\n"
      "Holds the kernel model to what a real kernel executed, phase by phase; without FILE to the\n"
      "shipped measurements. Exit status 1 if a count is off");
  options.add_options()("phase", po::value(&request.phase), "this phase alone")(
      "variant", po::value(&request.variant), "this variant alone")(
      "max-off", po::value(&request.max_off)->default_value(0)->value_name("N"),
      "exit status 0 also if up to N counts are off")(
      "all,a", po::bool_switch(&request.all), "print all counters, not only those that are off")(
      "jobs,j",
      po::value(&request.jobs)->default_value(std::max(1u, std::thread::hardware_concurrency())),
      "threads");
  if (!read_command_line(arguments, options, {{"file", po::value(&request.files), -1}}))
    return false;
  return true;
}

// Where a measured phase is: a workload of workloads/kernel-truth, and its phase.
struct Place {
  std::string workload, phase;
};

std::map<std::string, Place> places_of_phases() {
  std::map<std::string, Place> out;
  for (const auto& entry :
       std::filesystem::directory_iterator(data_path("workloads/kernel-truth"))) {
    const std::string path = entry.path().string();
    for (const workload::Phase& phase : workload::read_json_workload(path).phases) {
      out[phase.name] = {path, phase.name};
      for (const std::string& name : phase.also) out[name] = {path, phase.name};
    }
  }
  return out;
}

std::vector<std::string> shipped_counts() {
  std::vector<std::string> files;
  for (const char* folder : {"tests/kernel-truth", "tools/kernel-truth/results"}) {
    for (const auto& entry : std::filesystem::directory_iterator(data_path(folder))) {
      if (entry.path().extension() == ".json") files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Phases with many processes at once were read once and depend on scheduling: the readings of the
// same scheme, batched or not, give a range for what batching does not change.
std::map<std::string, validate::Range> ranges_of(const validate::CountsFile& file,
                                                 const Measurement& of) {
  const auto scheme = [](const Measurement& m) {
    return m.variant.substr(0, m.variant.find("-batched"));
  };
  std::map<std::string, validate::Range> ranges;
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

// One run of a workload serves all its phases.
struct Job {
  std::string workload, cpu, variant, kernel;
  const validate::CountsFile* file = nullptr;
  std::vector<const Measurement*> measurements;
};

// Randomised addresses: a stack that exec moves by a multiple of 2 MB goes with its whole table,
// one that stays in its table frees none; either happens to one move in 512.
void add_coincidences(const Measurement& of, validate::Surroundings& around) {
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
void add_stops(const Measurement& of, const workload::PhaseResult& model,
               validate::Surroundings& around) {
  const validate::ModelCounts counts = validate::model_counts(model);
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

// What the model did in one measured phase.
struct Outcome {
  const Measurement* measurement = nullptr;
  workload::PhaseResult model;
  validate::Surroundings around;
};

// Twice in one boot, as the measurements were made; what was measured once, in a boot of its own.
// The first run says how many exception returns there are without interrupts, and so how many
// interrupts the real phase had; the second has as many.
std::vector<Outcome> run(const Job& job, const cpu::CoreProfile& core,
                         const std::map<std::string, Place>& places) {
  const kernel::KernelProfile profile = read_kernel(job.kernel);
  const kernel::Config config = validate::config_of(job.variant);
  const workload::Workload w = workload::read_json_workload(job.workload);
  auto kernel = std::make_unique<kernel::Kernel>(core, profile, config);
  const kernel::AllocatorStatistics boot = kernel->system().allocator->statistics();
  kernel->set_timer(profile.timer_instructions);
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
    const validate::ModelCounts counts = validate::model_counts(phase);
    const auto without = [&](const char* name) {
      return counts.all.at(name) - counts.timer.at(name);
    };
    const double n = validate::interrupts(*m->second, without("eret"));
    std::uint64_t instructions = without("kernel_instructions");
    for (const cpu::Counters& c : phase.cores) {
      instructions += kernel::Kernel::kTouchInstructions * c.total(cpu::Event::kUserAccess);
    }
    // Those of the phase lie within it: none at its end.
    interval[phase.name] =
        static_cast<std::uint64_t>(static_cast<double>(instructions) / (n + 0.5)) + 1;
  }
  workload::Driver driver(*kernel);
  driver.before_phase([&](const std::string& name) { kernel->set_timer(interval.at(name)); });
  const bool drained = job.measurements.front()->drained;
  if (drained) driver.end_of_phase([&] { kernel->wait_for_rcu(); });
  const auto results = driver.run(w);

  std::vector<Outcome> out;
  for (const Measurement* m : job.measurements) {
    for (std::size_t p = 0; p < results.size(); ++p) {
      if (results[p].name != places.at(m->phase).phase) continue;
      validate::Surroundings around;
      around.drained = drained;
      if (p > 0) around.tables_before = results[p - 1].rcu_added;
      if (p > 0) around.after_fork = validate::forks_once(results[p - 1]);
      around.ranges = ranges_of(*job.file, *m);
      if (w.program.randomize) add_coincidences(*m, around);
      add_stops(*m, results[p], around);
      if (once) around.totals = validate::allocator_totals(boot, results, p);
      out.push_back({m, results[p], std::move(around)});
    }
  }
  return out;
}

// The measured phases of one file, CPU and variant follow each other, and the first follows the
// last: what RCU puts off in one may fall into the next.
void add_neighbours(const validate::CountsFile& file,
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

// Prints the rows; returns how many are off for no known reason.
std::size_t print(const validate::PhaseCheck& check, const std::vector<validate::Reason>& reasons,
                  bool all) {
  const Measurement& m = *check.measurement;
  std::string text;
  std::size_t unexplained = 0;
  for (const validate::Row& row : check.rows) {
    if (!all && row.verdict != validate::Verdict::kOff) continue;
    constexpr std::string_view kNames[] = {"exact", "within", "OFF"};
    text += fmt::format("  {:<28} real {:<22} model {:>10}  {:<7} {}\n", row.counter,
                        fmt::format("{}", fmt::join(row.real, " ")), row.model,
                        kNames[static_cast<unsigned>(row.verdict)], validate::name_of(row.rule));
    if (row.verdict != validate::Verdict::kOff) continue;
    const std::string reason = validate::reason_for(reasons, row.counter, m.phase);
    if (reason.empty()) {
      ++unexplained;
    } else {
      text += fmt::format("    {}\n", reason);
    }
  }
  if (text.empty()) return 0;
  std::cout << fmt::format("{} {} {} ({})\n", m.phase, m.cpu, m.variant, m.kernel) << text;
  return unexplained;
}

constexpr const char* kInstructions = "kernel_instructions";

// What a variant adds to the instructions of "off", of the same file, phase and CPU. "off-block"
// runs the same code on another linear map: its difference is what two boots differ by.
void add_difference(const Outcome& variant, const std::vector<const Outcome*>& all,
                    validate::PhaseCheck& check) {
  const Measurement& m = *variant.measurement;
  const auto find = [&](const char* name) -> const Outcome* {
    for (const Outcome* o : all) {
      const Measurement& other = *o->measurement;
      if (other.variant == name && other.phase == m.phase && other.cpu == m.cpu &&
          other.counts.contains(kInstructions)) {
        return o;
      }
    }
    return nullptr;
  };
  const Outcome* off = find("off");
  const Outcome* block = find("off-block");
  if (off == nullptr || !m.counts.contains(kInstructions)) return;
  const auto& real_off = off->measurement->counts.at(kInstructions);
  const auto model = [](const Outcome& of) {
    const validate::ModelCounts counts = validate::model_counts(of.model);
    return std::pair{counts.all.at(kInstructions) - counts.timer.at(kInstructions),
                     static_cast<double>(counts.timer.at(kInstructions))};
  };
  const auto [of_off, timer_off] = model(*off);
  const auto [of_variant, timer_variant] = model(variant);
  double noise = std::max(timer_off, timer_variant);
  if (block != nullptr) {
    const auto& real_block = block->measurement->counts.at(kInstructions);
    const auto least = [](const auto& v) {
      return static_cast<double>(*std::min_element(v.begin(), v.end()));
    };
    noise += std::abs(least(real_block) - least(real_off));
  }
  check.rows.push_back(validate::compare_difference(real_off, of_off, m.counts.at(kInstructions),
                                                    of_variant, noise));
}

int validate_kernel(const std::vector<std::string>& arguments) {
  Request request;
  if (!parse(arguments, request)) return 0;
  if (!request.variant.empty()) validate::config_of(request.variant);
  const auto places = places_of_phases();
  std::vector<validate::CountsFile> files;
  if (request.files.empty()) request.files = shipped_counts();
  for (const std::string& path : request.files) files.push_back(validate::read_counts(path));

  std::set<std::string> phases, without;
  std::map<std::string, Job> jobs;
  for (const validate::CountsFile& file : files) {
    for (const Measurement& m : file.measurements) {
      phases.insert(m.phase);
      if (!request.phase.empty() && m.phase != request.phase) continue;
      if (!request.variant.empty() && m.variant != request.variant) continue;
      const auto place = places.find(m.phase);
      if (place == places.end()) {
        without.insert(m.phase);
        continue;
      }
      Job& job = jobs[fmt::format("{} {} {} {} {}", place->second.workload, m.cpu, m.variant,
                                  m.kernel, file.path)];
      job.file = &file;
      job.workload = place->second.workload;
      job.cpu = m.cpu;
      job.variant = m.variant;
      job.kernel = m.kernel;
      job.measurements.push_back(&m);
    }
  }
  if (!request.phase.empty() && !phases.contains(request.phase)) {
    throw InputError(fmt::format("--phase: '{}' is in none of the files{}", request.phase,
                                 suggest(request.phase, {phases.begin(), phases.end()})));
  }
  if (!request.variant.empty()) {
    const auto& known = validate::known_variants();
    if (std::find(known.begin(), known.end(), request.variant) == known.end()) {
      throw InputError(fmt::format("--variant: '{}' is not a variant{}", request.variant,
                                   suggest(request.variant, known)));
    }
  }

  const std::map<std::string, cpu::CoreProfile> cores = {{"max", read_core("neoverse-v1")},
                                                         {"a76", read_core("cortex-a76")}};
  std::vector<const Job*> order;
  order.reserve(jobs.size());
  for (const auto& [key, job] : jobs) order.push_back(&job);
  std::vector<std::vector<Outcome>> outcomes(order.size());
  Progress progress("validate", order.size());
  parallel_for(order.size(), request.jobs, [&](std::size_t i) {
    outcomes[i] = run(*order[i], cores.at(order[i]->cpu), places);
    progress.add(1);
  });
  std::map<const Measurement*, Outcome*> by_measurement;
  std::map<const validate::CountsFile*, std::vector<const Outcome*>> off;  // and off-block
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (Outcome& outcome : outcomes[i]) {
      by_measurement[outcome.measurement] = &outcome;
      if (order[i]->variant.starts_with("off")) off[order[i]->file].push_back(&outcome);
    }
  }
  for (const validate::CountsFile& file : files) add_neighbours(file, by_measurement);
  const auto reasons = validate::read_reasons(data_path("tests/validate/reasons.json"));
  std::size_t verdicts[3] = {}, unexplained = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const Outcome& outcome : outcomes[i]) {
      validate::PhaseCheck check = validate::compare(
          *outcome.measurement, outcome.model, outcome.around, cores.at(order[i]->cpu).repeat_tlbi);
      if (!order[i]->variant.starts_with("off"))
        add_difference(outcome, off[order[i]->file], check);
      unexplained += print(check, reasons, request.all);
      for (const validate::Row& row : check.rows) ++verdicts[static_cast<unsigned>(row.verdict)];
    }
  }
  if (!without.empty()) {
    std::cout << fmt::format("no workload for {} phases: {}\n", without.size(),
                             fmt::join(without, ", "));
  }
  if (unexplained != 0) std::cout << unexplained << " counts are off for no known reason\n";
  std::cout << fmt::format("{} of {} counts exact, {} within tolerance, {} off\n", verdicts[0],
                           verdicts[0] + verdicts[1] + verdicts[2], verdicts[1], verdicts[2]);
  return verdicts[2] <= request.max_off ? 0 : 1;
}

}  // namespace

int validate(const std::vector<std::string>& arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  const auto rest = [&] {
    return std::vector<std::string>(arguments.begin() + 1, arguments.end());
  };
  if (what == "--help" || what == "-h") {
    std::cout << "kpksim validate kernel|apps|published [options]\n"
                 "  kernel      the kernel model against a real kernel's counts, phase by phase\n"
                 "  apps        recordings of whole programs against a real kernel's counts\n"
                 "  published   the benchmarks of the published tables, cell by cell\n";
    return 0;
  }
  if (what == "kernel") return validate_kernel(rest());
  if (what == "apps") return validate_apps(rest());
  if (what == "published") return validate_published(rest());
  throw InputError(fmt::format("validate: '{}' cannot be validated{}", what,
                               suggest(what, {"kernel", "apps", "published"})));
}

}  // namespace kpksim::app
