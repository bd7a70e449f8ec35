// kpksim keys: a workload's protected classes under budgets of keys and strategies.

#include <fmt/core.h>

#include <charconv>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/options.h"
#include "app/output.h"
#include "app/request.h"
#include "app/words.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/kernel/policy_file.h"
#include "sim/keys/budgets.h"
#include "sim/keys/choice.h"
#include "sim/report/check_text.h"
#include "sim/report/keys_table.h"
#include "sim/workload/size.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using nlohmann::ordered_json;

struct KeysRequest {
  std::vector<std::string> files, strategies, set;
  std::string policy, classes, budget, core, kernel, memory, output, format;
  unsigned cores = 1, hz = 0, jobs = 1;
  bool quiet = false, check = false;
  Overrides overrides;
};

constexpr const char* kKeysExamples =
    "  kpksim keys --budget 4..16 compile\n"
    "  kpksim keys --budget 8,16 --strategy virtualised --strategy optimal fork-1g\n"
    "  kpksim keys --set keys:/rate=10 --set classes:/classes/0/objects=4096 compile\n"
    "  kpksim keys --classes my-classes.json -o keys.json my.strace\n";

bool parse(const std::vector<std::string>& arguments, KeysRequest& request) {
  po::options_description options(
      "kpksim keys [options] WORKLOAD\n"
      "Protected classes of kernel objects under budgets of keys: what switches, evictions and\n"
      "sharing cost, and what contexts reach that they do not use. Key 0 is for what is not\n"
      "protected. WORKLOAD is as compare takes it");
  options.add_options()("budget,b", text_option("--budget", request.budget)->default_value("4..16"),
                        "numbers of keys, e.g. 8, 4..16 or 8,16,128 (2 to 128)")(
      "strategy,s", texts_option("--strategy", request.strategies, strategy_words),
      "dedicated, shared-graph, shared-balanced, hierarchical, virtualised or optimal; repeatable; "
      "default: all")(
      "classes", text_option("--classes", request.classes, classes_words)->default_value("linux"),
      "classes and their contexts: a JSON file, or the shipped 'linux'")(
      "policy,p",
      text_option("--policy", request.policy, policy_words)->default_value("kpkeys-poe,pba,block"),
      "of page tables: kpkeys-poe with any window, allocator and linear map")(
      "core", text_option("--core", request.core, core_words)->default_value("neoverse-v1"),
      "core profile: a JSON file, or a name of kpksim list cores")(
      "kernel",
      text_option("--kernel", request.kernel, kernel_words)->default_value("linux-6.12-kpkeys"),
      "kernel profile: a JSON file, or a name of kpksim list kernels")(
      "cores", number_option("--cores", request.cores)->default_value("1"), "number of cores")(
      "hz", number_option("--hz", request.hz)->default_value("0"),
      "timer interrupts a second of simulated time; 0: none")(
      "memory,m", text_option("--memory", request.memory)->default_value("8G"),
      "physical memory: bytes, or with K, M, G or T")("jobs,j", jobs_option(request.jobs),
                                                      "threads (the results do not depend on it)")(
      "set", texts_option("--set", request.set, setting_words),
      "DOCUMENT:/POINTER=VALUE of policy, core, kernel, workload, machine, classes or keys; "
      "repeatable (docs/sweeps.md)")("output,o", text_option("--output", request.output),
                                     "write the full JSON document to this file")(
      "format,f",
      choice_option("--format", request.format, {"table", "json"})->default_value("table"),
      "table or json")(
      "check", po::bool_switch(&request.check),
      "watch each run with the sanitizer (docs/checking.md); exit status 1 if a rule "
      "is broken")("quiet,q", po::bool_switch(&request.quiet), "no progress bar");
  if (!read_command_line(arguments, options, kKeysExamples,
                         {{"file", texts_option("WORKLOAD", request.files, workload_words), -1}}))
    return false;
  if (request.files.empty()) throw InputError("no workload given; see kpksim list workloads");
  if (request.files.size() > 1) throw InputError("keys takes one workload");
  for (const std::string& text : request.set) {
    request.overrides.settings.push_back(parse_setting(text));
  }
  return true;
}

unsigned number(std::string_view text) {
  unsigned n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw InputError(
        fmt::format("--budget: '{}' is no number of keys; expected e.g. 8, 4..16 or "
                    "8,16,128",
                    text));
  }
  return n;
}

std::vector<unsigned> budgets(const std::string& text) {
  std::vector<unsigned> out;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    if (const std::size_t dots = part.find(".."); dots == std::string_view::npos) {
      out.push_back(number(part));
    } else {
      const unsigned first = number(part.substr(0, dots)), last = number(part.substr(dots + 2));
      if (first > last || last > pkrs::kMostBudget) {
        throw InputError(fmt::format("--budget: '{}' is no range; expected from {} to {} at most",
                                     part, pkrs::kLeastBudget, pkrs::kMostBudget));
      }
      for (unsigned n = first; n <= last; ++n) out.push_back(n);
    }
    if (comma == std::string_view::npos) return out;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<pkrs::Strategy> strategies(const KeysRequest& request) {
  std::vector<pkrs::Strategy> out;
  for (const std::string& name : request.strategies) out.push_back(pkrs::parse_strategy(name));
  for (std::size_t i = 0; out.size() < pkrs::kStrategies && request.strategies.empty(); ++i) {
    out.push_back(static_cast<pkrs::Strategy>(i));
  }
  return out;
}

// A run, as its findings are told: by the assignment of its keys.
std::string name_of(const kernel::Config& config) {
  if (config.classes->unprotected) return "no keys for classes";
  const pkrs::Assignment& assignment = config.classes->assignment;
  return fmt::format("{} keys, {}", assignment.budget, pkrs::name_of(assignment.strategy));
}

// The document, and in `text` what the sanitizer found.
ordered_json simulate(const KeysRequest& request, std::string& text) {
  const auto of = [&](const char* document) {
    return settings_of(request.overrides.settings, document);
  };
  ProfileReader core_in = open_core(request.core), kernel_in = open_kernel(request.kernel);
  core_in.set(of("core"), false);
  kernel_in.set(of("kernel"), false);
  const cpu::CoreProfile core = cpu::read_core_profile(std::move(core_in));
  const kernel::KernelProfile profile = kernel::read_kernel_profile(std::move(kernel_in));
  Machine machine;
  machine.cores = request.cores;
  machine.hz = request.hz;
  machine.memory = request.memory;
  for (const Setting& s : of("machine")) set_machine(machine, s);
  kernel::Config base;
  base.policy = kernel::with_settings(kernel::parse_policy(request.policy), of("policy"));
  machine.put(base);
  keys::Choice choice;
  for (const Setting& s : of("keys")) keys::set(choice, s);
  keys::Budgets study(classes_of(open_classes(request.classes), of("classes"), choice.variation),
                      base, choice.budget ? std::vector{*choice.budget} : budgets(request.budget),
                      choice.strategy ? std::vector{*choice.strategy} : strategies(request));
  for (const kernel::Config& config : study.measuring()) kernel::check(config);
  const workload::Workload workload = read_workload(request.files[0], {}, of("workload"));
  std::uint64_t findings = 0;
  const auto all = [&](std::vector<kernel::Config> configs, const std::string& label) {
    for (kernel::Config& config : configs) config.watched = request.check;
    auto runs = run_all(workload, core, profile, configs, {label, request.jobs, request.quiet});
    findings += report::findings(runs);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (report::findings({runs[i]}) == 0) continue;
      text += report::check_text(runs[i], name_of(configs[i]), terminal_style());
    }
    return runs;
  };
  const auto measured = all(study.measuring(), "measuring contexts");
  ordered_json document = study.document(all(study.trials(measured), workload.name));
  if (request.check) document["findings"] = findings;
  if (request.check && findings == 0) text = "checked: nothing is wrong\n";
  return document;
}

}  // namespace

int keys(const std::vector<std::string>& arguments) {
  KeysRequest request;
  if (!parse(arguments, request)) return 0;
  if (!request.output.empty()) {
    refuse_input_as_output("--output", request.output,
                           {request.files.front(), request.classes, request.core, request.kernel});
    check_writable(request.output);
  }
  std::string found;
  const ordered_json document = simulate(request, found);
  if (!request.output.empty()) write_file(request.output, report::document_text(document));
  std::cout << (request.format == "json" ? report::document_text(document)
                                         : report::keys_table(document, terminal_style()) + found);
  return document.value("findings", 0) == 0 ? 0 : 1;
}

}  // namespace kpksim::app
