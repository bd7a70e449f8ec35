#include "app/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <sstream>

#include "sim/base/error.h"
#include "sim/workload/json.h"
#include "sim/workload/strace.h"

namespace kpksim::app {

const std::vector<std::string>& default_policies() {
  static const std::vector<std::string> all = {
      "none,buddy,pte",   "kpkeys-poe,per-page,pte",         "kpkeys-poe+batch,per-page,pte",
      "none,buddy,block", "kpkeys-poe+batch,per-page,block", "kpkeys-poe+batch,pba,block"};
  return all;
}

kernel::Config parse_policy(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  if (parts.size() != 3) {
    throw InputError(
        fmt::format("policy '{}': expected protection[+batch],allocator,linear-map, "
                    "for example kpkeys-poe+batch,pba,block",
                    text));
  }
  kernel::Config config;
  config.protection = parts[0];
  if (config.protection.ends_with("+batch")) {
    config.batching = true;
    config.protection.resize(config.protection.size() - 6);
  }
  config.allocator = parts[1];
  config.linear_map = kernel::parse_granularity(parts[2]);
  return config;
}

workload::Workload read_workload(const std::string& path) {
  if (path.ends_with(".json")) return workload::read_json_workload(path);
  return workload::read_strace(path);
}

std::string data_path(const std::string& kind) {
  return std::string(KPKSIM_SOURCE_DIR) + "/" + kind;
}

nlohmann::ordered_json run(const workload::Workload& workload, const cpu::CoreProfile& profile,
                           const kernel::Config& config, const std::string& label) {
  kernel::Kernel kernel(profile, config);
  workload::Driver driver(kernel);
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) {
    driver.on_progress(
        [&](std::uint64_t n) { fmt::print(stderr, "\r{:<40} {:>10} operations", label, n); });
  }
  const auto phases = driver.run(workload);
  if (terminal) fmt::print(stderr, "\r{:60}\r", "");
  return report::run_document(workload, kernel, phases, driver.ignored());
}

}  // namespace kpksim::app
