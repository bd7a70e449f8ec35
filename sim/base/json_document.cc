#include "sim/base/json_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
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

// What the schema says of a size or a number, if it is another one: "expected 1 to 3 parts".
std::optional<std::string> against_range(const json& node, const std::string& kind, const json& is,
                                         const char* unit) {
  const char* const of = kind.c_str();
  const std::string least = kind.empty() ? "minimum" : fmt::format("min{}", of),
                    most = kind.empty() ? "maximum" : fmt::format("max{}", of);
  const bool has_least = node.contains(least), has_most = node.contains(most);
  const bool low = has_least && is < node[least], high = has_most && is > node[most];
  if (!low && !high) return std::nullopt;
  const std::string range = !has_most ? fmt::format("at least {}", node[least].dump())
                            : !has_least
                                ? fmt::format("at most {}", node[most].dump())
                                : fmt::format("{} to {}", node[least].dump(), node[most].dump());
  const bool one = !has_most && node[least] == 1;
  const std::string what = *unit == '\0' ? "" : fmt::format(" {}{}", unit, one ? "" : "s");
  return fmt::format("expected {}{}{}, found {}", *unit == '\0' ? "a number: " : "", range, what,
                     is.dump());
}

// What is wrong with a value of the right type, if it is its size or its form.
std::optional<std::string> against_limits(const json& node, const json& value) {
  if (node.contains("const")) {
    return fmt::format("expected {}, found {}", node["const"].dump(), value.dump().substr(0, 40));
  }
  if (value.is_number()) return against_range(node, "", value, "");
  if (value.is_object()) return against_range(node, "Properties", value.size(), "key");
  if (value.is_array()) {
    if (auto said = against_range(node, "Items", value.size(), "part")) return said;
    for (std::size_t i = 0; node.value("uniqueItems", false) && i < value.size(); ++i) {
      if (std::find(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(i), value[i]) !=
          value.begin() + static_cast<std::ptrdiff_t>(i)) {
        return fmt::format("{} is there twice", value[i].dump());
      }
    }
  }
  if (!value.is_string()) return std::nullopt;
  const auto text = value.get<std::string>();
  if (node.contains("minLength") && text.empty()) return "expected a text that is not empty";
  if (auto said = against_range(node, "Length", text.size(), "character")) return said;
  if (!node.contains("pattern")) return std::nullopt;
  // "form" says in words what "pattern" does.
  const std::string form = node.contains("form")
                               ? node["form"].get<std::string>()
                               : "a text like " + node["pattern"].get<std::string>();
  return fmt::format("expected {}, found '{}'", form, text);
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
  if (node.contains("anyOf")) {
    std::vector<std::string> one_of;
    for (const json& option : node["anyOf"]) {
      for (const json& key : option.value("required", json::array())) {
        one_of.push_back(fmt::format("'{}'", key.get<std::string>()));
      }
    }
    if (!one_of.empty()) return fmt::format("missing key {}", fmt::join(one_of, " or "));
  }
  return against_limits(node, value).value_or(description);
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

void check_schema(const JsonFile& file, const std::string& schema_text) {
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
  check_schema(file, schema_text);
  return file;
}

}  // namespace kpksim
