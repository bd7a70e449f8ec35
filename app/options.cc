#include "app/options.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/data.h"
#include "app/progress.h"
#include "sim/base/error.h"
#include "sim/base/json_file.h"
#include "sim/base/parallel.h"
#include "sim/check/sanitizer.h"
#include "sim/report/check_text.h"
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
constexpr const char* kClasses = "classes";

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
std::string profile_path(const std::string& name, const std::string& who, const char* kind,
                         const std::string& folder) {
  if (is_path(name)) return name;
  std::error_code none;
  std::string path = data_path(folder + "/" + name + ".json");
  if (!fs::exists(path, none)) {
    throw InputError(fmt::format("{}'{}' is neither a file nor a {} profile{}", who, name, kind,
                                 suggest(name, names_in(folder, ".json"))));
  }
  return path;
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

std::vector<std::string> shipped_attacks() { return names_in("workloads/attacks", ".json"); }

std::vector<std::string> shipped_kernels() { return names_in(kKernels, ".json"); }
std::vector<std::string> shipped_classes() { return names_in(kClasses, ".json"); }
std::vector<std::string> shipped_cores() { return names_in(kCores, ".json"); }

ProfileReader open_core(const std::string& name, const std::string& who) {
  return ProfileReader(profile_path(name, who, "core", kCores), cpu::kCoreRanges);
}

ProfileReader open_kernel(const std::string& name, const std::string& who) {
  return ProfileReader(profile_path(name, who, "kernel", kKernels),
                       ProfileReader::Ranges::kOptional, data_path(kKernels));
}

ClassesFile open_classes(const std::string& name, const std::string& who) {
  if (is_path(name)) return {JsonFile(name), name};
  const std::string shipped = fmt::format("{}/{}.json", kClasses, name);
  std::error_code none;
  if (!fs::exists(data_path(shipped), none)) {
    throw InputError(fmt::format("{}'{}' is neither a file nor shipped classes{}", who, name,
                                 suggest(name, shipped_classes())));
  }
  return {JsonFile(data_path(shipped)), "shipped:" + shipped};  // wherever kpksim is installed
}

cpu::CoreProfile read_core(const std::string& name) {
  return cpu::read_core_profile(open_core(name));
}

kernel::Classes classes_of(const ClassesFile& in, const std::vector<Setting>& settings,
                           const kernel::Variation& variation) {
  kernel::Classes out = kernel::read_classes(in.file.with(settings));
  out.source = in.source;
  return kernel::varied(std::move(out), variation);
}

std::vector<cpu::CoreProfile> draw_cores(const ProfileReader& core, unsigned n,
                                         std::uint64_t seed) {
  std::vector<cpu::CoreProfile> draws;
  draws.reserve(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    ProfileReader in = core;
    in.draw(seed << 32 | i);
    draws.push_back(cpu::read_core_profile(std::move(in)));
  }
  return draws;
}

kernel::KernelProfile read_kernel(const std::string& name) {
  return kernel::read_kernel_profile(open_kernel(name));
}

WorkloadPlace find_workload(const std::string& name) {
  std::error_code none;
  if (!fs::exists(name, none)) {
    std::vector<std::string> files = workload::files_of_prefix(name);
    if (!files.empty()) return {std::move(files)};
  }
  if (is_path(name) || name.find('.') != std::string::npos) return {{name}};
  std::string shipped = "traces/" + name + kTraceEnding;
  if (!fs::exists(data_path(shipped), none)) shipped = "workloads/" + name + ".json";
  if (!fs::exists(data_path(shipped), none)) {
    throw InputError(fmt::format("'{}' is neither a file nor a shipped workload{}", name,
                                 suggest(name, shipped_workloads())));
  }
  // A document says the same wherever kpksim is built or installed.
  return {{data_path(shipped)}, "shipped:" + shipped};
}

namespace {

// One file by its path alone, as find_workload() has it.
workload::Workload read_recording(const std::vector<std::string>& paths,
                                  const std::vector<std::string>& sizes,
                                  const std::vector<Setting>& settings) {
  if (!settings.empty()) {
    throw InputError(
        fmt::format("{}: {} is a recording, which has no settings", settings[0].origin, paths[0]));
  }
  return paths.size() == 1 ? workload::read_strace(paths[0], {}, sizes)
                           : workload::read_strace(paths, {}, sizes);
}

}  // namespace

workload::Workload read_workload(const std::string& name, const std::vector<std::string>& sizes,
                                 const std::vector<Setting>& settings) {
  const WorkloadPlace place = find_workload(name);
  workload::Workload workload =
      !place.is_json()   ? read_recording(place.paths, sizes, settings)
      : settings.empty() ? workload::read_json_workload(place.paths[0])
                         : workload::read_json_workload(JsonFile(place.paths[0]).with(settings));
  if (!place.shipped.empty()) workload.source = place.shipped;
  return workload;
}

std::vector<workload::Workload> read_workloads(const std::vector<std::string>& names,
                                               const std::vector<std::string>& sizes,
                                               const std::vector<Setting>& settings) {
  std::vector<workload::Workload> workloads;
  for (const std::vector<std::string>& group : workload::group_recordings(names)) {
    workloads.push_back(group.size() == 1 ? read_workload(group[0], sizes, settings)
                                          : read_recording(group, sizes, settings));
  }
  return workloads;
}

namespace {

nlohmann::ordered_json run_one(const workload::Workload& workload, const cpu::CoreProfile& core,
                               const kernel::KernelProfile& profile, kernel::Config config,
                               const Effort& effort, Progress& progress) {
  config.interleave |= workload.interleave;
  kernel::Kernel kernel(core, profile, config);
  workload::Driver driver(kernel);
  driver.on_progress([&](std::uint64_t steps) { progress.add(steps); });
  std::optional<check::Sanitizer> sanitizer;
  if (config.watched) sanitizer.emplace(kernel);
  std::optional<watch::TraceFile> trace;
  if (effort.timeline != nullptr) {
    trace.emplace(*effort.timeline,
                  fmt::format("{}: {}", workload.name, kernel::text_of(config.policy)));
  }
  std::optional<watch::Recorder> recorder;
  const watch::RecorderOptions& record = effort.record;
  if (record.timeline || record.interval || record.distributions) {
    recorder.emplace(kernel, record, trace ? &*trace : nullptr);
    driver.end_of_phase([&] { recorder->end_phase(); });
    driver.after_operation([&] {
      recorder->after_operation();
      if (effort.timeline != nullptr) effort.timeline->check();
    });
  }
  driver.before_phase([&](const std::string& phase) {
    if (sanitizer) sanitizer->at(phase);
    if (recorder) recorder->begin_phase(phase);
  });
  try {
    const auto phases = driver.run(workload);
    if (recorder) recorder->finish();
    return report::run_document(workload, kernel, phases, driver.ignored(), driver.beyond_memory(),
                                sanitizer ? &sanitizer->report() : nullptr,
                                recorder ? &recorder->phases() : nullptr);
  } catch (const kernel::KernelOops& e) {
    if (recorder) recorder->finish();  // the timeline shows what led there
    if (!sanitizer) throw;
    throw kernel::KernelOops(report::with_findings(e.what(), sanitizer->report()), e.fault);
  }
}

}  // namespace

std::vector<nlohmann::ordered_json> run_all(const workload::Workload& workload,
                                            const cpu::CoreProfile& core,
                                            const kernel::KernelProfile& profile,
                                            const std::vector<kernel::Config>& configs,
                                            const Effort& effort) {
  std::vector<nlohmann::ordered_json> documents(configs.size());
  Progress progress(effort.label, configs.size() * workload::steps_of(workload), "steps",
                    effort.quiet);
  parallel_for(configs.size(), effort.jobs, [&](std::size_t i) {
    documents[i] = run_one(workload, core, profile, configs[i], effort, progress);
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
