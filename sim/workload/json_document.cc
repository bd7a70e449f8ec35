#include "sim/workload/json_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "sim/base/error.h"

namespace kpksim::workload {
namespace {

using nlohmann::json;

// Phases, and repeats within repeats; keeps the recursion of validator and reader shallow.
constexpr int kMaxDepth = 32;

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    throw InputError(fmt::format("{}: cannot be read, or is empty", path));
  }
  return text.str();
}

// Follows nlohmann's parser through the text: where objects begin, and that no key comes twice.
class Tracker {
 public:
  Tracker(const std::string& path, const std::string& text) : path_(path), text_(text), in_(text) {}

  json parse(std::unordered_map<std::string, std::uint32_t>& line_of) {
    const auto follow = [&](int, json::parse_event_t event, json& parsed) {
      on_event(event, parsed, line_of);
      return true;
    };
    try {
      return json::parse(in_, follow);
    } catch (const json::parse_error& error) {
      // "[json.exception.parse_error.101] parse error at line 1, column 2: what" -> "what"
      const std::string what = error.what();
      const std::size_t colon = what.find(": ");
      throw InputError(fmt::format("{}: not JSON: {}", place(error.byte == 0 ? 0 : error.byte - 1),
                                   colon == std::string::npos ? what : what.substr(colon + 2)));
    } catch (const json::exception& error) {  // a number out of range
      throw InputError(fmt::format("{}: not JSON: {}", place(offset()), error.what()));
    }
  }

 private:
  struct Frame {
    bool array;
    std::size_t index;
    std::string key;
    std::set<std::string> keys;
  };

  void on_event(json::parse_event_t event, const json& parsed,
                std::unordered_map<std::string, std::uint32_t>& line_of) {
    using Event = json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (stack_.size() == kMaxDepth) {
        throw InputError(
            fmt::format("{}: nested more than {} levels deep", place(offset() - 1), kMaxDepth));
      }
      if (event == Event::object_start) line_of[pointer()] = current_line();
      stack_.push_back({event == Event::array_start, 0, {}, {}});
    } else if (event == Event::key) {
      Frame& frame = stack_.back();
      frame.key = parsed.get<std::string>();
      if (!frame.keys.insert(frame.key).second) {
        throw InputError(fmt::format("{}: {}: key '{}' is there twice", place(offset() - 1),
                                     pointer(), frame.key));
      }
    } else {
      if (event != Event::value) stack_.pop_back();
      if (!stack_.empty() && stack_.back().array) ++stack_.back().index;
    }
  }

  std::size_t offset() {
    return text_.size() -
           static_cast<std::size_t>(std::max<std::streamsize>(in_.rdbuf()->in_avail(), 0));
  }

  std::uint32_t current_line() {
    for (const std::size_t end = offset(); counted_ < end; ++counted_) {
      if (text_[counted_] == '\n') ++line_;
    }
    return line_;
  }

  std::string pointer() const {
    std::string result;
    for (const Frame& frame : stack_) {
      result += '/' + (frame.array ? std::to_string(frame.index) : pointer_part(frame.key));
    }
    return result;
  }

  std::string place(std::size_t byte) const {
    std::size_t line = 1, column = 1;
    for (std::size_t i = 0; i < std::min(byte, text_.size()); ++i) {
      ++column;
      if (text_[i] == '\n') ++line, column = 1;
    }
    return fmt::format("{}:{}:{}", path_, line, column);
  }

  const std::string& path_;
  const std::string& text_;
  std::istringstream in_;
  std::vector<Frame> stack_;
  std::size_t counted_ = 0;
  std::uint32_t line_ = 1;
};

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
      node = &node->at("properties").at(part);
    }
    node = resolve(node, **value);
  }
  return *node;
}

std::vector<std::string> strings(const json& array) {
  if (array.is_string()) return {array.get<std::string>()};
  return array.get<std::vector<std::string>>();
}

// One violation in the words of the format rather than of JSON Schema.
std::string explain(const json& node, const json& value, const std::string& description) {
  if (value.is_object() && node.contains("properties")) {
    std::vector<std::string> known;
    for (const auto& [key, unused] : node["properties"].items()) known.push_back(key);
    std::string unknown;
    for (const auto& [key, unused] : value.items()) {
      if (node["properties"].contains(key)) continue;
      const std::string nearest = suggest(key, known);
      unknown = fmt::format("unknown key '{}'{}", key, nearest);
      if (nearest.find("did you mean") != std::string::npos) return unknown;
    }
    for (const json& key : node.value("required", json::array())) {
      if (!value.contains(key.get<std::string>())) {
        return fmt::format("missing key '{}'", key.get<std::string>());
      }
    }
    if (!unknown.empty()) return unknown;
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

void validate(const json& root, const std::string& path, const std::string& schema_text) {
  const json schema_json = json::parse(schema_text);
  valijson::Schema schema;
  valijson::SchemaParser parser;
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(schema_json), schema);
  valijson::Validator validator;
  valijson::ValidationResults results;
  if (validator.validate(schema, valijson::adapters::NlohmannJsonAdapter(root), &results)) return;

  // Every level above the defect reports "Failed to validate ..." too: the deepest one says why.
  // Of several equally deep ones the first; valijson reports in the order of the document.
  const valijson::ValidationResults::Error* deepest = nullptr;
  for (const auto& error : results) {
    if (deepest == nullptr || error.context.size() > deepest->context.size()) deepest = &error;
  }
  if (deepest == nullptr) throw InputError(fmt::format("{}: not a workload", path));
  std::string pointer;
  for (std::size_t i = 1; i < deepest->context.size(); ++i) {
    const std::string& part = deepest->context[i];
    pointer += '/' + pointer_part(part.substr(1, part.size() - 2));
  }
  const json* value = nullptr;
  const json& node = schema_at(schema_json, root, deepest->context, &value);
  throw InputError(fmt::format("{}: {}: {}", path, pointer.empty() ? "/" : pointer,
                               explain(node, *value, deepest->description)));
}

}  // namespace

std::string pointer_part(const std::string& key) {
  std::string result;
  for (const char c : key) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result += c;
    }
  }
  return result;
}

JsonDocument read_json_document(const std::string& path, const std::string& schema_text) {
  const std::string text = read_text(path);
  JsonDocument document;
  document.root = Tracker(path, text).parse(document.line_of);
  validate(document.root, path, schema_text);
  return document;
}

}  // namespace kpksim::workload
