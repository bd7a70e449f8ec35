#pragma once
// JSON text in and out. nlohmann's parser and writer cost seconds in each file that instantiates
// them, so that one file does.

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace kpksim {

// One of many small texts. InputError: "byte N: not JSON: ...".
nlohmann::json parse_json(std::string_view text);
// The text of a file. InputError "name:line:column: ...": it is not JSON, has a key twice in one
// object (parsers differ in which they take), or is nested deeper than anything that kpksim reads.
nlohmann::json parse_json(const std::string& text, const std::string& name);
// InputError: what read_text_file throws, and as above.
nlohmann::json read_json_file(const std::string& path);

// "name:line:column" of a byte, from 0.
std::string place_in_text(const std::string& name, std::string_view text, std::size_t byte);

// On one line, or indented by `indent` blanks: the latter in ASCII alone, other characters escaped
// and bytes that are no UTF-8 replaced.
std::string dump(const nlohmann::json& value);
std::string dump(const nlohmann::ordered_json& value, int indent);

}  // namespace kpksim
