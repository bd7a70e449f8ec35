// kpksim validate kernel: the kernel model against a real kernel's counts.

#include "app/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "app/command_line.h"
#include "app/data.h"
#include "app/options.h"
#include "app/progress.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/base/parallel.h"
#include "sim/base/printable.h"
#include "sim/report/result.h"
#include "sim/validate/kernel_run.h"
#include "sim/validate/reasons.h"
#include "sim/workload/json.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using validate::Measurement;

struct KernelRequest : CountsRequest {
  std::vector<std::string> files;
  std::string phase, variant, output;
};

bool parse(const std::vector<std::string>& arguments, KernelRequest& request) {
  po::options_description options(
      "kpksim validate kernel [options] [FILE...]\n"
      "Holds the kernel model to what a real kernel executed, phase by phase; without FILE to the\n"
      "shipped measurements. Exit status 1 if a count is off");
  options.add_options()("phase", text_option("--phase", request.phase), "this phase alone")(
      "variant", text_option("--variant", request.variant), "this variant alone")(
      "output,o", text_option("--output", request.output),
      "write each count to this file (JSON), for kpksim report");
  add_counts_options(options, request);
  constexpr const char* kExamples =
      "  kpksim validate kernel\n"
      "  kpksim validate kernel --all --phase fork_64m my_counts.json\n";
  return read_command_line(arguments, options, kExamples,
                           {{"file", texts_option("FILE", request.files), -1}});
}

}  // namespace

void add_counts_options(po::options_description& options, CountsRequest& request) {
  options.add_options()(
      "max-off", number_option("--max-off", request.max_off)->default_value("0")->value_name("N"),
      "exit status 0 also if up to N counts are off")(
      "all,a", po::bool_switch(&request.all), "print all counters, not only those that are off")(
      "jobs,j", jobs_option(request.jobs), "threads")("quiet,q", po::bool_switch(&request.quiet),
                                                      "no progress bar");
}

std::map<std::string, cpu::CoreProfile> measured_cores() {
  std::map<std::string, cpu::CoreProfile> cores = {{"max", read_core("neoverse-v1")},
                                                   {"a76", read_core("cortex-a76")}};
  // It has FEAT_CSV2_3: is_spectre_bhb_affected() says no.
  cores.at("max").entry_instructions = 0;
  // The port that was measured splits blocks without asking for FEAT_BBM, which a Cortex-A76 lacks;
  // QEMU's TLB stands any change of a live leaf.
  cores.at("a76").bbm_level = 2;
  return cores;
}

namespace {

std::vector<workload::Workload> measured_workloads() {
  std::vector<std::string> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(data_path("workloads/kernel-truth"))) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<workload::Workload> workloads;
  workloads.reserve(paths.size());
  for (const std::string& path : paths) workloads.push_back(workload::read_json_workload(path));
  return workloads;
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

std::string line(const validate::Row& row) {
  constexpr std::string_view kNames[] = {"exact", "within", "OFF"};
  return fmt::format("  {:<28} real {:<22} model {:>10}  {:<7} {}\n", row.counter,
                     fmt::format("{}", fmt::join(row.real, " ")), row.model,
                     kNames[static_cast<unsigned>(row.verdict)], validate::name_of(row.rule));
}

std::string heading(const Measurement& m) {
  return fmt::format("{} {} {} ({})", printable(m.phase), m.cpu, m.variant, m.kernel);
}

// The rows that are off, or all, each with what is known of why. Counts those of no known reason.
std::string rows(const validate::PhaseCheck& check, validate::Reasons& reasons, bool all,
                 std::size_t& unexplained) {
  std::string text;
  for (const validate::Row& row : check.rows) {
    if (!all && row.verdict != validate::Verdict::kOff) continue;
    text += line(row);
    if (row.verdict != validate::Verdict::kOff) continue;
    const std::string reason = reasons.of(row.counter, check.measurement->phase);
    unexplained += reason.empty() ? 1 : 0;
    text += fmt::format("    {}\n", reason.empty() ? "for no known reason" : reason);
  }
  return text.empty() ? text : heading(*check.measurement) + "\n" + text;
}

// All counts as docs/validation.schema.json has them.
nlohmann::ordered_json document_of(const std::vector<validate::PhaseCheck>& checks,
                                   validate::Reasons& reasons) {
  constexpr std::string_view kNames[] = {"exact", "within", "off"};
  nlohmann::ordered_json out = {{"schema", 1},
                                {"version", report::version()},
                                {"validated", "kernel"},
                                {"both_zero", validate::tally_of(checks).both_zero},
                                {"counts", nlohmann::ordered_json::array()}};
  for (const validate::PhaseCheck& check : checks) {
    const Measurement& m = *check.measurement;
    for (const validate::Row& row : check.rows) {
      if (validate::both_zero(row)) continue;
      nlohmann::ordered_json count = {{"phase", m.phase},
                                      {"cpu", m.cpu},
                                      {"variant", m.variant},
                                      {"kernel", m.kernel},
                                      {"counter", row.counter},
                                      {"real", row.real},
                                      {"model", row.model},
                                      {"verdict", kNames[static_cast<unsigned>(row.verdict)]},
                                      {"rule", validate::name_of(row.rule)}};
      if (row.verdict == validate::Verdict::kOff) {
        const std::string reason = reasons.of(row.counter, m.phase);
        if (!reason.empty()) count["reason"] = reason;
      }
      out["counts"].push_back(std::move(count));
    }
  }
  return out;
}

// The TLBI counts whose rule gives room that is more than a tenth of the real count: "within" says
// little of these.
std::string far_tlbi_counts(const std::vector<validate::PhaseCheck>& checks, std::size_t& far) {
  std::string text;
  for (const validate::PhaseCheck& check : checks) {
    for (const validate::Row& row : check.rows) {
      if (!validate::is_far(row) || !row.counter.starts_with("tlbi.")) continue;
      ++far;
      text += fmt::format("  {:<56} {:<14} real {:<12} model {:>6}  {}  {}\n",
                          heading(*check.measurement), row.counter,
                          fmt::format("{}", fmt::join(row.real, " ")), row.model,
                          validate::distance_text(row), validate::name_of(row.rule));
    }
  }
  return text;
}

// The measurements that are asked for and have a workload. InputError: nothing is left to compare.
std::set<const Measurement*> select(const KernelRequest& request,
                                    const std::vector<validate::CountsFile>& files,
                                    const validate::Places& places,
                                    std::set<std::string>& without) {
  std::set<std::string> phases, variants;
  std::set<const Measurement*> wanted;
  for (const validate::CountsFile& file : files) {
    for (const Measurement& m : file.measurements) {
      phases.insert(m.phase);
      if (!request.phase.empty() && m.phase != request.phase) continue;
      variants.insert(m.variant);
      if (!request.variant.empty() && m.variant != request.variant) continue;
      if (places.contains(m.phase)) {
        wanted.insert(&m);
      } else {
        without.insert(m.phase);
      }
    }
  }
  if (!request.phase.empty() && !phases.contains(request.phase)) {
    throw InputError(fmt::format("--phase: '{}' is in none of the files{}", request.phase,
                                 suggest(request.phase, {phases.begin(), phases.end()})));
  }
  if (!request.variant.empty() && !variants.contains(request.variant)) {
    const auto& known = validate::known_variants();
    const bool named = std::find(known.begin(), known.end(), request.variant) != known.end();
    throw InputError(fmt::format(
        "--variant: '{}' {}{}", request.variant,
        !named                  ? "is not a variant"
        : request.phase.empty() ? std::string("was measured in none of the files")
                                : fmt::format("was not measured in phase '{}'", request.phase),
        named ? fmt::format("; expected one of: {}", fmt::join(variants, ", "))
              : suggest(request.variant, known)));
  }
  if (wanted.empty()) {
    throw InputError(
        fmt::format("nothing to compare: no workload for {}", fmt::join(without, ", ")));
  }
  return wanted;
}

int validate_kernel(const std::vector<std::string>& arguments) {
  KernelRequest request;
  if (!parse(arguments, request)) return 0;
  if (!request.output.empty()) check_writable(request.output);
  const bool shipped = request.files.empty();
  if (shipped) request.files = shipped_counts();
  std::vector<validate::CountsFile> files;
  for (const std::string& path : request.files) files.push_back(validate::read_counts(path));
  const std::vector<workload::Workload> workloads = measured_workloads();
  const validate::Places places = validate::places_of(workloads);
  std::set<std::string> without;
  const std::vector<validate::KernelRun> runs =
      validate::runs_of(files, places, select(request, files, places, without));
  validate::Reasons reasons(validate::read_reasons(data_path("tests/validate/reasons.json")));

  const std::map<std::string, cpu::CoreProfile> cores = measured_cores();
  std::map<std::string, kernel::KernelProfile> kernels;
  for (const validate::KernelRun& run : runs) {
    if (!kernels.contains(run.kernel)) kernels[run.kernel] = read_kernel(run.kernel);
  }
  std::vector<std::vector<validate::Outcome>> outcomes(runs.size());
  Progress progress("validate kernel", runs.size(), "workloads", request.quiet);
  parallel_for(runs.size(), request.jobs, [&](std::size_t i) {
    outcomes[i] =
        validate::execute(runs[i], cores.at(runs[i].cpu), kernels.at(runs[i].kernel), places);
    progress.add(1);
  });
  const std::vector<validate::PhaseCheck> checks = validate::check(files, runs, outcomes, cores);
  if (!request.output.empty())
    write_file(request.output, report::document_text(document_of(checks, reasons)));
  std::size_t unexplained = 0, far = 0;
  for (const validate::PhaseCheck& check : checks) {
    std::cout << rows(check, reasons, request.all, unexplained);
  }
  const std::string far_rows = far_tlbi_counts(checks, far);
  if (far != 0) {
    std::cout << fmt::format(
        "{} TLBI counts are within tolerance, but more than 10 % outside the real readings:\n{}",
        far, far_rows);
  }
  if (!without.empty()) {
    std::cout << fmt::format("no workload for {} phases: {}\n", without.size(),
                             printable(fmt::format("{}", fmt::join(without, ", "))));
  }
  const bool whole = shipped && request.phase.empty() && request.variant.empty();
  for (const std::string& unused : whole ? reasons.unused() : std::vector<std::string>()) {
    std::cout << "a reason that explains nothing: " << unused << "\n";
  }
  if (unexplained != 0) std::cout << unexplained << " counts are off for no known reason\n";
  const validate::Tally tally = validate::tally_of(checks);
  std::cout << fmt::format(
      "{} more counts are 0 on both sides\n{} of {} counts exact, {} within tolerance, {} off\n",
      tally.both_zero, tally.exact, tally.exact + tally.within + tally.off, tally.within,
      tally.off);
  return tally.off <= request.max_off ? 0 : 1;
}

}  // namespace

const std::vector<CommandInfo>& validate_parts() {
  static const std::vector<CommandInfo> parts = {
      {"kernel",
       "[FILE...]",
       "the kernel model against a real kernel's counts, phase by phase",
       validate_kernel,
       {}},
      {"apps",
       "[FILE]",
       "recordings of whole programs against a real kernel's counts",
       validate_apps,
       {}},
      {"published",
       "",
       "the benchmarks of the published tables, cell by cell",
       validate_published,
       {}}};
  return parts;
}

int validate(const std::vector<std::string>& arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  if (what == "--help" || what == "-h") {
    std::cout << "kpksim validate kernel|apps|published [options]\n";
    for (const CommandInfo& part : validate_parts()) {
      std::cout << fmt::format("  {:<12}{}\n", part.name, part.does);
    }
    for (const CommandInfo& part : validate_parts()) {
      std::cout << "\n";
      part.run({"--help"});
    }
    return 0;
  }
  std::vector<std::string> known;
  for (const CommandInfo& part : validate_parts()) {
    if (what == part.name) return part.run({arguments.begin() + 1, arguments.end()});
    known.emplace_back(part.name);
  }
  throw InputError(fmt::format("validate: '{}' cannot be validated{}", what, suggest(what, known)));
}

}  // namespace kpksim::app
