// kpksim run and kpksim compare: one workload under one or several policies.

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/options.h"
#include "app/output.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/kernel/pgtable.h"
#include "sim/kernel/policy_file.h"
#include "sim/report/table.h"
#include "sim/report/uncertainty.h"
#include "sim/workload/size.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using nlohmann::ordered_json;

constexpr unsigned kMaxDraws = 100'000;
// A draw's number stands below it.
constexpr std::uint64_t kMaxSeed = 0xffffffff;

struct Request {
  std::vector<std::string> files;
  std::vector<std::string> policies;
  std::string policy_set;
  std::vector<std::string> sizes;
  bool assumptions = false;
  std::string core, kernel, memory, output, format, left_out;
  unsigned cores = 1, hz = 0, jobs = 1, draws = 0;
  std::uint64_t seed = 1;
  bool quiet = false;
};

constexpr const char* kRunExamples =
    "  kpksim run -p kpkeys-poe,per-page,pte thp\n"
    "  kpksim run --memory 4GiB --cores 4 -f csv my.json\n"
    "  kpksim run --leave-out-tlbi unmap munmap-1g\n";
constexpr const char* kCompareExamples =
    "  kpksim compare -p none,buddy,pte -p kpkeys-poe+lazy,pba,block fork-1g\n"
    "  kpksim compare --policies all fork-1g\n"
    "  kpksim compare -o result.json --core my-core.json my.strace\n"
    "  kpksim compare --uncertainty 200 --hz 250 --cores 64 fork-1g\n";

void add_options(bool single, po::options_description& options, Request& request) {
  auto* policy = texts_option("--policy", request.policies);
  if (!single) {
    options.add_options()("policies", text_option("--policies", request.policy_set),
                          "all: each protection, window, allocator and linear map in a natural "
                          "combination; every: all that go together; or a JSON file of policies "
                          "by name (docs/policies.schema.json)");
  }
  options.add_options()(
      "policy,p",
      single ? policy->default_value({default_policies()[2]}, default_policies()[2]) : policy,
      single
          ? "protection[+window],allocator,linear-map; see kpksim list policies"
          : "protection[+window],allocator,linear-map; repeatable; default: those of kpksim list "
            "policies")("core", text_option("--core", request.core)->default_value("neoverse-v1"),
                        "core profile: a JSON file, or a name of kpksim list cores")(
      "kernel", text_option("--kernel", request.kernel)->default_value("linux-6.12-kpkeys"),
      "kernel profile: a JSON file, or a name of kpksim list kernels")(
      "cores", number_option("--cores", request.cores)->default_value("1"), "number of cores")(
      "hz", number_option("--hz", request.hz)->default_value("0"),
      "timer interrupts a second of simulated time (Linux: CONFIG_HZ, often 250), which RCU's "
      "grace "
      "periods wait for; 0: none, and a grace period passes at the end of each call")(
      "memory,m", text_option("--memory", request.memory)->default_value("8G"),
      "physical memory: bytes, or with K, M, G or T (powers of 1024; KiB, MiB, ... are the same)")(
      "jobs,j", jobs_option(request.jobs), "threads (the results do not depend on it)")(
      "uncertainty",
      number_option("--uncertainty", request.draws, 0, kMaxDraws)
          ->default_value("0")
          ->value_name("N"),
      "medians and 90 % intervals over N draws of the core's estimated numbers from their ranges")(
      "seed", number_option("--seed", request.seed, 0, kMaxSeed)->default_value("1"),
      "of those draws")("output,o", text_option("--output", request.output),
                        "write the full JSON document to this file")(
      "format,f", text_option("--format", request.format)->default_value("table"),
      "table, json or csv")(
      "sizes", texts_option("--sizes", request.sizes),
      "file of '# program' lines: sizes of the programs that a recording executes "
      "(traces/programs.sh)")("assumptions", po::bool_switch(&request.assumptions),
                              "print what the recording cannot say and a rule has filled in")(
      "leave-out-tlbi", text_option("--leave-out-tlbi", request.left_out)->default_value("none"),
      "fault injection: the kernel forgets the TLB invalidations of this place, e.g. unmap; exit "
      "status 1 if a stale translation is found")("quiet,q", po::bool_switch(&request.quiet),
                                                  "no progress bar");
}

// False: only the help was asked for.
bool parse(const std::vector<std::string>& arguments, bool single, Request& request) {
  po::options_description options(
      single
          ? "kpksim run [options] WORKLOAD\n"
            "One workload under one policy, a column for each phase. WORKLOAD is a workload file\n"
            "(.json), a strace recording or a name of kpksim list workloads; a file wins. The\n"
            "files of strace -ff -o PREFIX are one run, called PREFIX"
          : "kpksim compare [options] WORKLOAD...\n"
            "A workload under several policies, a column for each. WORKLOAD is a workload file\n"
            "(.json), a strace recording or a name of kpksim list workloads; a file wins. The\n"
            "files of strace -ff -o PREFIX are one run, called PREFIX");
  add_options(single, options, request);
  if (!read_command_line(arguments, options, single ? kRunExamples : kCompareExamples,
                         {{"file", texts_option("WORKLOAD", request.files), -1}}))
    return false;
  if (request.policies.empty() && request.policy_set.empty()) request.policies = default_policies();
  if (request.files.empty()) throw InputError("no workload given; see kpksim list workloads");
  if (single && request.policies.size() > 1)
    throw InputError("run takes one policy; compare takes several");
  std::vector<std::string> once = request.policies;
  std::sort(once.begin(), once.end());
  const auto twice = std::adjacent_find(once.begin(), once.end());
  if (twice != once.end()) throw InputError(fmt::format("--policy: '{}' is given twice", *twice));
  check_choice("--format", request.format, {"table", "json", "csv"});
  return true;
}

// What was read would be gone.
void refuse_input_as_output(const Request& request) {
  std::vector<std::string> inputs = request.files;
  inputs.insert(inputs.end(), {request.core, request.kernel, request.policy_set});
  for (const std::string& input : inputs) {
    std::error_code none;
    if (std::filesystem::equivalent(input, request.output, none) && !none &&
        std::filesystem::is_regular_file(input, none)) {
      throw InputError(fmt::format("--output: {} is an input too", request.output));
    }
  }
}

std::vector<kernel::NamedPolicy> policies(const Request& request, const cpu::CoreProfile& core) {
  std::vector<kernel::NamedPolicy> out;
  const auto add = [&](const std::vector<kernel::Policy>& more) {
    for (const kernel::Policy& policy : more) {
      const bool known = std::any_of(
          out.begin(), out.end(), [&](const kernel::NamedPolicy& n) { return n.policy == policy; });
      if (!known) out.push_back({"", policy});
    }
  };
  for (const std::string& text : request.policies) add({kernel::parse_policy(text)});
  if (request.policy_set == "all") {
    add(kernel::natural_policies(core));
  } else if (request.policy_set == "every") {
    add(kernel::every_policy(core));
  } else if (!request.policy_set.empty()) {
    std::error_code none;
    if (!std::filesystem::exists(request.policy_set, none)) {
      throw InputError(fmt::format("--policies: '{}' is no file{}", request.policy_set,
                                   suggest(request.policy_set, {"all", "every"})));
    }
    const auto named = kernel::read_policies(request.policy_set);
    out.insert(out.end(), named.begin(), named.end());
  }
  return out;
}

std::vector<kernel::Config> configurations(const Request& request, const cpu::CoreProfile& core) {
  std::vector<kernel::Config> configs;
  for (const kernel::NamedPolicy& named : policies(request, core)) {
    kernel::Config config;
    config.policy = named.policy;
    config.policy_name = named.name;
    config.cores = request.cores;
    config.hz = request.hz;
    config.memory_bytes = workload::parse_size(request.memory, "--memory");
    config.left_out_tlbi = kernel::parse_flush_site(request.left_out);
    kernel::check(config);
    configs.push_back(config);
  }
  return configs;
}

bool is_stale(const ordered_json& run) {
  const ordered_json& audit = run["total"]["audit"];
  return audit["stale_leaves"] != 0 || audit["stale_tables"] != 0;
}

// The document of all workloads, and `text`: what is printed.
ordered_json simulate(const Request& request, bool single, std::string& text) {
  const cpu::CoreProfile core = read_core(request.core);
  const kernel::KernelProfile kernel = read_kernel(request.kernel);
  const std::vector<kernel::Config> configs = configurations(request, core);
  // All input is read before the first simulation starts: a mistake in the last file costs nothing.
  const std::vector<workload::Workload> workloads = read_workloads(request.files, request.sizes);
  if (single && workloads.size() > 1)
    throw InputError("run takes one workload; compare takes several");
  report::TableStyle style = terminal_style();
  style.assumptions = request.assumptions;
  ordered_json document = {{"schema", report::kSchemaVersion}, {"runs", ordered_json::array()}};
  const std::vector<cpu::CoreProfile> draws = draw_cores(request.core, request.draws, request.seed);
  for (std::size_t i = 0; i < workloads.size(); ++i) {
    std::string label = workloads[i].name;
    if (workloads.size() > 1) label += fmt::format(", {} of {}", i + 1, workloads.size());
    const auto runs =
        run_all(workloads[i], core, kernel, configs, {label, request.jobs, request.quiet});
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
  if (!parse(arguments, single, request)) return 0;
  if (!request.output.empty()) {
    refuse_input_as_output(request);
    check_writable(request.output);
  }
  std::string text;
  ordered_json document;
  try {
    document = simulate(request, single, text);
  } catch (const kernel::KernelOops& e) {
    if (request.left_out == "none") throw;
    complain(fmt::format("the simulated kernel died of the flush left out ({}): {}",
                         request.left_out, e.what()));
    return 1;
  }
  // The file first: whoever reads standard output may go away. And what cannot be kept is shown.
  std::exception_ptr unwritten;
  if (!request.output.empty()) {
    try {
      write_file(request.output, report::document_text(document));
    } catch (const OutputError&) {
      unwritten = std::current_exception();
    }
  }
  std::cout << text;
  if (unwritten) std::rethrow_exception(unwritten);
  return std::any_of(document["runs"].begin(), document["runs"].end(), is_stale) ? 1 : 0;
}

}  // namespace

int compare(const std::vector<std::string>& arguments) { return execute(arguments, false); }
int run(const std::vector<std::string>& arguments) { return execute(arguments, true); }

}  // namespace kpksim::app
