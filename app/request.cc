#include "app/request.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/configuration.h"
#include "app/words.h"
#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/workload/json.h"
#include "sim/workload/size.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr unsigned kMaxDraws = 100'000;
// A draw's number stands below it.
constexpr std::uint64_t kMaxSeed = 0xffffffff;

constexpr const char* kRunExamples =
    "  kpksim run -p kpkeys-poe,per-page,pte thp\n"
    "  kpksim run --memory 4GiB --cores 4 -f csv my.json\n"
    "  kpksim run --check --inject skip:tlbi.unmap munmap-1g\n"
    "  kpksim run --timeline trace.json --timeline-window 0..1000000 fork-1g\n";
constexpr const char* kCompareExamples =
    "  kpksim compare -p none,buddy,pte -p kpkeys-poe+lazy,pba,block fork-1g\n"
    "  kpksim compare --policies all fork-1g\n"
    "  kpksim compare -o result.json --core my-core.json my.strace\n"
    "  kpksim compare --uncertainty 200 --hz 250 --cores 64 fork-1g\n";
constexpr const char* kConfigExamples =
    "  kpksim config fork-1g\n"
    "  kpksim config --set core:/tlb/l2_sets=512 -o my-config.json fork-1g\n"
    "  kpksim run --config my-config.json\n";
constexpr const char* kRunHelp =
    "kpksim run [options] WORKLOAD\n"
    "One workload under one policy, a column for each phase. WORKLOAD is a workload file\n"
    "(.json), a strace recording or a name of kpksim list workloads; a file wins. The\n"
    "files of strace -ff -o PREFIX are one run, called PREFIX";
constexpr const char* kCompareHelp =
    "kpksim compare [options] WORKLOAD...\n"
    "A workload under several policies, a column for each. WORKLOAD is a workload file\n"
    "(.json), a strace recording or a name of kpksim list workloads; a file wins. The\n"
    "files of strace -ff -o PREFIX are one run, called PREFIX";
constexpr const char* kConfigHelp =
    "kpksim config [options] WORKLOAD\n"
    "All that a run of WORKLOAD depends on, and where each value is from, as a document\n"
    "that run --config runs to the same bytes";
using Options = po::options_description;

void add_model_options(Command command, Options& options, Request& request) {
  auto* policy = texts_option("--policy", request.policies, policy_words);
  const bool single = command != Command::kCompare;
  if (!single) {
    options.add_options()("policies", text_option("--policies", request.policy_set, policies_words),
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
            "policies")(
      "core", text_option("--core", request.core, core_words)->default_value("neoverse-v1"),
      "core profile: a JSON file, or a name of kpksim list cores")(
      "kernel",
      text_option("--kernel", request.kernel, kernel_words)->default_value("linux-6.12-kpkeys"),
      "kernel profile: a JSON file, or a name of kpksim list kernels")(
      "cores", number_option("--cores", request.machine.cores)->default_value("1"),
      "number of cores")(
      "hz", number_option("--hz", request.machine.hz)->default_value("0"),
      "timer interrupts a second of simulated time (Linux: CONFIG_HZ, often 250), which RCU's "
      "grace "
      "periods wait for; 0: none, and a grace period passes at the end of each call")(
      "pressure-every",
      number_option("--pressure-every", request.machine.pressure_every)
          ->default_value("0")
          ->value_name("N"),
      "memory pressure after each N operations, beside what the workload says: the shrinkers run "
      "until they free nothing (as echo 2 > drop_caches); 0: none")(
      "interleave", po::bool_switch(&request.machine.interleave),
      "cores run at once, interleaved in simulated time, and wait at locks (docs/interleaving.md); "
      "else operations take turns")(
      "memory,m", text_option("--memory", request.machine.memory)->default_value("8G"),
      "physical memory: bytes, or with K, M, G or T (powers of 1024; KiB, MiB, ... are the same)")(
      "set", texts_option("--set", request.set, setting_words),
      "one value of a document in the place of what it has: DOCUMENT:/POINTER=VALUE, where "
      "DOCUMENT is policy, core, kernel, workload or machine; repeatable (docs/sweeps.md)")(
      "beyond-ranges", po::bool_switch(&request.overrides.beyond_ranges),
      "--set may give a number of a profile a value outside its range")(
      "kernel-data",
      text_option("--kernel-data", request.machine.kernel_data)
          ->default_value(Machine::kOfWorkload)
          ->value_name("SIZE"),
      "system calls access objects in slabs of SIZE (64M, for example) through the linear map; by "
      "default what the workload says");
  options.add_options()("config", text_option("--config", request.config),
                        single ? "everything from this file, which kpksim config wrote; --set goes "
                                 "on top"
                               : "everything from this file, which kpksim config wrote, but for "
                                 "policies that are given here; --set goes on top");
}

void add_run_options(Options& options, Request& request) {
  options.add_options()("jobs,j", jobs_option(request.jobs),
                        "threads (the results do not depend on it)")(
      "uncertainty",
      number_option("--uncertainty", request.draws, 0, kMaxDraws)
          ->default_value("0")
          ->value_name("N"),
      "medians and 90 % intervals over N draws of the core's estimated numbers from their ranges")(
      "seed", number_option("--seed", request.seed, 0, kMaxSeed)->default_value("1"),
      "of those draws");
}

void add_record_options(Command command, Options& options, Request& request) {
  if (command == Command::kRun) {
    options.add_options()("timeline",
                          text_option("--timeline", request.timeline)->value_name("FILE"),
                          "what happened when on each core, as trace events that Perfetto opens "
                          "(docs/timeline.md)")(
        "timeline-window",
        text_option("--timeline-window", request.timeline_window)->value_name("A..B"),
        "of the timeline, from cycle A of the run to before cycle B alone; A.. and ..B too");
  }
  options.add_options()(
      "interval", text_option("--interval", request.interval)->value_name("N[cycles|ops]"),
      "counters over time in the document: for each N cycles or operations of a phase")(
      "distributions", po::bool_switch(&request.record.distributions),
      "how long calls, faults and parts of the kernel's work took (percentiles), what each TLBI "
      "dropped, and walks by page size");
}

void add_output_options(Command command, Options& options, Request& request) {
  options.add_options()("output,o", text_option("--output", request.output),
                        "write the full JSON document to this file");
  if (command != Command::kConfig) {
    options.add_options()(
        "format,f",
        choice_option("--format", request.format, {"table", "json", "csv"})->default_value("table"),
        "table, json or csv");
  }
  options.add_options()(
      "sizes", texts_option("--sizes", request.sizes),
      "file of '# program' lines: sizes of the programs that a recording executes "
      "(traces/programs.sh)");
  if (command != Command::kConfig) {
    options.add_options()("assumptions", po::bool_switch(&request.assumptions),
                          "print what the recording cannot say and a rule has filled in");
  }
  options.add_options()(
      "inject", texts_option("--inject", request.machine.inject, fault_words),
      "fault injection: skip:SITE, delay:SITE or swap:SITE, and :N for the Nth time alone (kpksim "
      "list sites; docs/checking.md); exit status 1 if what follows is found");
  if (command != Command::kConfig) add_record_options(command, options, request);
  if (command != Command::kConfig) {
    options.add_options()("check", po::bool_switch(&request.check),
                          "watch each page-table write, TLB fill, invalidation and barrier; exit "
                          "status 1 if a rule is broken (docs/checking.md)");
    options.add_options()("quiet,q", po::bool_switch(&request.quiet), "no progress bar");
  }
}

const char* help_of(Command command) {
  if (command == Command::kRun) return kRunHelp;
  return command == Command::kCompare ? kCompareHelp : kConfigHelp;
}
const char* examples_of(Command command) {
  if (command == Command::kRun) return kRunExamples;
  return command == Command::kCompare ? kCompareExamples : kConfigExamples;
}

void set_machine(Request& request) {
  if (request.configuration) {
    const JsonFile& file = *request.configuration;
    const json& machine = file.root()["machine"];
    if (!machine.is_object()) file.fail("/machine", "expected an object");
    for (const auto& [name, value] : machine.items()) {
      const std::string pointer = "/" + pointer_part(name);
      set_machine(request.machine, {"machine", pointer, dump(value),
                                    file.place("/machine" + pointer) + ": /machine" + pointer});
    }
  }
  for (const Setting& s : settings_of(request.overrides.settings, "machine")) {
    set_machine(request.machine, s);
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
  for (kernel::NamedPolicy& named : out) {
    named.policy = with_settings(named.policy, settings_of(request.overrides.settings, "policy"));
  }
  return out;
}

void understand_recording(Request& request) {
  if (!request.interval.empty()) {
    request.record.interval = watch::parse_interval("--interval", request.interval);
  }
  if (!request.timeline.empty()) {
    request.record.timeline.emplace();
  } else if (!request.timeline_window.empty()) {
    throw InputError("--timeline-window: there is no --timeline");
  }
  if (!request.timeline_window.empty()) {
    request.record.timeline = watch::parse_window("--timeline-window", request.timeline_window);
  }
}

}  // namespace

void add_request_options(Command command, Options& options, Request& request) {
  add_model_options(command, options, request);
  if (command != Command::kConfig) add_run_options(options, request);
  add_output_options(command, options, request);
}

bool parse_request(const std::vector<std::string>& arguments, Command command, Request& request) {
  const bool single = command != Command::kCompare;
  po::options_description options(help_of(command));
  add_request_options(command, options, request);
  if (!read_command_line(arguments, options, examples_of(command),
                         {{"file", texts_option("WORKLOAD", request.files, workload_words), -1}},
                         &request.given))
    return false;
  request.overrides.settings.reserve(request.set.size());
  for (const std::string& text : request.set) {
    const Setting& s = request.overrides.settings.emplace_back(parse_setting(text));
    if (s.document == "classes" || s.document == "keys") {
      throw InputError(s.origin + ": protected classes are of kpksim keys, and of sweeps");
    }
  }
  if (!request.config.empty()) read_configuration(command, request);
  set_machine(request);
  if (request.policies.empty() && request.policy_set.empty()) request.policies = default_policies();
  // A size that is none comes first: it may be the name of the workload that seems to be missing.
  workload::parse_size(request.machine.memory, "--memory");
  if (request.machine.changes_workloads()) {
    workload::parse_size(request.machine.kernel_data, "--kernel-data");
  }
  if (request.files.empty() && !request.configuration) {
    throw InputError("no workload given; see kpksim list workloads");
  }
  if (single && request.policies.size() > 1)
    throw InputError("run takes one policy; compare takes several");
  std::vector<std::string> once = request.policies;
  std::sort(once.begin(), once.end());
  const auto twice = std::adjacent_find(once.begin(), once.end());
  if (twice != once.end()) throw InputError(fmt::format("--policy: '{}' is given twice", *twice));
  understand_recording(request);
  return true;
}

void set_machine(Machine& machine, const Setting& setting) {
  const json value = json::parse(setting.value);
  const auto number = [&](unsigned& target, unsigned least) {
    if (!value.is_number_unsigned() || value < least || value > 0xffffffffu) {
      throw InputError(fmt::format("{}: expected a whole number from {}, found {}", setting.origin,
                                   least, dump(value)));
    }
    target = value.get<unsigned>();
  };
  const std::string name = setting.pointer.substr(1);
  const std::string text = value.is_string() ? value.get<std::string>() : dump(value);
  if (name == "cores") {
    number(machine.cores, 1);
  } else if (name == "hz") {
    number(machine.hz, 0);
  } else if (name == "pressure_every") {
    number(machine.pressure_every, 0);
  } else if (name == "interleave") {
    if (!value.is_boolean()) {
      throw InputError(
          fmt::format("{}: expected true or false, found {}", setting.origin, dump(value)));
    }
    machine.interleave = value.get<bool>();
  } else if (name == "memory") {
    workload::parse_size(text, setting.origin);
    machine.memory = text;
  } else if (name == "inject") {
    const auto refuse = [&] {
      throw InputError(fmt::format("{}: expected a fault as 'skip:tlbi.unmap', or a list of them",
                                   setting.origin));
    };
    machine.inject.clear();
    for (const json& fault : value.is_array() ? value : json::array({value})) {
      if (!fault.is_string()) refuse();
      machine.inject.push_back(fault.get<std::string>());
      kernel::parse_injection(machine.inject.back());
    }
  } else if (name == "kernel_data") {
    if (text != Machine::kOfWorkload) workload::parse_size(text, setting.origin);
    machine.kernel_data = text;
  } else {
    throw InputError(fmt::format("{}: a machine has no '/{}'{}", setting.origin, name,
                                 suggest(name, {"cores", "hz", "memory", "inject", "interleave",
                                                "pressure_every", "kernel_data"})));
  }
}

ordered_json Machine::json() const {
  return {{"cores", cores},
          {"memory", memory},
          {"hz", hz},
          {"inject", inject},
          {"pressure_every", pressure_every},
          {"interleave", interleave},
          {"kernel_data", kernel_data}};
}

void Machine::put(kernel::Config& config) const {
  config.cores = cores;
  config.hz = hz;
  config.pressure_every = pressure_every;
  config.interleave = interleave;
  config.memory_bytes = workload::parse_size(memory, "--memory");
  for (const std::string& fault : inject) {
    config.injections.push_back(kernel::parse_injection(fault));
  }
}

void Machine::put(workload::Workload& workload) const {
  if (!changes_workloads()) return;
  if (!workload.kernel_data) workload.kernel_data.emplace();
  workload.kernel_data->working_set = workload::parse_size(kernel_data, "--kernel-data");
}

namespace {

// A profile of the configuration.
ProfileReader part_of(const JsonFile& file, const char* pointer, ProfileReader::Ranges ranges) {
  return {std::make_shared<const JsonFile>(file.part(pointer)), ranges, ""};
}

}  // namespace

ProfileReader core_of(const Request& request) {
  ProfileReader in = request.configuration
                         ? part_of(*request.configuration, "/core", cpu::kCoreRanges)
                         : open_core(request.core);
  in.set(settings_of(request.overrides.settings, "core"), request.overrides.beyond_ranges);
  return in;
}

ProfileReader kernel_of(const Request& request) {
  ProfileReader in = request.configuration ? part_of(*request.configuration, "/kernel",
                                                     ProfileReader::Ranges::kOptional)
                                           : open_kernel(request.kernel);
  in.set(settings_of(request.overrides.settings, "kernel"), request.overrides.beyond_ranges);
  return in;
}

std::vector<workload::Workload> workloads_of(const Request& request) {
  const std::vector<Setting> settings = settings_of(request.overrides.settings, "workload");
  std::vector<workload::Workload> out;
  if (!request.files.empty()) {
    out = read_workloads(request.files, request.sizes, settings);
  } else {
    const JsonFile& file = *request.configuration;
    out.push_back(workload::read_json_workload(file.part("/workload/document").with(settings)));
    out[0].source = file.root()["workload"]["source"].get<std::string>();
  }
  for (workload::Workload& workload : out) request.machine.put(workload);
  return out;
}

std::vector<kernel::Config> configurations(const Request& request, const cpu::CoreProfile& core) {
  std::vector<kernel::Config> configs;
  for (const kernel::NamedPolicy& named : policies(request, core)) {
    kernel::Config config;
    config.policy = named.policy;
    config.policy_name = named.name;
    request.machine.put(config);
    kernel::check(config);
    configs.push_back(config);
  }
  return configs;
}

}  // namespace kpksim::app
