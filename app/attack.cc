// kpksim attack: data-only attacks under policies, as a matrix.

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/data.h"
#include "app/options.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/words.h"
#include "sim/attack/battle.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/base/parallel.h"
#include "sim/report/attack_table.h"
#include "sim/watch/recorder.h"
#include "sim/watch/trace_file.h"
#include "sim/workload/size.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using nlohmann::ordered_json;

struct AttackRequest {
  std::vector<std::string> scenarios, policies;
  std::string core, kernel, memory, output, format, timeline;
  unsigned cores = 2, jobs = 1, draws = 100, seed = 1;
  bool explain = false, quiet = false, tagged_objects = false, interleave = false;
};

std::vector<std::string> inputs_of(const AttackRequest& request) {
  std::vector<std::string> inputs = request.scenarios;
  inputs.insert(inputs.end(), {request.core, request.kernel});
  return inputs;
}

constexpr const char* kAttackExamples =
    "  kpksim attack\n"
    "  kpksim attack dirty-pagetable -p none,buddy,pte -p kpkeys-poe,pba,block --explain\n"
    "  kpksim attack --draws 1000 cross-cache -p mte,per-page,pte\n"
    "  kpksim attack --core sapphire-rapids -p kpkeys-pks,per-page,pte my-attack.json\n";

bool parse(const std::vector<std::string>& arguments, AttackRequest& request) {
  po::options_description options(
      "kpksim attack [options] [SCENARIO...|all]\n"
      "What data-only attacks reach under policies: a row for each scenario, a column for each\n"
      "policy. SCENARIO is a file of an attack (.json), or a name of kpksim list attacks; all of\n"
      "them unless told otherwise");
  options.add_options()("policy,p", texts_option("--policy", request.policies, policy_words),
                        "as compare takes it; repeatable; default: twelve that differ")(
      "core", text_option("--core", request.core, core_words)->default_value("neoverse-v2"),
      "core profile: a JSON file, or a name of kpksim list cores")(
      "kernel",
      text_option("--kernel", request.kernel, kernel_words)->default_value("linux-6.12-kpkeys"),
      "kernel profile: a JSON file, or a name of kpksim list kernels")(
      "cores", number_option("--cores", request.cores, 2, 256)->default_value("2"),
      "number of cores: another one may strike")(
      "memory,m", text_option("--memory", request.memory)->default_value("512M"),
      "physical memory: bytes, or with K, M, G or T")("jobs,j", jobs_option(request.jobs),
                                                      "threads (the results do not depend on it)")(
      "draws", number_option("--draws", request.draws, 1, 1000000)->default_value("100"),
      "of policies with tags: how often tags are drawn anew")(
      "seed", number_option("--seed", request.seed)->default_value("1"), "of these draws")(
      "tagged-objects", po::bool_switch(&request.tagged_objects),
      "under policies with tags what the kernel takes for objects has tags too (as with\n"
      "KASAN_HW_TAGS), not page tables alone")(
      "interleave", po::bool_switch(&request.interleave),
      "cores run at once, interleaved in simulated time (docs/interleaving.md): a strike from\n"
      "another core falls when that core's own clock has got there; a scenario may ask for it\n"
      "itself")(
      "explain", po::bool_switch(&request.explain),
      "each strike: its fault, the walk and the registers; proofs; where it first goes another\n"
      "way than without protection")(
      "timeline", text_option("--timeline", request.timeline)->value_name("FILE"),
      "of one scenario under one policy: what happened when on each core, with the strikes, as\n"
      "trace events that Perfetto opens (docs/timeline.md)")(
      "output,o", text_option("--output", request.output),
      "write the full JSON document to this file")(
      "format,f",
      choice_option("--format", request.format, {"table", "json"})->default_value("table"),
      "table or json")("quiet,q", po::bool_switch(&request.quiet), "no progress bar");
  if (!read_command_line(
          arguments, options, kAttackExamples,
          {{"scenario", texts_option("SCENARIO", request.scenarios, attack_words), -1}}))
    return false;
  if (request.policies.empty()) request.policies = attack::usual_policies();
  return true;
}

}  // namespace

std::string attack_path(const std::string& name) {
  std::error_code none;
  if (name.find('/') != std::string::npos || name.ends_with(".json") ||
      std::filesystem::is_regular_file(name, none)) {
    return name;
  }
  const std::vector<std::string> known = shipped_attacks();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    throw InputError(fmt::format("'{}' is not an attack{}", name, suggest(name, known)));
  }
  return data_path("workloads/attacks/" + name + ".json");
}

namespace {

std::vector<attack::Scenario> scenarios(const AttackRequest& request) {
  std::vector<std::string> names = request.scenarios;
  const bool all = names.empty() || std::find(names.begin(), names.end(), "all") != names.end();
  if (all) names = shipped_attacks();
  std::vector<attack::Scenario> out;
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    const std::string path = attack_path(name);
    if (std::find(paths.begin(), paths.end(), path) != paths.end()) {
      std::cerr << fmt::format("kpksim: '{}' is given twice: it runs once\n", name);
      continue;
    }
    paths.push_back(path);
    out.push_back(attack::read_scenario(path));
  }
  return out;
}

// The same machine and linear map with nothing that protects page tables.
kernel::Config unprotected(const kernel::Config& config) {
  kernel::Config out = config;
  out.policy = kernel::parse_policy("none,buddy,pte");
  out.policy.linear_map = config.policy.linear_map;
  return out;
}

std::string met(const mmu::Fault& fault) {
  if (!fault) return "nothing: it went through";
  return fmt::format("{}{} fault, level {}", mmu::kFaultNames[static_cast<std::size_t>(fault.kind)],
                     fault.overlay ? " (overlay)" : "", fault.level);
}

// The strikes among what the kernel did, as a timeline draws it.
class Drawn final : public attack::Audience {
 public:
  Drawn(StreamedFile& out, std::string_view title) : out_(out), trace_(out, title) {}
  void begin(kernel::Kernel& kernel) override {
    watch::RecorderOptions all;
    all.timeline.emplace();
    recorder_.emplace(kernel, all, &trace_);
  }
  void phase(const std::string& name) override {
    recorder_->begin_phase(name);
    out_.check();
  }
  void struck(cpu::Core& core, const attack::Blow& blow) override {
    const ordered_json about = {{"what", blow.what}, {"met", met(blow.fault)}};
    recorder_->strike(core, about.dump());
  }
  void end() override {
    recorder_->finish();
    recorder_.reset();
  }

 private:
  StreamedFile& out_;
  watch::TraceFile trace_;
  std::optional<watch::Recorder> recorder_;
};

void draw_timeline(const std::string& path, const attack::Scenario& scenario,
                   const cpu::CoreProfile& core, const kernel::KernelProfile& profile,
                   const kernel::Config& config, const attack::Draws& draws, std::uint64_t point) {
  StreamedFile file(path);
  Drawn drawn(file, fmt::format("{}: {}", scenario.name, kernel::text_of(config.policy)));
  attack::replay(scenario, core, profile, config, draws, point, drawn);
  file.commit();
}

void check_timeline(const AttackRequest& request, std::size_t scenarios, std::size_t policies) {
  if (scenarios != 1 || policies != 1) {
    throw InputError(fmt::format(
        "--timeline: expected one scenario and one policy, found {} and {}", scenarios, policies));
  }
  if (request.timeline == request.output || same_file(request.timeline, request.output)) {
    throw InputError(fmt::format("--timeline: {} is the file of --output too", request.timeline));
  }
  refuse_input_as_output("--timeline", request.timeline, inputs_of(request));
  check_writable(request.timeline);
}

}  // namespace

int attack(const std::vector<std::string>& arguments) {
  AttackRequest request;
  if (!parse(arguments, request)) return 0;
  if (!request.output.empty()) {
    refuse_input_as_output("--output", request.output, inputs_of(request));
    check_writable(request.output);
  }
  const cpu::CoreProfile core = read_core(request.core);
  const kernel::KernelProfile profile = read_kernel(request.kernel);
  std::vector<kernel::Config> configs;
  for (const std::string& text : request.policies) {
    kernel::Config config;
    config.policy = kernel::parse_policy(text);
    config.cores = request.cores;
    config.interleave = request.interleave;
    config.memory_bytes = workload::parse_size(request.memory, "--memory");
    kernel::check(config);
    configs.push_back(config);
  }
  const std::vector<attack::Scenario> all = scenarios(request);
  if (!request.timeline.empty()) check_timeline(request, all.size(), configs.size());
  std::vector<std::vector<report::Fought>> verdicts(all.size());
  for (auto& row : verdicts) row.resize(configs.size());
  Progress progress("attacks", all.size() * configs.size(), "fights", request.quiet);
  parallel_for(all.size() * configs.size(), request.jobs, [&](std::size_t i) {
    const std::size_t s = i / configs.size(), p = i % configs.size();
    const attack::Draws draws{request.draws, request.seed, request.tagged_objects};
    report::Fought& cell = verdicts[s][p];
    cell.under = attack::fight(all[s], core, profile, configs[p], draws);
    if (request.explain) {
      cell.without = attack::fight(all[s], core, profile, unprotected(configs[p]));
    }
    progress.add(1);
  });
  if (!request.timeline.empty()) {
    const attack::Draws draws{request.draws, request.seed, request.tagged_objects};
    draw_timeline(request.timeline, all[0], core, profile, configs[0], draws,
                  verdicts[0][0].under.point);
  }
  ordered_json document = report::attack_document(all, configs, verdicts, core.name, profile.name);
  if (request.tagged_objects) document["tagged_objects"] = true;
  if (!request.output.empty()) write_file(request.output, report::document_text(document));
  if (request.format == "json") {
    std::cout << report::document_text(document);
  } else {
    std::cout << report::attack_table(document, terminal_style());
    if (request.explain) std::cout << report::attack_explanation(document, terminal_style());
  }
  return 0;
}

}  // namespace kpksim::app
