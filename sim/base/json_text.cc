#include "sim/base/json_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/text_input.h"

namespace kpksim {
namespace {

using nlohmann::json;

// Phases, and repeats within repeats; keeps the recursion of validator and readers shallow.
constexpr int kMaxDepth = 32;

// "[json.exception.parse_error.101] parse error at line 1, column 2: what" -> "what"
std::string reason(const json::exception& error) {
  const std::string what = error.what();
  const std::size_t colon = what.find(": ");
  return colon == std::string::npos ? what : what.substr(colon + 2);
}

// Follows nlohmann's parser through the text: that no key comes twice, and how deep it nests.
class Tracker {
 public:
  Tracker(const std::string& name, const std::string& text) : name_(name), text_(text), in_(text) {}

  json parse() {
    const auto follow = [&](int, json::parse_event_t event, json& parsed) {
      on_event(event, parsed);
      return true;
    };
    try {
      return json::parse(in_, follow);
    } catch (const json::parse_error& error) {
      throw InputError(fmt::format("{}: not JSON: {}", place(error.byte == 0 ? 0 : error.byte - 1),
                                   reason(error)));
    } catch (const json::exception& error) {  // a number out of range
      throw InputError(fmt::format("{}: not JSON: {}", place(offset()), reason(error)));
    }
  }

 private:
  void on_event(json::parse_event_t event, const json& parsed) {
    using Event = json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (keys_.size() == kMaxDepth) {
        throw InputError(
            fmt::format("{}: nested more than {} levels deep", place(offset() - 1), kMaxDepth));
      }
      keys_.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      const std::string key = parsed.get<std::string>();
      if (!keys_.back().insert(key).second) {
        throw InputError(fmt::format("{}: key '{}' is there twice", place(offset() - 1), key));
      }
    }
  }

  std::size_t offset() {
    return text_.size() -
           static_cast<std::size_t>(std::max<std::streamsize>(in_.rdbuf()->in_avail(), 0));
  }
  std::string place(std::size_t byte) const { return place_in_text(name_, text_, byte); }

  const std::string& name_;
  const std::string& text_;
  std::istringstream in_;
  std::vector<std::set<std::string>> keys_;  // of each object and array around
};

}  // namespace

json parse_json(std::string_view text) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw InputError(fmt::format("byte {}: not JSON: {}", error.byte, reason(error)));
  } catch (const json::exception& error) {  // a number out of range
    throw InputError("not JSON: " + reason(error));
  }
}

json parse_json(const std::string& text, const std::string& name) {
  return Tracker(name, text).parse();
}

json read_json_file(const std::string& path) {
  return parse_json(read_text_file(path, kMaxJsonBytes), path);
}

std::string place_in_text(const std::string& name, std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  return fmt::format("{}:{}:{}", name, line, column);
}

std::string dump(const json& value) { return value.dump(); }
std::string dump(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent, ' ', true, json::error_handler_t::replace);
}

}  // namespace kpksim
