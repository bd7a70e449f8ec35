#include "sim/kernel/policy_file.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>

#include "sim/base/error.h"
#include "sim/base/json_document.h"

namespace kpksim::kernel {
namespace {

using nlohmann::json;

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

}  // namespace

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
      Policy policy{part(value["protection"]),
                    {},
                    part(value["allocator"]),
                    parse_granularity(value["linear_map"].get<std::string>()),
                    Reach::kBroadcast};
      if (value.contains("window")) {
        policy.window = parse_window_scope(value["window"].get<std::string>());
      }
      if (value.contains("reach")) policy.reach = parse_reach(value["reach"].get<std::string>());
      check(policy);
      out.push_back({name, policy});
    } catch (const InputError& e) {
      file.fail(at, e.what());
    }
  }
  return out;
}

}  // namespace kpksim::kernel
