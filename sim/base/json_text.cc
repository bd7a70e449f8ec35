#include "sim/base/json_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/text_input.h"

namespace kpksim {

namespace {

using nlohmann::json;

// "[json.exception.parse_error.101] parse error at line 1, column 2: what" -> "what"
std::string reason(const json::exception& error) {
  const std::string what = error.what();
  const std::size_t colon = what.find(": ");
  return colon == std::string::npos ? what : what.substr(colon + 2);
}

std::string line_and_column(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, byte == 0 ? 0 : byte - 1);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  return fmt::format("{}:{}", line, column);
}

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

json read_json_file(const std::string& path) {
  const std::string text = read_text_file(path);
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw InputError(
        fmt::format("{}:{}: not JSON: {}", path, line_and_column(text, error.byte), reason(error)));
  } catch (const json::exception& error) {
    throw InputError(fmt::format("{}: not JSON: {}", path, reason(error)));
  }
}

std::string dump(const json& value) { return value.dump(); }
std::string dump(const nlohmann::ordered_json& value, int indent) { return value.dump(indent); }

}  // namespace kpksim
