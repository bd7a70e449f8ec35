#pragma once
// JSON text in and out. nlohmann's parser and writer cost seconds in each file that instantiates
// them, so that one file does.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace kpksim {

// InputError: "byte N: not JSON: ...".
nlohmann::json parse_json(std::string_view text);
// InputError: what read_text_file throws, and "path:line:column: not JSON: ...".
nlohmann::json read_json_file(const std::string& path);

// On one line, or indented by `indent` blanks.
std::string dump(const nlohmann::json& value);
std::string dump(const nlohmann::ordered_json& value, int indent);

}  // namespace kpksim
