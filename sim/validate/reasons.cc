#include "sim/validate/reasons.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_text.h"

namespace kpksim::validate {
namespace {

using nlohmann::json;

std::vector<std::string> names(const json& at, const std::string& place) {
  if (!at.is_array() || at.empty()) throw InputError(place + ": expected a list of names");
  std::vector<std::string> out;
  for (const json& name : at) {
    if (!name.is_string()) throw InputError(place + ": expected strings, found " + dump(name));
    out.push_back(name.get<std::string>());
  }
  return out;
}

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

std::vector<Reason> read_reasons(const std::string& path) {
  const json root = read_json_file(path);
  if (!root.is_array()) throw InputError(path + ": expected a list");
  std::vector<Reason> reasons;
  for (std::size_t i = 0; i < root.size(); ++i) {
    const json& at = root[i];
    const std::string place = fmt::format("{}: /{}", path, i);
    if (!at.is_object() || !at.contains("reason") || !at["reason"].is_string()) {
      throw InputError(place + "/reason: expected a string");
    }
    for (const auto& [key, unused] : at.items()) {
      const std::vector<std::string> known = {"counters", "phases", "reason"};
      if (!has(known, key))
        throw InputError(place + "/" + key + ": unknown name" + suggest(key, known));
    }
    reasons.push_back({names(at.value("counters", json()), place + "/counters"),
                       names(at.value("phases", json()), place + "/phases"),
                       at["reason"].get<std::string>()});
  }
  return reasons;
}

std::string Reasons::of(const std::string& counter, const std::string& phase) {
  for (const Reason& r : all_) {
    if (!has(r.counters, counter) || !has(r.phases, phase)) continue;
    used_.emplace(&r, phase);
    return r.text;
  }
  return {};
}

std::vector<std::string> Reasons::unused() const {
  std::vector<std::string> out;
  for (const Reason& r : all_) {
    for (const std::string& phase : r.phases) {
      if (used_.contains({&r, phase})) continue;
      out.push_back(fmt::format("{} in {}", fmt::join(r.counters, ", "), phase));
    }
  }
  return out;
}

}  // namespace kpksim::validate
