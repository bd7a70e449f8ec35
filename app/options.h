#pragma once
// What the subcommands share: policies by name, reading a workload of either kind, running it.

#include <string>
#include <vector>

#include "sim/kernel/system.h"
#include "sim/report/result.h"
#include "sim/workload/operation.h"

namespace kpksim::app {

// "protection[+batch],allocator,granularity", e.g. "kpkeys-poe+batch,pba,block".
kernel::Config parse_policy(const std::string& text);
// The policies that compare shows unless told otherwise.
const std::vector<std::string>& default_policies();

// A workload file (.json) or a strace recording (anything else, plain, gzip or zstd).
workload::Workload read_workload(const std::string& path);
// The folder of shipped data with `kind` below it, e.g. "profiles/cores".
std::string data_path(const std::string& kind);

nlohmann::ordered_json run(const workload::Workload& workload, const cpu::CoreProfile& profile,
                           const kernel::Config& config, const std::string& label);

int compare(const std::vector<std::string>& arguments, bool single);
int conform(const std::vector<std::string>& arguments);
int list(const std::vector<std::string>& arguments);

}  // namespace kpksim::app
