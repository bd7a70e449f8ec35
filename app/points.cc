#include "app/points.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "app/data.h"
#include "app/request.h"
#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/base/text_input.h"
#include "sim/check/sanitizer.h"
#include "sim/kernel/policy_file.h"
#include "sim/keys/budgets.h"
#include "sim/report/check_text.h"
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
  std::shared_ptr<const kernel::Classes> classes;  // if there are any
  keys::Choice keys;
  kernel::Config machine;
  std::string shared;  // all of these but for budget and strategy, as a key
};

Points::Points(const sweep::Spec& spec, bool check)
    : spec_(spec),
      check_(check),
      read_cores_(kRecent),
      read_kernels_(kRecent),
      read_workloads_(kRecent),
      read_classes_(kRecent),
      measured_(kRecent) {
  read_inputs();
  for (const auto& [name, text] : inputs_) hashes_[name] = hash_of(text);
  if (check_) inputs_["--check"] = "on";  // rows with findings are no rows without
  refuse_if_nothing_matches();
}

void Points::read_inputs() {
  // What is wrong with a name is told at its place in the sweep's file.
  const auto each = [&](const char* key, const char* usual, const auto& read) {
    for (const std::string& name : names_of(spec_, key, usual)) {
      try {
        inputs_[fmt::format("{}:{}", key, name)] = read(name);
      } catch (const InputError& e) {
        spec_.refuse({key, dump(json(name))}, e.what());
      }
    }
  };
  each("core", kUsualCore, [&](const std::string& name) {
    return dump(cores_.emplace(name, open_core(name, "")).first->second.root());
  });
  each("kernel", kUsualKernel, [&](const std::string& name) {
    return dump(kernels_.emplace(name, open_kernel(name, "")).first->second.root());
  });
  each("classes", nullptr, [&](const std::string& name) {
    return dump(classes_.emplace(name, open_classes(name, "")).first->second.file.root());
  });
  each("workload", nullptr, [&](const std::string& name) {
    const WorkloadPlace place = find_workload(name);
    if (place.is_json()) {
      documents_[name] = std::make_shared<const JsonFile>(place.paths[0]);
      return dump(documents_[name]->root());
    }
    std::string text;
    for (const std::string& path : place.paths) text += hash_of(read_text_file(path));
    return text;
  });
}

// A mistake in a name is one of the file, not of each of a million points. Either no point can be
// prepared, or none that has a certain text, and then the mistake is there.
void Points::refuse_if_nothing_matches() {
  // What is wrong with the first of these points; nothing, if one of them can be prepared.
  const auto wrong_with = [&](const std::vector<sweep::Point>& points) {
    std::string first;
    for (const sweep::Point p : points) {
      try {
        Prepared prepared;
        prepare(spec_.settings(p), prepared);
        return std::string();
      } catch (const InputError& e) {
        if (first.empty()) first = e.what();
      }
    }
    return first;
  };
  std::vector<sweep::Point> first(std::min(spec_.points(), kLookedAt));
  std::iota(first.begin(), first.end(), 0);
  const std::string wrong = wrong_with(first);
  if (!wrong.empty()) spec_.refuse_key(spec_.settings(0), wrong);
  for (const auto& [what, points] : spec_.listed_texts(kLookedAt)) {
    if (const std::string said = wrong_with(points); !said.empty()) {
      // Of a point that is wrong anyway, each of its texts would be blamed.
      if (wrong.empty() ||
          said.find(json::parse(what.value).get<std::string>()) != std::string::npos) {
        spec_.refuse(what, said);
      }
    }
  }
  if (!wrong.empty()) spec_.refuse(wrong);
}

sweep::Identity Points::identity() const {
  return {spec_.name(), spec_.text(), report::version(), spec_.points(), inputs_};
}

std::shared_ptr<const workload::Workload> Points::read(const std::string& name,
                                                       const std::vector<Setting>& settings,
                                                       const Machine& machine) {
  const std::string key = key_of(name, settings);
  auto plain = read_workloads_.get(key, [&] {
    const auto document = documents_.find(name);
    if (document == documents_.end()) return read_workload(name, {}, settings);
    workload::Workload workload = workload::read_json_workload(document->second->with(settings));
    workload.source = find_workload(name).source();
    return workload;
  });
  if (!machine.changes_workloads()) return plain;
  return read_workloads_.get(key + "\n\n" + machine.kernel_data, [&] {
    workload::Workload workload = *plain;
    machine.put(workload);
    return workload;
  });
}

namespace {

// What a point's assignments say, apart.
struct Named {
  std::string core = kUsualCore, kernel = kUsualKernel, workload, policy = default_policies()[2],
              classes;
  std::vector<Setting> settings;
  ordered_json point = ordered_json::object(), set = ordered_json::object();
};

Named named(const std::vector<sweep::Assignment>& assignments,
            const std::vector<std::string>& varied) {
  Named out;
  const std::pair<const char*, std::string&> documents[] = {{"core", out.core},
                                                            {"kernel", out.kernel},
                                                            {"workload", out.workload},
                                                            {"policy", out.policy},
                                                            {"classes", out.classes}};
  for (const sweep::Assignment& a : assignments) {
    const json value = json::parse(a.value);
    if (std::find(varied.begin(), varied.end(), a.key) != varied.end()) out.point[a.key] = value;
    const auto document = std::find_if(std::begin(documents), std::end(documents),
                                       [&](const auto& d) { return d.first == a.key; });
    if (document != std::end(documents)) {
      document->second = value.get<std::string>();
      continue;
    }
    const std::string origin = a.key + "=" + a.value;
    out.settings.push_back(parse_setting_key(a.key, origin));
    out.settings.back().value = a.value;
    out.set[a.key] = value;
  }
  return out;
}

}  // namespace

void Points::prepare(const std::vector<sweep::Assignment>& assignments, Prepared& out) {
  const Named names = named(assignments, spec_.varied());
  const std::vector<Setting>& settings = names.settings;
  out.config = {{"point", names.point}, {"workload", names.workload}, {"policy", names.policy},
                {"core", names.core},   {"kernel", names.kernel},     {"set", names.set}};
  if (!names.classes.empty()) out.config["classes"] = names.classes;
  std::string all = out.config.dump() + report::version();
  if (check_) all += "--check";
  for (const auto& [key, name] : {std::pair{"core", names.core},
                                  {"kernel", names.kernel},
                                  {"workload", names.workload},
                                  {"classes", names.classes}}) {
    if (!name.empty()) all += hashes_.at(fmt::format("{}:{}", key, name));
  }
  out.hash = hash_of(all);
  kernel::Policy parts = kernel::parse_policy(names.policy);
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
  const auto of_core = settings_of(settings, "core"), of_kernel = settings_of(settings, "kernel"),
             of_workload = settings_of(settings, "workload");
  const std::string core_key = key_of(names.core, of_core),
                    kernel_key = key_of(names.kernel, of_kernel);
  out.core = read_cores_.get(core_key, [&] {
    ProfileReader in = cores_.at(names.core);
    in.set(of_core, spec_.beyond_ranges());
    return cpu::read_core_profile(std::move(in));
  });
  out.kernel = read_kernels_.get(kernel_key, [&] {
    ProfileReader in = kernels_.at(names.kernel);
    in.set(of_kernel, spec_.beyond_ranges());
    return kernel::read_kernel_profile(std::move(in));
  });
  out.workload = read(names.workload, of_workload, machine);
  out.machine.interleave |= out.workload->interleave;
  kernel::check(out.machine);
  if (const auto reason = kernel::reason_against(parts, *out.core)) throw InputError(*reason);
  out.shared = core_key + "\n\n" + kernel_key + "\n\n" + key_of(names.workload, of_workload) +
               "\n\n" + out.config["policy"].dump() + out.config["machine"].dump();
  prepare_classes(names.classes, settings, out);
}

void Points::prepare_classes(const std::string& name, const std::vector<Setting>& settings,
                             Prepared& out) {
  const auto of_classes = settings_of(settings, "classes"), of_keys = settings_of(settings, "keys");
  if (name.empty()) {
    if (of_classes.empty() && of_keys.empty()) return;
    const Setting& one = of_classes.empty() ? of_keys[0] : of_classes[0];
    throw InputError(one.origin + ": the point has no \"classes\"");
  }
  for (const Setting& s : of_keys) keys::set(out.keys, s);
  if (!out.keys.budget || !out.keys.strategy) {
    throw InputError(
        fmt::format("\"classes\" without keys:/{}", out.keys.budget ? "strategy" : "budget"));
  }
  const kernel::Variation& variation = out.keys.variation;
  const std::string key = fmt::format("{}\n{} {}", key_of(name, of_classes), variation.rate,
                                      variation.first.value_or(0));
  out.shared += "\n\n" + key;
  out.classes =
      read_classes_.get(key, [&] { return classes_of(classes_.at(name), of_classes, variation); });
  // Any assignment will do, to see whether the policy can have protected classes.
  kernel::Config config = out.machine;
  config.classes = std::make_shared<const kernel::ClassPlan>();
  kernel::check(config);
}

ordered_json Points::run(const Prepared& prepared, kernel::Config config) const {
  config.watched = check_;
  kernel::Kernel kernel(*prepared.core, *prepared.kernel, config);
  workload::Driver driver(kernel);
  std::optional<check::Sanitizer> sanitizer;
  if (check_) sanitizer.emplace(kernel);
  const auto phases = driver.run(*prepared.workload);
  return report::run_document(*prepared.workload, kernel, phases, driver.ignored(),
                              driver.beyond_memory(), sanitizer ? &sanitizer->report() : nullptr);
}

ordered_json Points::totals(const Prepared& prepared) {
  if (prepared.classes) return totals_of_keys(prepared);
  const ordered_json document = run(prepared, prepared.machine);
  ordered_json totals = document["total"];
  if (document.contains("violations")) totals["violations"] = document["violations"];
  if (check_) totals["findings"] = report::findings({document});
  return totals;
}

// As kpksim keys has them in a row, beside the totals of the run.
ordered_json Points::totals_of_keys(const Prepared& prepared) {
  keys::Budgets study(*prepared.classes, prepared.machine, {*prepared.keys.budget},
                      {*prepared.keys.strategy});
  const auto measured = measured_.get(prepared.shared, [&] {
    std::vector<ordered_json> documents;
    for (const kernel::Config& config : study.measuring())
      documents.push_back(run(prepared, config));
    return documents;
  });
  std::vector<ordered_json> runs;
  for (const kernel::Config& config : study.trials(*measured))
    runs.push_back(run(prepared, config));
  ordered_json row = study.document(runs)["rows"][0];
  if (row.contains("refused")) throw InputError("refused: " + row["refused"].get<std::string>());
  for (const char* elsewhere : {"budget", "strategy", "cycles", "contexts", "keys"}) {
    row.erase(elsewhere);
  }
  ordered_json totals = runs[0]["total"];
  totals["keys"] = row;
  if (check_) totals["findings"] = report::findings(*measured) + report::findings(runs);
  return totals;
}

sweep::Row Points::evaluate(sweep::Point number) {
  sweep::Row row{number, {}, {}, {}, {}};
  Prepared prepared;
  try {
    prepare(spec_.settings(number), prepared);
    row.totals = totals(prepared).dump();
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
