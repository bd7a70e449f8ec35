#include "app/points.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/data.h"
#include "app/request.h"
#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/base/text_input.h"
#include "sim/kernel/policy_file.h"
#include "sim/report/result.h"
#include "sim/workload/driver.h"
#include "sim/workload/json.h"

namespace kpksim::app {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

// Profiles and workloads with their settings that stay in memory: those of neighbouring points.
constexpr std::size_t kRecent = 32;
// How many points are looked at for one whose settings match.
constexpr sweep::Point kLookedAt = 64;
constexpr const char* kUsualCore = "neoverse-v1";
constexpr const char* kUsualKernel = "linux-6.12-kpkeys";

// FNV-1a, 64 bits: tells documents apart, and is no protection against anybody.
std::string hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

std::string key_of(const std::string& name, const std::vector<Setting>& settings) {
  std::string key = name;
  for (const Setting& s : settings) key += "\n" + s.origin;
  return key;
}

// A message is the same wherever the shipped data lie.
std::string without_data_path(std::string message) {
  const std::string path = data_path("");
  for (auto at = message.find(path); at != std::string::npos; at = message.find(path)) {
    message.erase(at, path.size());
  }
  return message;
}

std::vector<std::string> names_of(const sweep::Spec& spec, const char* key, const char* usual) {
  std::vector<std::string> names = spec.names_of(key);
  if (names.empty() && usual != nullptr) names.emplace_back(usual);
  return names;
}

}  // namespace

// A point on its way to a simulation. What is known when something is wrong with it, its row has.
struct Points::Prepared {
  ordered_json config;
  std::string hash;
  std::shared_ptr<const workload::Workload> workload;
  std::shared_ptr<const cpu::CoreProfile> core;
  std::shared_ptr<const kernel::KernelProfile> kernel;
  kernel::Config machine;
};

Points::Points(const sweep::Spec& spec)
    : spec_(spec), read_cores_(kRecent), read_kernels_(kRecent), read_workloads_(kRecent) {
  for (const std::string& name : names_of(spec, "core", kUsualCore)) {
    const auto& in = cores_.emplace(name, open_core(name)).first->second;
    inputs_["core:" + name] = dump(in.root());
  }
  for (const std::string& name : names_of(spec, "kernel", kUsualKernel)) {
    const auto& in = kernels_.emplace(name, open_kernel(name)).first->second;
    inputs_["kernel:" + name] = dump(in.root());
  }
  for (const std::string& name : names_of(spec, "workload", nullptr)) {
    const WorkloadPlace place = find_workload(name);
    std::string& text = inputs_["workload:" + name];
    if (place.is_json()) {
      documents_[name] = std::make_shared<const JsonFile>(place.paths[0]);
      text = dump(documents_[name]->root());
    } else {
      for (const std::string& path : place.paths) text += hash_of(read_text_file(path));
    }
  }
  for (const auto& [name, text] : inputs_) hashes_[name] = hash_of(text);
  refuse_if_nothing_matches();
}

// A mistake in a name is one of the file, not of each of a million points.
void Points::refuse_if_nothing_matches() {
  std::string first;
  for (sweep::Point p = 0; p < std::min(spec_.points(), kLookedAt); ++p) {
    try {
      Prepared prepared;
      prepare(spec_.settings(p), prepared);
      return;
    } catch (const InputError& e) {
      if (first.empty()) first = e.what();
    }
  }
  spec_.refuse(spec_.settings(0), first);
}

sweep::Identity Points::identity() const {
  return {spec_.name(), spec_.text(), report::version(), spec_.points(), inputs_};
}

std::shared_ptr<const workload::Workload> Points::read(const std::string& name,
                                                       const std::vector<Setting>& settings) {
  return read_workloads_.get(key_of(name, settings), [&] {
    const auto document = documents_.find(name);
    if (document == documents_.end()) return read_workload(name, {}, settings);
    workload::Workload workload = workload::read_json_workload(document->second->with(settings));
    workload.source = find_workload(name).source();
    return workload;
  });
}

void Points::prepare(const std::vector<sweep::Assignment>& assignments, Prepared& out) {
  std::string core = kUsualCore, kernel = kUsualKernel, workload, policy = default_policies()[2];
  std::vector<Setting> settings;
  const std::vector<std::string>& varied = spec_.varied();
  ordered_json point = ordered_json::object(), set = ordered_json::object();
  for (const sweep::Assignment& a : assignments) {
    const json value = json::parse(a.value);
    if (std::find(varied.begin(), varied.end(), a.key) != varied.end()) point[a.key] = value;
    if (a.key == "core") {
      core = value.get<std::string>();
    } else if (a.key == "kernel") {
      kernel = value.get<std::string>();
    } else if (a.key == "workload") {
      workload = value.get<std::string>();
    } else if (a.key == "policy") {
      policy = value.get<std::string>();
    } else {
      const std::string origin = a.key + "=" + a.value;
      settings.push_back(parse_setting_key(a.key, origin));
      settings.back().value = a.value;
      set[a.key] = value;
    }
  }
  out.config = {{"point", point}, {"workload", workload}, {"policy", policy},
                {"core", core},   {"kernel", kernel},     {"set", set}};
  out.hash = hash_of(out.config.dump() + report::version() + hashes_.at("core:" + core) +
                     hashes_.at("kernel:" + kernel) + hashes_.at("workload:" + workload));
  kernel::Policy parts = kernel::parse_policy(policy);
  kernel::check(parts);
  parts = kernel::with_settings(parts, settings_of(settings, "policy"));
  out.config["policy"] = kernel::text_of(parts);
  out.config["parameters"] = kernel::parameters_json(parts);
  Machine machine;
  for (const Setting& s : settings_of(settings, "machine")) set_machine(machine, s);
  out.config["machine"] = machine.json();
  machine.put(out.machine);
  out.machine.policy = parts;
  kernel::check(out.machine);
  const auto of_core = settings_of(settings, "core"), of_kernel = settings_of(settings, "kernel");
  out.core = read_cores_.get(key_of(core, of_core), [&] {
    ProfileReader in = cores_.at(core);
    in.set(of_core, spec_.beyond_ranges());
    return cpu::read_core_profile(std::move(in));
  });
  out.kernel = read_kernels_.get(key_of(kernel, of_kernel), [&] {
    ProfileReader in = kernels_.at(kernel);
    in.set(of_kernel, spec_.beyond_ranges());
    return kernel::read_kernel_profile(std::move(in));
  });
  out.workload = read(workload, settings_of(settings, "workload"));
  if (const auto reason = kernel::reason_against(parts, *out.core)) throw InputError(*reason);
}

sweep::Row Points::evaluate(sweep::Point number) {
  sweep::Row row{number, {}, {}, {}, {}};
  Prepared prepared;
  try {
    prepare(spec_.settings(number), prepared);
    kernel::Kernel kernel(*prepared.core, *prepared.kernel, prepared.machine);
    workload::Driver driver(kernel);
    const auto phases = driver.run(*prepared.workload);
    const ordered_json document = report::run_document(*prepared.workload, kernel, phases,
                                                       driver.ignored(), driver.beyond_memory());
    ordered_json totals = document["total"];
    if (document.contains("violations")) totals["violations"] = document["violations"];
    row.totals = totals.dump();
  } catch (const InputError& e) {
    row.error = without_data_path(e.what());
  } catch (const kernel::KernelOops& e) {
    row.error = std::string("the simulated kernel died: ") + e.what();
  } catch (const ModelError& e) {
    row.error = std::string("a defect of kpksim: ") + e.what();
  }
  row.config = prepared.config.dump();
  row.hash = prepared.hash;
  return row;
}

}  // namespace kpksim::app
