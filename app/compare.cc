// kpksim run and kpksim compare: one workload under one or several policies.

#include <fmt/core.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/command_line.h"
#include "app/options.h"
#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/report/table.h"
#include "sim/report/uncertainty.h"
#include "sim/workload/size.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using nlohmann::ordered_json;

constexpr unsigned kMaxDraws = 100'000;

struct Request {
  std::vector<std::string> files;
  std::vector<std::string> policies;
  std::string core, kernel, memory, output, format, left_out;
  unsigned cores = 1, hz = 0, jobs = 1, draws = 0, seed = 1;
};

// False: only the help was asked for.
bool parse(const std::vector<std::string>& arguments, bool single, Request& request) {
  po::options_description options(single ? "kpksim run [options] WORKLOAD\n"
                                           "One workload under one policy, a column for each phase"
                                         : "kpksim compare [options] WORKLOAD...\n"
                                           "A workload under several policies, a column for each");
  auto* policy = po::value(&request.policies)->composing();
  options.add_options()(
      "policy,p",
      single ? policy->default_value({default_policies()[2]}, default_policies()[2]) : policy,
      single ? "protection[+batch],allocator,linear-map; see kpksim list policies"
             : "protection[+batch],allocator,linear-map; repeatable; default: those of kpksim list "
               "policies")("core", po::value(&request.core)->default_value("neoverse-v1"),
                           "core profile: a name of kpksim list cores, or the path of a JSON file")(
      "kernel", po::value(&request.kernel)->default_value("linux-6.12-kpkeys"),
      "kernel profile: a name of kpksim list kernels, or the path of a JSON file")(
      "cores", po::value(&request.cores)->default_value(1), "number of cores")(
      "hz", po::value(&request.hz)->default_value(0),
      "timer interrupts a second of simulated time (Linux: CONFIG_HZ, often 250), which RCU's "
      "grace "
      "periods wait for; 0: none, and a grace period passes at the end of each call")(
      "memory,m", po::value(&request.memory)->default_value("8G"), "physical memory")(
      "jobs,j",
      po::value(&request.jobs)->default_value(std::max(1u, std::thread::hardware_concurrency())),
      "threads (the results do not depend on it)")(
      "uncertainty", po::value(&request.draws)->default_value(0)->value_name("N"),
      "medians and 90 % intervals over N draws of the core's estimated numbers from their ranges")(
      "seed", po::value(&request.seed)->default_value(1), "of those draws")(
      "output,o", po::value(&request.output), "write the full JSON document to this file")(
      "format,f", po::value(&request.format)->default_value("table"), "table, json or csv")(
      "leave-out-tlbi", po::value(&request.left_out)->default_value("none"),
      "fault injection: the kernel forgets the TLB invalidations of this place, e.g. unmap");
  if (!read_command_line(arguments, options, {{"file", po::value(&request.files), -1}}))
    return false;
  if (request.policies.empty()) request.policies = default_policies();
  if (request.files.empty()) throw InputError("no workload given; see kpksim list workloads");
  if (single && request.files.size() > 1)
    throw InputError("run takes one workload; compare takes several");
  if (single && request.policies.size() > 1)
    throw InputError("run takes one policy; compare takes several");
  const std::vector<std::string> formats = {"table", "json", "csv"};
  if (std::find(formats.begin(), formats.end(), request.format) == formats.end()) {
    throw InputError(fmt::format("--format: '{}' is not a format{}", request.format,
                                 suggest(request.format, formats)));
  }
  if (request.draws > kMaxDraws) {
    throw InputError(fmt::format("--uncertainty: at most {} draws", kMaxDraws));
  }
  if (request.jobs == 0) throw InputError("--jobs: at least 1");
  return true;
}

std::vector<kernel::Config> configurations(const Request& request) {
  std::vector<kernel::Config> configs;
  for (const std::string& policy : request.policies) {
    kernel::Config config = parse_policy(policy);
    config.cores = request.cores;
    config.hz = request.hz;
    config.memory_bytes = workload::parse_size(request.memory, "--memory");
    config.left_out_tlbi = kernel::parse_flush_site(request.left_out);
    kernel::check(config);
    configs.push_back(config);
  }
  return configs;
}

int execute(const std::vector<std::string>& arguments, bool single) {
  Request request;
  if (!parse(arguments, single, request)) return 0;
  const cpu::CoreProfile core = read_core(request.core);
  const kernel::KernelProfile kernel = read_kernel(request.kernel);
  const std::vector<kernel::Config> configs = configurations(request);
  // All input is read before the first simulation starts: a mistake in the last file costs nothing.
  std::vector<workload::Workload> workloads;
  for (const std::string& file : request.files) workloads.push_back(read_workload(file));
  ordered_json document = {{"schema", report::kSchemaVersion}, {"runs", ordered_json::array()}};
  const std::vector<cpu::CoreProfile> draws = draw_cores(request.core, request.draws, request.seed);
  std::string text;
  for (const workload::Workload& workload : workloads) {
    const auto runs = run_all(workload, core, kernel, configs, request.jobs);
    if (request.format == "table") {
      text += single ? report::run_table(runs[0], terminal_style())
                     : report::compare_table({{"runs", runs}}, terminal_style());
    }
    if (!draws.empty()) {
      ordered_json drawn = report::uncertainty(runs, core, draws);
      drawn["seed"] = request.seed;
      if (request.format == "table") {
        text += "\n" + report::uncertainty_table(drawn, terminal_style());
      }
      document["uncertainty"].push_back(drawn);
    }
    if (request.format == "table" && &workload != &workloads.back()) text += "\n";
    for (const ordered_json& run : runs) document["runs"].push_back(run);
  }
  if (request.format == "csv") text = report::csv(document);
  if (request.format == "json") text = dump(document, 2) + "\n";
  if (!request.output.empty()) report::write_file(request.output, dump(document, 2) + "\n");
  std::cout << text;
  return 0;
}

}  // namespace

int compare(const std::vector<std::string>& arguments) { return execute(arguments, false); }
int run(const std::vector<std::string>& arguments) { return execute(arguments, true); }

}  // namespace kpksim::app
