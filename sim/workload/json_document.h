#pragma once
// A workload file as checked JSON: parsed, and valid against the schema. What the operations mean
// is not looked at here.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>

namespace kpksim::workload {

struct JsonDocument {
  nlohmann::json root;
  std::unordered_map<std::string, std::uint32_t> line_of;  // JSON pointer of an object -> line
};

// InputError: "path:line:column: ..." for text that is not JSON (or has a key twice), and
// "path: /json/pointer: ..." with the deepest violation for what the schema does not allow.
JsonDocument read_json_document(const std::string& path, const std::string& schema_text);

// `key` as one part of a JSON pointer (RFC 6901): ~ and / are escaped.
std::string pointer_part(const std::string& key);

}  // namespace kpksim::workload
