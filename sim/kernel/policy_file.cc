#include "sim/kernel/policy_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/base/json_text.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// As the command line has it: lists with '/', true as "on".
std::string text_of_value(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "on" : "off";
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const json& part : value) text += (text.empty() ? "" : "/") + text_of_value(part);
  return text;
}

Part part(const json& value) {
  if (value.is_string()) return {value.get<std::string>()};
  Part out{value["name"].get<std::string>()};
  for (const auto& [name, parameter] : value.items()) {
    if (name != "name") out.parameters[name] = text_of_value(parameter);
  }
  return out;
}

Policy policy_of(const json& value) {
  const Part map = part(value["linear_map"]);
  Policy policy{part(value["protection"]), {},
                part(value["allocator"]),  parse_granularity(map.name),
                Reach::kBroadcast,         map.parameters};
  if (value.contains("window")) {
    policy.window = parse_window_scope(value["window"].get<std::string>());
  }
  if (value.contains("reach")) policy.reach = parse_reach(value["reach"].get<std::string>());
  return policy;
}

const std::vector<std::string> kMembers = {"protection", "window", "allocator", "linear_map",
                                           "reach"};

// As the schema has it, which is for a file of several policies.
void check_object(const json& value) {
  if (!value.is_object()) throw InputError("/: expected an object of a policy's parts");
  for (const auto& [key, member] : value.items()) {
    if (std::find(kMembers.begin(), kMembers.end(), key) == kMembers.end()) {
      throw InputError(fmt::format("/{}: unknown key{}", key, suggest(key, kMembers)));
    }
    const bool part = key == "protection" || key == "allocator" || key == "linear_map";
    if (member.is_string()) continue;
    if (!part || !member.is_object()) {
      throw InputError(fmt::format("/{}: expected a name{}, found {}", key,
                                   part ? " or an object of name and parameters" : "",
                                   dump(member)));
    }
    if (!member.contains("name") || !member["name"].is_string()) {
      throw InputError(fmt::format("/{}: missing the name", key));
    }
    for (const auto& [name, parameter] : member.items()) {
      if (parameter.is_object() || parameter.is_null()) {
        throw InputError(
            fmt::format("/{}/{}: expected a number, a text, true or false, or a list", key, name));
      }
    }
  }
  for (const char* key : {"protection", "allocator", "linear_map"}) {
    if (!value.contains(key)) throw InputError(fmt::format("/: missing key '{}'", key));
  }
}

ordered_json given_json(const Part& part) {
  ordered_json out = {{"name", part.name}};
  for (const auto& [name, value] : part.parameters) out[name] = value;
  return out;
}

ordered_json all_json(const Part& part, const std::vector<ParameterInfo>& declared) {
  ordered_json out = {{"name", part.name}};
  const Parameters values(part.name, declared, part.parameters);
  for (const auto& [name, value] : values.all()) out[name] = value;
  return out;
}

}  // namespace

ordered_json map_json(const Policy& policy) {
  const std::string name(name_of(policy.linear_map));
  if (policy.map_parameters.empty()) return name;
  return all_json({name, policy.map_parameters}, map_parameters(policy.linear_map));
}

ordered_json policy_json(const Policy& policy) {
  ordered_json out = {{"protection", given_json(policy.protection)}};
  if (policy.window) out["window"] = name_of(*policy.window);
  out["allocator"] = given_json(policy.allocator);
  // A map without parameters stays a name, as in documents that were written before it had any.
  if (policy.map_parameters.empty()) {
    out["linear_map"] = name_of(policy.linear_map);
  } else {
    out["linear_map"] =
        given_json({std::string(name_of(policy.linear_map)), policy.map_parameters});
  }
  if (policy.reach != Reach::kBroadcast) out["reach"] = name_of(policy.reach);
  return out;
}

ordered_json parameters_json(const Policy& policy) {
  const auto window = window_of(policy);
  return {
      {"protection", all_json(policy.protection,
                              Protections::find(policy.protection.name, "protection").parameters)},
      {"window", window ? name_of(*window) : "none"},
      {"allocator",
       all_json(policy.allocator,
                Allocators::find(policy.allocator.name, "page-table allocator").parameters)},
      {"linear_map", map_json(policy)},
      {"reach", name_of(policy.reach)}};
}

Policy policy_of_json(const json& value, const std::string& place) {
  try {
    check_object(value);
    Policy policy = policy_of(value);
    check(policy);
    return policy;
  } catch (const InputError& e) {
    throw InputError(fmt::format("{}: {}", place, e.what()));
  }
}

Policy with_settings(const Policy& policy, const std::vector<Setting>& settings) {
  if (settings.empty()) return policy;
  json value = json::parse(policy_json(policy).dump());
  if (value["linear_map"].is_string() && !map_parameters(policy.linear_map).empty()) {
    value["linear_map"] = {{"name", value["linear_map"]}};
  }
  for (const Setting& setting : settings) {
    const std::vector<std::string> parts = parts_of_pointer(setting.pointer, setting.origin);
    const bool part = value.contains(parts[0]) && value[parts[0]].is_object();
    if (parts.size() > (part ? 2u : 1u)) {
      throw InputError(
          fmt::format("{}: a policy has nothing at '{}'", setting.origin, setting.pointer));
    }
    if (std::find(kMembers.begin(), kMembers.end(), parts[0]) == kMembers.end()) {
      throw InputError(fmt::format("{}: a policy has no '/{}'{}", setting.origin, parts[0],
                                   suggest(parts[0], kMembers)));
    }
    json& at = parts.size() == 2 ? value[parts[0]][parts[1]] : value[parts[0]];
    at = json::parse(setting.value);
    if (part && at.is_string() && parts.size() == 1) at = {{"name", at}};
  }
  std::string place;
  for (const Setting& s : settings) place += (place.empty() ? "" : ", ") + s.origin;
  return policy_of_json(value, place);
}

std::vector<NamedPolicy> read_policies(const std::string& path) {
  const JsonFile file = read_json_document(path, kPoliciesSchema);
  std::vector<NamedPolicy> out;
  std::set<std::string> names;
  const json& list = file.root()["policies"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    const json& value = list[i];
    const std::string at = fmt::format("/policies/{}", i);
    const auto name = value["name"].get<std::string>();
    if (!names.insert(name).second) {
      file.fail(at + "/name", fmt::format("the name '{}' is given twice", name));
    }
    try {
      const Policy policy = policy_of(value);
      check(policy);
      out.push_back({name, policy});
    } catch (const InputError& e) {
      file.fail(at, e.what());
    }
  }
  return out;
}

}  // namespace kpksim::kernel
