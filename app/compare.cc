// kpksim run and kpksim compare: one workload under one or several policies.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/options.h"
#include "app/output.h"
#include "app/request.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/kernel/pgtable.h"
#include "sim/report/table.h"
#include "sim/report/uncertainty.h"

namespace kpksim::app {
namespace {

using nlohmann::ordered_json;

void check_outputs(const Request& request) {
  std::vector<std::string> inputs = request.files;
  inputs.insert(inputs.end(), {request.core, request.kernel, request.policy_set, request.config});
  if (!request.output.empty()) {
    refuse_input_as_output("--output", request.output, inputs);
    check_writable(request.output);
  }
  if (request.timeline.empty()) return;
  refuse_input_as_output("--timeline", request.timeline, inputs);
  if (request.timeline == request.output || same_file(request.timeline, request.output)) {
    throw InputError(fmt::format("--timeline: {} is the file of --output too", request.timeline));
  }
}

bool is_wrong(const ordered_json& run) {
  if (run.contains("check") && !run["check"]["findings"].empty()) return true;
  const ordered_json& audit = run["total"]["audit"];
  return audit["stale_leaves"] != 0 || audit["stale_tables"] != 0;
}

// The document of all workloads, and `text`: what is printed.
ordered_json simulate(const Request& request, bool single, StreamedFile* timeline,
                      std::string& text) {
  const ProfileReader core_profile = core_of(request);
  const cpu::CoreProfile core = cpu::read_core_profile(core_profile);
  const kernel::KernelProfile kernel = kernel::read_kernel_profile(kernel_of(request));
  std::vector<kernel::Config> configs = configurations(request, core);
  for (kernel::Config& config : configs) config.watched = request.check;
  // All input is read before the first simulation starts: a mistake in the last file costs nothing.
  const std::vector<workload::Workload> workloads = workloads_of(request);
  if (single && workloads.size() > 1)
    throw InputError("run takes one workload; compare takes several");
  report::TableStyle style = terminal_style();
  style.assumptions = request.assumptions;
  ordered_json document = {{"schema", report::kSchemaVersion}, {"runs", ordered_json::array()}};
  const std::vector<cpu::CoreProfile> draws = draw_cores(core_profile, request.draws, request.seed);
  for (std::size_t i = 0; i < workloads.size(); ++i) {
    std::string label = workloads[i].name;
    if (workloads.size() > 1) label += fmt::format(", {} of {}", i + 1, workloads.size());
    const Effort effort{label, request.jobs, request.quiet, request.record, timeline};
    const auto runs = run_all(workloads[i], core, kernel, configs, effort);
    if (request.format == "table") {
      constexpr std::size_t kManyColumns = 8;  // from here on policies are rows
      text += single                       ? report::run_table(runs[0], style)
              : runs.size() < kManyColumns ? report::compare_table({{"runs", runs}}, style)
                                           : report::policies_table({{"runs", runs}}, style);
    }
    if (!draws.empty()) {
      ordered_json drawn = report::uncertainty(runs, core, draws);
      drawn["seed"] = request.seed;
      if (request.format == "table") {
        text += "\n" + report::uncertainty_table(drawn, style);
      }
      document["uncertainty"].push_back(drawn);
    }
    if (request.format == "table" && i + 1 < workloads.size()) text += "\n";
    for (const ordered_json& run : runs) document["runs"].push_back(run);
  }
  if (request.format == "csv") text = report::csv(document);
  if (request.format == "json") text = report::document_text(document);
  return document;
}

int execute(const std::vector<std::string>& arguments, bool single) {
  Request request;
  if (!parse_request(arguments, single ? Command::kRun : Command::kCompare, request)) return 0;
  check_outputs(request);
  std::optional<StreamedFile> timeline;
  if (!request.timeline.empty()) timeline.emplace(request.timeline);
  std::string text;
  ordered_json document;
  try {
    document = simulate(request, single, timeline ? &*timeline : nullptr, text);
  } catch (const kernel::KernelOops& e) {
    if (timeline && !timeline->empty()) timeline->commit();  // empty: it died in its boot
    if (request.machine.inject.empty()) throw;
    complain(fmt::format("the simulated kernel died of the fault injected ({}): {}",
                         fmt::join(request.machine.inject, ", "), e.what()));
    return 1;
  }
  // The file first: whoever reads standard output may go away. And what cannot be kept is shown.
  std::exception_ptr unwritten;
  try {
    if (!request.output.empty()) write_file(request.output, report::document_text(document));
    if (timeline) timeline->commit();
  } catch (const OutputError&) {
    unwritten = std::current_exception();
  }
  std::cout << text;
  if (unwritten) std::rethrow_exception(unwritten);
  return std::any_of(document["runs"].begin(), document["runs"].end(), is_wrong) ? 1 : 0;
}

}  // namespace

int compare(const std::vector<std::string>& arguments) { return execute(arguments, false); }
int run(const std::vector<std::string>& arguments) { return execute(arguments, true); }

}  // namespace kpksim::app
