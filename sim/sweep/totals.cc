#include "sim/sweep/totals.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace kpksim::sweep {

using nlohmann::json;

namespace {

void add(const json& value, const std::string& name, std::map<std::string, std::string>& out) {
  if (value.is_object()) {
    for (const auto& [key, part] : value.items()) {
      add(part, name.empty() ? key : name + "." + key, out);
    }
  } else {
    out[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
}

}  // namespace

std::map<std::string, std::string> flat(const std::string& json_text) {
  std::map<std::string, std::string> out;
  if (!json_text.empty()) add(json::parse(json_text), "", out);
  return out;
}

nlohmann::ordered_json ordered(const std::string& json_text) {
  return nlohmann::ordered_json::parse(json_text);
}

std::optional<double> number(const std::string& text) {
  double n = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, n);
  if (text.empty() || error != std::errc{} || rest != end) return std::nullopt;
  return n;
}

}  // namespace kpksim::sweep
