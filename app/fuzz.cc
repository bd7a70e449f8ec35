// kpksim fuzz: random programs under sanitizer and audit, and small ones that reproduce what fails.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <utility>

#include "app/command_line.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/words.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/base/parallel.h"
#include "sim/fuzz/campaign.h"
#include "sim/workload/size.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;

struct FuzzRequest {
  std::vector<std::string> policies, cores, kernels, inject;
  std::string memory, output;
  std::uint64_t seconds = 0, programs = 0, first = 0, seed = 1, kinds = 10;
  unsigned most_cores = 4, operations = 80, jobs = 1;
  bool quiet = false;
};

constexpr const char* kFuzzExamples =
    "  kpksim fuzz --seconds 60\n"
    "  kpksim fuzz --programs 500 --seed 7 -p kpkeys-poe+lazy,pba,block --cores 8\n"
    "  kpksim fuzz --programs 200 --inject skip:tlbi.unmap -p none,buddy,pte -o findings\n";

bool parse(const std::vector<std::string>& arguments, FuzzRequest& request) {
  po::options_description options(
      "kpksim fuzz [options]\n"
      "Random programs of memory operations on several cores, watched by sanitizer and audit. Of\n"
      "each kind of failure one program is made smaller and written as a workload. Exit status 1\n"
      "if there is any (docs/checking.md)");
  options.add_options()("seconds", number_option("--seconds", request.seconds)->default_value("0"),
                        "end after so long; what is found then depends on the machine's speed")(
      "programs", number_option("--programs", request.programs)->default_value("0"),
      "end after so many programs; default: 1000, or as many as --seconds allow")(
      "seed", number_option("--seed", request.seed)->default_value("1"),
      "program N of a seed is the same each time")(
      "first", number_option("--first", request.first)->default_value("0"),
      "number of the first program")(
      "findings", number_option("--findings", request.kinds, 1)->default_value("10"),
      "end when there are so many kinds of failures")(
      "policy,p", texts_option("--policy", request.policies, policy_words),
      "as compare takes it; repeatable; default: all that a core can run")(
      "core", texts_option("--core", request.cores, core_words),
      "core profile: a JSON file, or a name of kpksim list cores; repeatable; default: all that "
      "ship")("kernel", texts_option("--kernel", request.kernels, kernel_words),
              "kernel profile, the same; default: linux-6.12-kpkeys")(
      "cores", number_option("--cores", request.most_cores, 1, 256)->default_value("4"),
      "number of cores, at most: programs have fewer too")(
      "operations",
      number_option("--operations", request.operations, 4, 10000)->default_value("80"),
      "of a program, at most")(
      "memory,m", text_option("--memory", request.memory)->default_value("1G"),
      "physical memory: bytes, or with K, M, G or T; programs map up to 256M")(
      "inject", texts_option("--inject", request.inject, fault_words),
      "fault injection, as run has it: the fuzzer shows what follows")(
      "output,o", text_option("--output", request.output)->default_value("fuzz-findings"),
      "folder for the programs that fail; made if there are any")(
      "jobs,j", jobs_option(request.jobs), "threads (the results do not depend on it)")(
      "quiet,q", po::bool_switch(&request.quiet), "no progress bar");
  if (!read_command_line(arguments, options, kFuzzExamples)) return false;
  if (request.seconds == 0 && request.programs == 0) request.programs = 1000;
  if (request.kernels.empty()) request.kernels = {"linux-6.12-kpkeys"};
  if (request.cores.empty()) request.cores = shipped_cores();
  return true;
}

std::vector<kernel::Policy> policies_of(const FuzzRequest& request, const cpu::CoreProfile& core) {
  if (request.policies.empty()) return kernel::every_policy(core);
  std::vector<kernel::Policy> out;
  for (const std::string& text : request.policies) {
    const kernel::Policy policy = kernel::parse_policy(text);
    kernel::check(policy);
    if (!kernel::reason_against(policy, core)) out.push_back(policy);
  }
  return out;
}

// Each policy on each core that can run it, under each kernel.
std::shared_ptr<fuzz::Places> places_of(const FuzzRequest& request, const fuzz::Machine& machine) {
  std::vector<fuzz::Place> all;
  std::vector<std::shared_ptr<const kernel::KernelProfile>> kernels;
  for (const std::string& name : request.kernels) {
    kernels.push_back(std::make_shared<const kernel::KernelProfile>(read_kernel(name)));
  }
  for (const std::string& name : request.cores) {
    const auto core = std::make_shared<const cpu::CoreProfile>(read_core(name));
    for (const kernel::Policy& policy : policies_of(request, *core)) {
      for (std::size_t k = 0; k < kernels.size(); ++k) {
        all.push_back({core, kernels[k], name, request.kernels[k], policy});
      }
    }
  }
  if (all.empty()) throw InputError("--policy: none of the cores can run it");
  auto places = std::make_shared<fuzz::Places>(all, machine);
  for (std::size_t i = 0; i < places->size(); ++i) {
    if (places->at(i) != nullptr) return places;
  }
  // The first one's reason is as good as any.
  kernel::Config config;
  config.policy = all[0].policy;
  config.memory_bytes = machine.memory_bytes;
  config.injections = machine.injections;
  kernel::check(config);
  const kernel::Kernel kernel(*all[0].core, *all[0].kernel, config);
  throw InputError("no policy can run so");
}

std::string times(std::uint64_t n, const char* what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

void tell(const fuzz::Found& found, const fuzz::Campaign& campaign, const std::string& file) {
  const fuzz::Place& place = *found.drawn.place;
  const fuzz::Program& small = found.small.program;
  std::cout << fmt::format(
      "\n{}\n    in {}, first in program {}: {} on {}\n    {} of its {}, {}{}, after {}\n",
      found.small.failure.text, times(found.programs, "program"), found.number,
      kernel::text_of(place.policy), place.core_name, times(small.ops.size(), "operation"),
      found.drawn.program.ops.size(), times(small.cores, "core"),
      small.interleave ? ", interleaved" : "", times(found.small.trials, "trial"));
  for (const fuzz::Json& op : small.ops) std::cout << "    " << op.dump() << "\n";
  for (const std::string& line : found.small.failure.history) std::cout << "    " << line << "\n";
  if (!found.reproduced) std::cout << "    the file does not reproduce it: a defect of kpksim\n";
  std::cout << fmt::format("    kpksim {}\n", fmt::join(arguments(found, campaign, file), " "));
}

}  // namespace

int fuzz(const std::vector<std::string>& arguments) {
  FuzzRequest request;
  if (!parse(arguments, request)) return 0;
  fuzz::Campaign campaign;
  campaign.machine.memory_bytes = workload::parse_size(request.memory, "--memory");
  for (const std::string& fault : request.inject) {
    campaign.machine.injections.push_back(kernel::parse_injection(fault));
  }
  campaign.places = places_of(request, campaign.machine);
  campaign.bounds.cores = request.most_cores;
  campaign.bounds.operations = request.operations;
  campaign.bounds.interleave = true;
  campaign.seed = request.seed;
  campaign.first = request.first;
  campaign.programs = request.programs;
  campaign.kinds = request.kinds;
  campaign.jobs = request.jobs;
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(request.seconds);
  fuzz::Findings findings;
  {
    Progress progress("fuzz", request.programs, "programs", request.quiet || request.programs == 0);
    std::uint64_t told = 0;
    campaign.go_on = [&](std::uint64_t programs) {
      progress.add(programs - told);
      told = programs;
      return request.seconds == 0 || Clock::now() < end;
    };
    findings = fuzz::search(campaign);
  }
  std::cout << fmt::format(
      "{}, {}, seed {}, {} on {}: {}\n", times(findings.programs, "program"),
      times(findings.operations, "operation"), request.seed,
      times(campaign.places->size(), "place"), times(request.cores.size(), "core profile"),
      findings.found.empty() ? "nothing is wrong" : times(findings.found.size(), "finding"));
  if (findings.found.empty()) return 0;
  std::error_code error;
  std::filesystem::create_directories(request.output, error);
  if (error) throw OutputError(fmt::format("{}: {}", request.output, error.message()));
  const auto file_of = [&](const fuzz::Found& found) {
    return (std::filesystem::path(request.output) / (found.name + ".json")).string();
  };
  // As they are first: making them smaller takes a while, and may be interrupted.
  for (const fuzz::Found& found : findings.found) {
    write_file(file_of(found), workload_text(found, campaign));
  }
  {
    const fuzz::Patience patience;
    Progress progress("smaller", findings.found.size() * patience.trials, "trials", request.quiet);
    parallel_for(findings.found.size(), request.jobs, [&](std::size_t i) {
      std::uint64_t told = 0;
      fuzz::Patience mine = patience;
      mine.tried = [&](std::uint64_t trials) {
        progress.add(trials - std::exchange(told, trials));
      };
      shrink(campaign, findings.found[i], mine);
      progress.add(patience.trials - told);
    });
  }
  for (const fuzz::Found& found : findings.found) {
    write_file(file_of(found), workload_text(found, campaign));
    tell(found, campaign, file_of(found));
  }
  return 1;
}

}  // namespace kpksim::app
