#include "sim/base/json_document.h"

#include <fmt/format.h>

#include <memory>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "sim/base/error.h"

namespace kpksim {
namespace {

using nlohmann::json;

// The part of the schema that speaks about the value at `context`, as far as references, items,
// properties and the choice of a step's kind lead there.
const json& schema_at(const json& schema, const json& root, const std::vector<std::string>& context,
                      const json** value) {
  const auto resolve = [&](const json* node, const json& at) {
    while (true) {
      if (node->contains("$ref")) {
        node = &schema.at(json::json_pointer(node->at("$ref").get<std::string>().substr(1)));
      } else if (node->contains("if")) {
        node = &node->at(at.contains("repeat") ? "then" : "else");
      } else if (node->contains("allOf") && at.contains("op") && at["op"].is_string() &&
                 schema["definitions"].contains("op_" + at["op"].get<std::string>())) {
        node = &schema["definitions"]["op_" + at["op"].get<std::string>()];
      } else {
        return node;
      }
    }
  };
  *value = &root;
  const json* node = resolve(&schema, root);
  for (std::size_t i = 1; i < context.size(); ++i) {
    const std::string part = context[i].substr(1, context[i].size() - 2);  // "[part]"
    if ((*value)->is_array()) {
      *value = &(*value)->at(std::stoul(part));
      node = &node->at("items");
    } else {
      *value = &(*value)->at(part);
      const bool named = node->contains("properties") && node->at("properties").contains(part);
      node = named ? &node->at("properties").at(part) : &node->at("additionalProperties");
    }
    node = resolve(node, **value);
  }
  return *node;
}

std::vector<std::string> strings(const json& array) {
  if (array.is_string()) return {array.get<std::string>()};
  return array.get<std::vector<std::string>>();
}

// One violation in the words of the format rather than of JSON Schema. `pointer` is that of the
// value, and becomes that of a key that should not be there.
std::string explain(const json& node, const json& value, const std::string& description,
                    std::string& pointer) {
  if (value.is_object() && node.contains("properties")) {
    std::vector<std::string> known;
    for (const auto& [key, unused] : node["properties"].items()) known.push_back(key);
    std::string unknown, at;
    for (const auto& [key, unused] : value.items()) {
      if (node["properties"].contains(key)) continue;
      const std::string nearest = suggest(key, known);
      unknown = fmt::format("unknown key '{}'{}", key, nearest);
      at = pointer + '/' + pointer_part(key);
      if (nearest.find("did you mean") != std::string::npos) {
        pointer = at;
        return unknown;
      }
    }
    for (const json& key : node.value("required", json::array())) {
      if (!value.contains(key.get<std::string>())) {
        return fmt::format("missing key '{}'", key.get<std::string>());
      }
    }
    if (!unknown.empty()) {
      pointer = at;
      return unknown;
    }
  }
  if (node.contains("enum")) {
    const std::string given = value.is_string() ? value.get<std::string>() : value.dump();
    return fmt::format("'{}' is not known here{}", given, suggest(given, strings(node["enum"])));
  }
  if (node.contains("type") && description.find("'type'") != std::string::npos) {
    return fmt::format("expected {}, found {}", fmt::join(strings(node["type"]), " or "),
                       value.dump().substr(0, 40));
  }
  return description;
}

// A schema as text, and as what it was made into. A sweep checks thousands of documents against
// one.
struct ParsedSchema {
  explicit ParsedSchema(const std::string& from) : text(from), as_json(json::parse(from)) {
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(as_json),
                                            schema);
  }
  const std::string text;
  const json as_json;
  valijson::Schema schema;
};

// Each thread has the one that it used last.
const ParsedSchema& parsed(const std::string& text) {
  thread_local std::unique_ptr<const ParsedSchema> last;
  if (!last || last->text != text) last = std::make_unique<const ParsedSchema>(text);
  return *last;
}

}  // namespace

void validate(const JsonFile& file, const std::string& schema_text) {
  const json& root = file.root();
  const ParsedSchema& prepared = parsed(schema_text);
  const json& schema_json = prepared.as_json;
  valijson::Validator validator;
  valijson::ValidationResults results;
  if (validator.validate(prepared.schema, valijson::adapters::NlohmannJsonAdapter(root), &results))
    return;

  // Every level above the defect reports "Failed to validate ..." too: the deepest one says why.
  // Of several equally deep ones the first; valijson reports in the order of the document.
  const valijson::ValidationResults::Error* deepest = nullptr;
  for (const auto& error : results) {
    if (deepest == nullptr || error.context.size() > deepest->context.size()) deepest = &error;
  }
  if (deepest == nullptr) file.fail("", "not what the schema says");
  std::string pointer;
  for (std::size_t i = 1; i < deepest->context.size(); ++i) {
    const std::string& part = deepest->context[i];
    pointer += '/' + pointer_part(part.substr(1, part.size() - 2));
  }
  const json* value = nullptr;
  const json& node = schema_at(schema_json, root, deepest->context, &value);
  const std::string what = explain(node, *value, deepest->description, pointer);
  file.fail(pointer, what);
}

JsonFile read_json_document(const std::string& path, const std::string& schema_text) {
  JsonFile file(path);
  validate(file, schema_text);
  return file;
}

}  // namespace kpksim
