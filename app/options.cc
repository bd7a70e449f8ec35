#include "app/options.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/data.h"
#include "app/parallel.h"
#include "app/progress.h"
#include "sim/base/error.h"
#include "sim/workload/driver.h"
#include "sim/workload/json.h"
#include "sim/workload/strace.h"
#include "sim/workload/strace_set.h"

namespace kpksim::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTraceEnding = ".strace.zst";
constexpr const char* kCores = "profiles/cores";
constexpr const char* kKernels = "profiles/kernels";

// Names of the files in `folder` that end so, without the ending, sorted.
std::vector<std::string> names_in(const std::string& folder, const std::string& ending) {
  std::vector<std::string> names;
  const fs::path path = data_path(folder);
  if (!fs::is_directory(path)) return names;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(ending) || name == "schema.json") continue;
    names.push_back(name.substr(0, name.size() - ending.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_path(const std::string& name) {
  std::error_code none;  // a name that is too long, say: reading it will tell
  return name.find('/') != std::string::npos || name.ends_with(".json") ||
         (fs::exists(name, none) && !fs::is_directory(name, none));
}

// Where the profile that an option names lies.
std::string profile_path(const std::string& name, const char* option, const char* kind,
                         const std::string& folder) {
  if (is_path(name)) return name;
  std::error_code none;
  std::string path = data_path(folder + "/" + name + ".json");
  if (!fs::exists(path, none)) {
    throw InputError(fmt::format("{}: '{}' is neither a file nor a {} profile{}", option, name,
                                 kind, suggest(name, names_in(folder, ".json"))));
  }
  return path;
}

std::string core_path(const std::string& name) {
  return profile_path(name, "--core", "core", kCores);
}

}  // namespace

const std::vector<std::string>& default_policies() {
  static const std::vector<std::string> all = {
      "none,buddy,pte",   "kpkeys-poe,per-page,pte",        "kpkeys-poe+lazy,per-page,pte",
      "none,buddy,block", "kpkeys-poe+lazy,per-page,block", "kpkeys-poe+lazy,pba,block"};
  return all;
}

std::vector<std::string> shipped_workloads() {
  std::vector<std::string> names = names_in("workloads", ".json");
  for (std::string& trace : names_in("traces", kTraceEnding)) names.push_back(std::move(trace));
  return names;
}

std::vector<std::string> shipped_kernels() { return names_in(kKernels, ".json"); }
std::vector<std::string> shipped_cores() { return names_in(kCores, ".json"); }

cpu::CoreProfile read_core(const std::string& name) {
  return cpu::read_core_profile(core_path(name));
}

std::vector<cpu::CoreProfile> draw_cores(const std::string& name, unsigned n, std::uint64_t seed) {
  std::vector<cpu::CoreProfile> draws;
  for (std::uint64_t i = 0; i < n; ++i) {
    draws.push_back(cpu::draw_core_profile(core_path(name), seed << 32 | i));
  }
  return draws;
}

kernel::KernelProfile read_kernel(const std::string& name) {
  return kernel::read_kernel_profile(profile_path(name, "--kernel", "kernel", kKernels),
                                     data_path(kKernels));
}

workload::Workload read_workload(const std::string& name, const std::vector<std::string>& sizes) {
  const auto read = [&](const std::string& path) {
    return path.ends_with(".json") ? workload::read_json_workload(path)
                                   : workload::read_strace(path, {}, sizes);
  };
  std::error_code none;
  if (!fs::exists(name, none)) {
    const std::vector<std::string> files = workload::files_of_prefix(name);
    if (!files.empty()) return workload::read_strace(files, {}, sizes);
  }
  if (is_path(name) || name.find('.') != std::string::npos) return read(name);
  std::string shipped = "traces/" + name + kTraceEnding;
  if (!fs::exists(data_path(shipped), none)) shipped = "workloads/" + name + ".json";
  if (!fs::exists(data_path(shipped), none)) {
    throw InputError(fmt::format("'{}' is neither a file nor a shipped workload{}", name,
                                 suggest(name, shipped_workloads())));
  }
  workload::Workload workload = read(data_path(shipped));
  // A document says the same wherever kpksim is built or installed.
  workload.source = "shipped:" + shipped;
  return workload;
}

std::vector<workload::Workload> read_workloads(const std::vector<std::string>& names,
                                               const std::vector<std::string>& sizes) {
  std::vector<workload::Workload> workloads;
  for (const std::vector<std::string>& group : workload::group_recordings(names)) {
    workloads.push_back(group.size() == 1 ? read_workload(group[0], sizes)
                                          : workload::read_strace(group, {}, sizes));
  }
  return workloads;
}

std::vector<nlohmann::ordered_json> run_all(const workload::Workload& workload,
                                            const cpu::CoreProfile& core,
                                            const kernel::KernelProfile& profile,
                                            const std::vector<kernel::Config>& configs,
                                            const Effort& effort) {
  std::vector<nlohmann::ordered_json> documents(configs.size());
  Progress progress(effort.label, configs.size() * workload::steps_of(workload), "steps",
                    effort.quiet);
  parallel_for(configs.size(), effort.jobs, [&](std::size_t i) {
    kernel::Kernel kernel(core, profile, configs[i]);
    workload::Driver driver(kernel);
    driver.on_progress([&](std::uint64_t steps) { progress.add(steps); });
    const auto phases = driver.run(workload);
    documents[i] =
        report::run_document(workload, kernel, phases, driver.ignored(), driver.beyond_memory());
  });
  return documents;
}

report::TableStyle terminal_style() {
  report::TableStyle style;
  if (isatty(STDOUT_FILENO) == 0) return style;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) style.width = size.ws_col;
  style.colour = std::getenv("NO_COLOR") == nullptr;  // no-color.org
  return style;
}

}  // namespace kpksim::app
