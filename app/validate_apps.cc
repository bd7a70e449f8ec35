// kpksim validate apps: replayed recordings of whole programs against a real kernel's counts.

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "app/command_line.h"
#include "app/data.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/validate.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/base/parallel.h"
#include "sim/base/printable.h"
#include "sim/report/result.h"
#include "sim/validate/apps_check.h"
#include "sim/workload/strace.h"

namespace kpksim::app {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using validate::Measurement;

struct AppsRequest : CountsRequest {
  std::string file, program, variant, output;
  std::vector<std::string> sizes;
};

bool parse(const std::vector<std::string>& arguments, AppsRequest& request) {
  po::options_description options(
      "kpksim validate apps [options] [FILE]\n"
      "Replays recordings of whole programs under each variant of FILE and holds them to what a "
      "real\n"
      "kernel executed, less the program 'nothing'. The recording of a program is "
      "traces/NAME.strace\n"
      "(.gz, .zst) beside FILE. A FILE without variants is of an unpatched kernel (linux-6.12). "
      "Without\n"
      "FILE: the shipped measurement. Exit status 1 if a count is off");
  options.add_options()("program", text_option("--program", request.program), "this program alone")(
      "variant", text_option("--variant", request.variant), "this variant alone")(
      "sizes", texts_option("--sizes", request.sizes),
      "file of '# program' lines (traces/programs.sh); default: Debian 12's programs for arm64")(
      "output,o", text_option("--output", request.output),
      "write each count to this file (JSON, docs/apps.schema.json), for kpksim report and plot");
  add_counts_options(options, request);
  constexpr const char* kExamples =
      "  kpksim validate apps\n"
      "  kpksim validate apps --max-off 13 tools/kernel-truth/results/programs/counts.json\n";
  return read_command_line(arguments, options, kExamples,
                           {{"file", text_option("FILE", request.file), 1}});
}

// The recording of a program, beside the counts.
std::string trace_of(const std::string& counts, const std::string& program) {
  const fs::path folder = fs::path(counts).parent_path() / "traces";
  std::vector<std::string> known;
  if (fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      const std::size_t end = name.find(".strace");
      if (end == std::string::npos) continue;
      if (name.substr(0, end) == program) return entry.path().string();
      known.push_back(name.substr(0, end));
    }
  }
  std::sort(known.begin(), known.end());
  throw InputError(fmt::format(
      "{}: the program '{}' has no recording {}.strace, .strace.gz or "
      ".strace.zst{}",
      counts, program, (folder / program).string(), known.empty() ? "" : suggest(program, known)));
}

void check_choice(const char* option, const std::string& choice, const std::set<std::string>& known,
                  const std::string& file) {
  if (choice.empty() || known.contains(choice)) return;
  throw InputError(fmt::format("{}: '{}' is not in {}{}", option, choice, file,
                               suggest(choice, {known.begin(), known.end()})));
}

constexpr std::string_view kVerdicts[] = {"exact", "within", "OFF"};

void print(const validate::AppMeasurement& of, const std::vector<validate::AppRow>& rows,
           bool all) {
  std::string text;
  for (const validate::AppRow& row : rows) {
    if (!all && row.verdict != validate::Verdict::kOff) continue;
    const bool ratio = !row.base.empty();
    const std::string name = ratio ? row.counter + " / " + row.base : row.counter;
    const auto number = [&](double n) {
      return ratio ? fmt::format("{:.4f}", n) : fmt::format("{:.0f}", n);
    };
    text += fmt::format("  {:<28} real {:>11} model {:>11}  {:>+6.1f} %  {}\n", name,
                        number(row.real), number(row.model), 100 * row.error(),
                        kVerdicts[static_cast<unsigned>(row.verdict)]);
  }
  if (text.empty()) return;
  std::cout << fmt::format("{} {} {}\n", printable(of.program), of.cpu, of.variant) << text;
}

// One program and variant, as docs/apps.schema.json has it.
nlohmann::ordered_json document_of(const validate::AppMeasurement& of,
                                   const std::vector<validate::AppRow>& rows) {
  constexpr std::string_view kNames[] = {"exact", "within", "off"};
  nlohmann::ordered_json counts = nlohmann::ordered_json::array();
  for (const validate::AppRow& row : rows) {
    nlohmann::ordered_json count = {{"counter", row.counter}};
    if (!row.base.empty()) count["base"] = row.base;
    count["real"] = row.real;
    count["model"] = row.model;
    count["error_percent"] = 100 * row.error();
    count["verdict"] = kNames[static_cast<unsigned>(row.verdict)];
    counts.push_back(std::move(count));
  }
  return {{"program", of.program}, {"cpu", of.cpu}, {"variant", of.variant}, {"counts", counts}};
}

}  // namespace

int validate_apps(const std::vector<std::string>& arguments) {
  AppsRequest request;
  if (!parse(arguments, request)) return 0;
  if (!request.output.empty()) check_writable(request.output);
  if (request.file.empty()) request.file = data_path("tests/app-truth/app_counts_kpkeys.json");
  if (request.sizes.empty()) request.sizes = {data_path("traces/debian-12-arm64.programs")};
  const validate::CountsFile file = validate::read_counts(request.file);

  std::map<std::string, workload::Workload> traces;
  std::set<std::string> programs, variants;
  for (const Measurement& m : file.measurements) {
    if (m.phase != validate::kNothing) programs.insert(m.phase);
    variants.insert(m.variant);
    if (!traces.contains(m.phase)) {
      traces[m.phase] = workload::read_strace(trace_of(request.file, m.phase), {}, request.sizes);
    }
  }
  check_choice("--program", request.program, programs, request.file);
  check_choice("--variant", request.variant, variants, request.file);
  if (!traces.contains(validate::kNothing)) {
    throw InputError(fmt::format("{}: /phases: the program '{}' is missing, which is subtracted",
                                 request.file, validate::kNothing));
  }

  if (programs.empty()) {
    throw InputError(fmt::format("{}: /phases: nothing to compare: expected programs beside '{}'",
                                 request.file, validate::kNothing));
  }

  // One replay for each program, CPU and variant; ratios need their base variants too.
  const auto wanted = [&](const Measurement& m) {
    return (request.program.empty() || m.phase == request.program || m.phase == validate::kNothing);
  };
  std::vector<const Measurement*> order;
  for (const Measurement& m : file.measurements) {
    if (wanted(m)) order.push_back(&m);
  }
  const std::map<std::string, cpu::CoreProfile> cores = measured_cores();
  std::map<std::string, kernel::KernelProfile> kernels;
  for (const Measurement* m : order) {
    if (!kernels.contains(m->kernel)) kernels[m->kernel] = read_kernel(m->kernel);
  }
  std::vector<validate::AppCounts> counts(order.size());
  Progress progress("validate apps", order.size(), "replays", request.quiet);
  parallel_for(order.size(), request.jobs, [&](std::size_t i) {
    const Measurement& m = *order[i];
    kernel::Kernel kernel(cores.at(m.cpu), kernels.at(m.kernel), validate::config_of(m.variant));
    counts[i] =
        validate::model_app_counts(workload::Driver(kernel).run(traces.at(m.phase)).front());
    progress.add(1);
  });

  const auto find = [&](const std::string& program, const Measurement& like) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Measurement& m = *order[i];
      if (m.phase == program && m.cpu == like.cpu && m.variant == like.variant) return i;
    }
    throw InputError(fmt::format("{}: the program '{}' lacks {}/{}", request.file, program,
                                 like.cpu, like.variant));
  };
  std::vector<validate::AppMeasurement> measured;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Measurement& m = *order[i];
    if (m.phase == validate::kNothing) continue;
    const std::size_t nothing = find(validate::kNothing, m);
    validate::AppMeasurement a{m.phase, m.cpu, m.variant, {}, counts[i]};
    for (const auto& [name, n] : counts[nothing]) a.model[name] -= n;
    a.real = validate::real_app_counts(m, *order[nothing], a.model);
    measured.push_back(std::move(a));
  }

  std::size_t verdicts[3] = {};
  nlohmann::ordered_json document = {{"schema", 1},
                                     {"version", report::version()},
                                     {"validated", "apps"},
                                     {"replays", nlohmann::ordered_json::array()},
                                     {"assumptions", traces.begin()->second.assumptions}};
  for (const validate::AppMeasurement& of : measured) {
    if (!request.variant.empty() && of.variant != request.variant) continue;
    std::vector<validate::AppRow> rows = validate::compare_app(of, measured);
    print(of, rows, request.all);
    document["replays"].push_back(document_of(of, rows));
    for (const validate::AppRow& row : rows) ++verdicts[static_cast<unsigned>(row.verdict)];
  }
  if (verdicts[0] + verdicts[1] + verdicts[2] == 0) {
    throw InputError(
        fmt::format("{}: nothing to compare: no counter of program {} under variant {}",
                    request.file, request.program, request.variant));
  }
  if (!request.output.empty()) write_file(request.output, report::document_text(document));
  std::cout << "Assumed, as a recording does not show which pages are touched:\n";
  for (const std::string& text : traces.begin()->second.assumptions) {
    std::cout << "  " << printable(text) << '\n';
  }
  std::cout << fmt::format("{} of {} counts exact, {} within tolerance, {} off\n", verdicts[0],
                           verdicts[0] + verdicts[1] + verdicts[2], verdicts[1], verdicts[2]);
  return verdicts[2] <= request.max_off ? 0 : 1;
}

}  // namespace kpksim::app
