#pragma once
// What run, compare and config are asked for: options, a configuration (kpksim config) and what was
// set, put together to what a simulation needs.

#include <boost/program_options/options_description.hpp>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/options.h"
#include "sim/base/json_file.h"
#include "sim/kernel/policy_file.h"
#include "sim/kernel/system.h"
#include "sim/watch/recorder.h"

namespace kpksim::app {

// What a run's machine has besides its core.
struct Machine {
  unsigned cores = 1, hz = 0, pressure_every = 0;
  bool interleave = false;
  std::string memory = "8G";
  std::vector<std::string> inject;        // faults, as --inject takes them
  std::string kernel_data = kOfWorkload;  // a size, or what the workload says

  static constexpr const char* kOfWorkload = "workload";

  void put(kernel::Config& config) const;
  bool changes_workloads() const { return kernel_data != kOfWorkload; }
  void put(workload::Workload& workload) const;
  nlohmann::ordered_json json() const;
};
// InputError with the nearest name: a machine has nothing that is called so.
void set_machine(Machine& machine, const Setting& setting);

struct Request {
  std::vector<std::string> files;
  std::vector<std::string> policies;
  std::string policy_set;
  std::vector<std::string> sizes;
  std::vector<std::string> set;  // --set, as given
  bool assumptions = false;
  std::string core, kernel, output, format, config;
  Machine machine;
  unsigned jobs = 1, draws = 0;
  std::uint64_t seed = 1;
  bool quiet = false;
  bool check = false;
  // What is recorded beside the counters, and where the timeline goes.
  watch::RecorderOptions record;
  std::string timeline, timeline_window, interval;
  Overrides overrides;
  std::set<std::string> given;            // the options that were there
  std::optional<JsonFile> configuration;  // --config
};

enum class Command : std::uint8_t { kRun, kCompare, kConfig };

// The options of one of the three. `request` is what parse_request() fills.
void add_request_options(Command command, boost::program_options::options_description& options,
                         Request& request);
// False: only the help was asked for.
bool parse_request(const std::vector<std::string>& arguments, Command command, Request& request);

// The core and kernel profiles, in which everything is set.
ProfileReader core_of(const Request& request);
ProfileReader kernel_of(const Request& request);
std::vector<workload::Workload> workloads_of(const Request& request);
// One for each policy.
std::vector<kernel::Config> configurations(const Request& request, const cpu::CoreProfile& core);

}  // namespace kpksim::app
