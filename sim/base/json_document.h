#pragma once
// A file as checked JSON: parsed, and valid against a schema. What it means is not looked at here.

#include <string>

#include "sim/base/json_file.h"

namespace kpksim {

// InputError "path:line:column: ..." for text that is not JSON (or has a key twice), and
// "path:line:column: /json/pointer: ..." with the deepest violation for what the schema (draft 7)
// does not allow.
JsonFile read_json_document(const std::string& path, const std::string& schema_text);
// The same of a file that has been read.
void check_schema(const JsonFile& file, const std::string& schema_text);

}  // namespace kpksim
