#pragma once
// Totals of a point, as names and numbers.

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace kpksim::sweep {

// Numbers within a JSON text by the names that lead there: "cycles.total". Also of texts and flags.
// An empty text has none.
std::map<std::string, std::string> flat(const std::string& json_text);

// With the keys in their order.
nlohmann::ordered_json ordered(const std::string& json_text);

// The whole text as a number.
std::optional<double> number(const std::string& text);

}  // namespace kpksim::sweep
