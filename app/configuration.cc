#include "app/configuration.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/report/result.h"

namespace kpksim::app {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kConfigurationSchema = 1;
// What a configuration says, and so may not be said beside it.
constexpr const char* kInConfiguration[] = {"core",           "kernel",     "cores",  "hz",
                                            "memory",         "sizes",      "inject", "interleave",
                                            "pressure-every", "kernel-data"};

}  // namespace

// A configuration says all that options would; but compare may be given other policies.
void read_configuration(Command command, Request& request) {
  if (command != Command::kCompare && request.given.contains("policy")) {
    throw InputError("--policy: a configuration says that already; --set changes it");
  }
  for (const char* option : kInConfiguration) {
    if (request.given.contains(option)) {
      throw InputError(
          fmt::format("--{}: a configuration says that already; --set changes it", option));
    }
  }
  if (!request.files.empty()) {
    throw InputError(fmt::format("'{}': the workload is in the configuration", request.files[0]));
  }
  const JsonFile& file = request.configuration.emplace(request.config);
  const json& root = file.root();
  const std::vector<std::string> known = {"configuration", "version",  "policy",
                                          "parameters",    "machine",  "core",
                                          "kernel",        "workload", "origins"};
  if (!root.is_object() || !root.contains("configuration")) {
    file.fail("", "no configuration; kpksim config writes one");
  }
  for (const auto& [key, unused] : root.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      file.fail("/" + pointer_part(key), "unknown key" + suggest(key, known));
    }
  }
  for (const std::string& key : known) {
    const bool needed = key != "version" && key != "origins";
    if (needed && !root.contains(key)) file.fail("", fmt::format("missing key '{}'", key));
  }
  if (root["configuration"] != kConfigurationSchema) {
    file.fail("/configuration", fmt::format("expected {}", kConfigurationSchema));
  }
  const json& workload = root["workload"];
  const char* const one = "expected an object with source and document, or with recording";
  if (!workload.is_object()) file.fail("/workload", one);
  if (workload.contains("recording")) {
    const auto texts = [&](const char* key) {
      std::vector<std::string> out;
      if (!workload.contains(key)) return out;
      for (const json& text : workload[key]) {
        if (!text.is_string()) file.fail(fmt::format("/workload/{}", key), "expected texts");
        out.push_back(text.get<std::string>());
      }
      return out;
    };
    request.files = texts("recording");
    request.sizes = texts("sizes");
  } else if (!workload.contains("document") || !workload.contains("source") ||
             !workload["source"].is_string()) {
    file.fail("/workload", one);
  }
  const kernel::Policy policy =
      kernel::policy_of_json(root["policy"], file.place("/policy") + ": /policy");
  // A parameter that is not given has its default, which may not be what it was.
  if (json::parse(kernel::parameters_json(policy).dump()) != root["parameters"]) {
    file.fail("/parameters", "not what these parts of a policy have in this version of kpksim");
  }
  if (command == Command::kCompare && (!request.policies.empty() || !request.policy_set.empty())) {
    return;
  }
  request.policies = {kernel::text_of(policy)};
}

namespace {

// The workload as a configuration has it: a document, or where a recording is.
ordered_json workload_json(const Request& request) {
  const std::vector<Setting> settings = settings_of(request.overrides.settings, "workload");
  if (request.files.empty()) {
    const JsonFile& file = *request.configuration;
    return {{"source", file.root()["workload"]["source"]},
            {"document", file.part("/workload/document").with(settings).root()}};
  }
  const WorkloadPlace place = find_workload(request.files[0]);
  if (request.files.size() == 1 && place.is_json()) {
    return {{"source", place.source()},
            {"document", JsonFile(place.paths[0]).with(settings).root()}};
  }
  return {{"recording", request.files}, {"sizes", request.sizes}};
}

// Where each value is from that does not say so itself, by JSON pointer.
ordered_json origins_json(const Request& request, const kernel::Policy& policy,
                          const ordered_json& parameters) {
  ordered_json out = ordered_json::object();
  const auto option = [&](const std::string& name) -> std::string {
    if (request.configuration) return "--config " + request.config;
    return request.given.contains(name) ? "--" + name : "default of --" + name;
  };
  out["/policy"] = option("policy");
  for (const char* part : {"protection", "allocator"}) {
    const kernel::Part& given =
        part == std::string("protection") ? policy.protection : policy.allocator;
    for (const auto& [name, value] : parameters[part].items()) {
      if (name == "name") continue;
      out[fmt::format("/parameters/{}/{}", part, name)] =
          given.parameters.contains(name) ? "given"
                                          : fmt::format("default of {} '{}'", part, given.name);
    }
  }
  for (const auto& [member, name] : {std::pair{"cores", "cores"},
                                     {"memory", "memory"},
                                     {"hz", "hz"},
                                     {"inject", "inject"},
                                     {"pressure_every", "pressure-every"},
                                     {"interleave", "interleave"},
                                     {"kernel_data", "kernel-data"}}) {
    out[fmt::format("/machine/{}", member)] = option(name);
  }
  out["/core"] = option("core") + "; each number names its source";
  out["/kernel"] = option("kernel") + "; each number names its source";
  out["/workload"] = request.configuration ? "--config " + request.config : "WORKLOAD";
  for (const Setting& s : request.overrides.settings) {
    const std::string document = s.document == "workload" ? "/workload/document" : "/" + s.document;
    out[document + s.pointer] = s.origin;
  }
  return out;
}

}  // namespace

ordered_json configuration_document(const Request& request) {
  const ProfileReader core = core_of(request), kernel = kernel_of(request);
  const cpu::CoreProfile profile = cpu::read_core_profile(core);
  kernel::read_kernel_profile(kernel);  // both and the workload are checked as a run checks them
  if (workloads_of(request).size() > 1) {
    throw InputError("a configuration has one workload; compare takes several");
  }
  const kernel::Policy policy = configurations(request, profile)[0].policy;
  if (const auto reason = kernel::reason_against(policy, profile)) throw InputError(*reason);
  const ordered_json parameters = kernel::parameters_json(policy);
  return {{"configuration", kConfigurationSchema},
          {"version", report::version()},
          {"policy", kernel::policy_json(policy)},
          {"parameters", parameters},
          {"machine", request.machine.json()},
          {"workload", workload_json(request)},
          {"core", core.root()},
          {"kernel", kernel.root()},
          {"origins", origins_json(request, policy, parameters)}};
}

}  // namespace kpksim::app
