// kpksim sweep: all points of a space, kept in a store, and what is asked of stores.

#include "app/sweep.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/options.h"
#include "app/output.h"
#include "app/points.h"
#include "app/progress.h"
#include "app/shard.h"
#include "sim/base/error.h"
#include "sim/sweep/runner.h"
#include "sim/sweep/spec.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using Clock = std::chrono::steady_clock;

constexpr const char* kSweepHelp =
    "kpksim sweep [options] SPEC.json\n"
    "kpksim sweep status|export|best|merge STORE...\n"
    "Runs all points of a space of settings (docs/sweeps.md) that its store has not yet. A point\n"
    "that is kept is never run again, however the process ended: the same command goes on";
constexpr const char* kSweepExamples =
    "  kpksim sweep sweeps/tlb.json\n"
    "  kpksim sweep --dry-run my-sweep.json\n"
    "  kpksim sweep --shard 2/4 my-sweep.json && kpksim sweep merge -o all.sqlite "
    "my-sweep.*-of-4.sqlite\n"
    "  kpksim sweep status all.sqlite\n"
    "  kpksim sweep best --by cycles.total --keep exposure.at_rest.kernel all.sqlite\n"
    "  kpksim sweep export -f csv all.sqlite > all.csv\n";
// How long --dry-run tries points out.
constexpr double kTrialSeconds = 2;
constexpr sweep::Point kMostTrials = 64;

struct SweepOptions {
  std::string spec, store, shard;
  unsigned jobs = 1;
  bool dry_run = false, retry = false, quiet = false, check = false;
};

// Set by signals that ask to end: what is done is kept, and then the process ends as they would
// have ended it.
std::atomic<bool> stopped = false;
static_assert(std::atomic<bool>::is_always_lock_free);
volatile std::sig_atomic_t stop_signal = 0;
void on_signal(int signal) {
  stop_signal = signal;
  stopped = true;
}

std::string store_path(const SweepOptions& options, const sweep::Spec& spec,
                       const sweep::Shard& shard) {
  std::string name = spec.name();
  if (shard.count > 1) name += fmt::format(".{}-of-{}", shard.index + 1, shard.count);
  name += ".sqlite";
  if (options.store.empty()) return name;
  if (options.store.ends_with('/')) return options.store + name;
  return options.store;
}

std::string seconds_text(double seconds) {
  if (seconds < 120) return fmt::format("{:.1f} s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

// Tries points from all over the shard, and says how long all of them would take.
void dry_run(const SweepOptions& options, const sweep::Spec& spec, const sweep::Shard& shard,
             Points& points, const std::string& path) {
  const sweep::Point mine = shard.size(spec.points());
  sweep::Point done = 0;
  if (std::error_code none; std::filesystem::exists(path, none)) {
    done = sweep::Store::read(path).counts().done;
  }
  const sweep::Point missing = mine - std::min(mine, done);
  std::cout << fmt::format("{}: {} points", spec.name(), spec.points());
  if (shard.count > 1) {
    std::cout << fmt::format(", {} in shard {} of {}", mine, shard.index + 1, shard.count);
  }
  std::cout << fmt::format("; {} done in {}\nvaries:", done, path);
  for (const std::string& key : spec.varied()) std::cout << " " << key;
  std::cout << "\n";
  if (missing == 0) return;
  const auto begin = Clock::now();
  double seconds = 0;
  sweep::Point tried = 0, failed = 0;
  const sweep::Point trials = std::min(mine, kMostTrials);
  for (; tried < trials && seconds < kTrialSeconds; ++tried) {
    const sweep::Point nth = mine / trials * tried;
    failed += points.evaluate(nth * shard.count + shard.index).failed() ? 1 : 0;
    seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  const double each = seconds / static_cast<double>(tried);
  std::cout << fmt::format(
      "{} points tried, {} of them failed: {:.1f} ms each; {} left take about {} with {} threads\n",
      tried, failed, each * 1000, missing,
      seconds_text(each * static_cast<double>(missing) / options.jobs), options.jobs);
}

// Points that the sanitizer has found something in.
sweep::Point with_findings(sweep::Store& store) {
  sweep::Point n = 0;
  store.each([&](const sweep::Row& row) {
    n += !row.failed() && nlohmann::json::parse(row.totals)["findings"] != 0 ? 1 : 0;
  });
  return n;
}

int run_sweep(const SweepOptions& options) {
  const sweep::Spec spec(options.spec);
  const sweep::Shard shard = shard_of(options.shard);
  const std::string path = store_path(options, spec, shard);
  Points points(spec, options.check);
  if (options.dry_run) {
    dry_run(options, spec, shard, points, path);
    return 0;
  }
  sweep::Store store = sweep::Store::open(path, points.identity());
  if (options.retry) store.forget_failed();
  const sweep::Counts before = store.counts();
  const sweep::Point mine = shard.size(spec.points());
  sweep::Point failed = before.failed;
  {
    Progress progress(spec.name(), mine - std::min(mine, before.done), "points", options.quiet);
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    sweep::Task task{shard, options.jobs, [&](sweep::Point p) { return points.evaluate(p); },
                     [&](bool has_failed) {
                       if (has_failed) {
                         progress.relabel(fmt::format("{}, {} failed", spec.name(), ++failed));
                       }
                       progress.add(1);
                     },
                     &stopped};
    sweep::run_missing(store, task);
  }
  const sweep::Counts after = store.counts();
  std::cout << fmt::format("{}: {} of {} points are done, {} of them failed; {}\n", spec.name(),
                           after.done, mine, after.failed, path);
  const sweep::Point wrong = options.check ? with_findings(store) : 0;
  if (options.check) {
    std::cout << fmt::format(
        "checked: {}\n",
        wrong == 0 ? "nothing is wrong"
                   : fmt::format("{} of them {} findings (total \"findings\"; run --check with a "
                                 "point's settings tells them)",
                                 wrong, wrong == 1 ? "has" : "have"));
  }
  if (!stopped) return wrong == 0 ? 0 : 1;
  std::cout << std::flush;
  complain("ended by a signal; the same command goes on");
  std::signal(stop_signal, SIG_DFL);
  std::raise(stop_signal);
  return 0;
}

}  // namespace

std::string missing_text(sweep::Store& store) {
  constexpr std::size_t kMost = 20;
  std::string text;
  const auto ranges = store.missing(kMost + 1);
  for (std::size_t i = 0; i < std::min(ranges.size(), kMost); ++i) {
    const auto& [first, last] = ranges[i];
    text += fmt::format("{}{}", i == 0 ? "" : ", ", first);
    if (last > first) text += fmt::format(" to {}", last);
  }
  return ranges.size() > kMost ? text + " and others" : text;
}

const std::vector<CommandInfo>& sweep_parts() {
  static const std::vector<CommandInfo> parts = {
      {"status", "STORE...", "how many points are done, failed and missing", sweep_status, {}},
      {"export", "STORE", "all points as CSV or JSON lines", sweep_export, {}},
      {"best", "STORE", "the points that are best by one total or several", sweep_best, {}},
      {"merge", "-o ALL.sqlite STORE...", "joins the stores of shards", sweep_merge, {}}};
  return parts;
}

int sweep(const std::vector<std::string>& arguments) {
  for (const CommandInfo& part : sweep_parts()) {
    if (!arguments.empty() && arguments[0] == part.name) {
      return part.run({arguments.begin() + 1, arguments.end()});
    }
  }
  SweepOptions options;
  po::options_description described(kSweepHelp);
  described.add_options()("store,o", text_option("--store", options.store),
                          "SQLite file of the points; with a '/' at its end the folder for it. "
                          "Default: the sweep's name, with the shard if there are several")(
      "jobs,j", jobs_option(options.jobs), "threads (the results do not depend on it)")(
      "shard", text_option("--shard", options.shard),
      "i/n: the i-th of n parts, from 1 on. Default: what SLURM_ARRAY_TASK_ID, "
      "JOB_COMPLETION_INDEX (with JOB_COMPLETIONS), PMI_RANK or OMPI_COMM_WORLD_RANK say, "
      "else everything")("dry-run", po::bool_switch(&options.dry_run),
                         "how many points, and about how long they take")(
      "check", po::bool_switch(&options.check),
      "watch each run with the sanitizer (docs/checking.md): a total \"findings\", and exit status "
      "1 "
      "if one is not 0")("retry-failed", po::bool_switch(&options.retry),
                         "run failed points again")("quiet,q", po::bool_switch(&options.quiet),
                                                    "no progress bar");
  if (!read_command_line(arguments, described, kSweepExamples,
                         {{"file", text_option("SPEC", options.spec), 1}}))
    return 0;
  if (options.spec.empty()) throw InputError("no sweep given; expected SPEC.json");
  return run_sweep(options);
}

}  // namespace kpksim::app
