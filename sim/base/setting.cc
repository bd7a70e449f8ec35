#include "sim/base/setting.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_text.h"

namespace kpksim {

using nlohmann::json;

const std::vector<std::string>& setting_documents() {
  static const std::vector<std::string> all = {"policy",  "core",    "kernel", "workload",
                                               "machine", "classes", "keys"};
  return all;
}

Setting parse_setting_key(const std::string& key, const std::string& place) {
  const std::size_t colon = key.find(':');
  if (colon == std::string::npos) {
    throw InputError(fmt::format(
        "{}: '{}' names no setting; expected DOCUMENT:/POINTER, for example core:/tlb/l2_sets",
        place, key));
  }
  Setting setting{key.substr(0, colon), key.substr(colon + 1), "", place};
  const std::vector<std::string>& known = setting_documents();
  if (std::find(known.begin(), known.end(), setting.document) == known.end()) {
    throw InputError(fmt::format("{}: '{}' has no settings{}", place, setting.document,
                                 suggest(setting.document, known)));
  }
  parts_of_pointer(setting.pointer, place);
  return setting;
}

namespace {

// JSON is UTF-8: a text in another encoding cannot be part of a document.
std::string text_as_json(const std::string& value, const std::string& place) {
  try {
    return dump(json(value));
  } catch (const json::type_error&) {
    throw InputError(place + ": the value is not UTF-8");
  }
}

}  // namespace

Setting parse_setting(const std::string& text) {
  const std::string place = "--set " + text;
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw InputError(place + ": no value; expected DOCUMENT:/POINTER=VALUE");
  }
  Setting setting = parse_setting_key(text.substr(0, equals), place);
  const std::string value = text.substr(equals + 1);
  setting.value = json::accept(value) ? value : text_as_json(value, place);
  return setting;
}

std::vector<Setting> settings_of(const std::vector<Setting>& settings, std::string_view document) {
  std::vector<Setting> out;
  std::copy_if(settings.begin(), settings.end(), std::back_inserter(out),
               [&](const Setting& s) { return s.document == document; });
  return out;
}

std::string origins_of(const std::vector<Setting>& settings) {
  std::string text;
  for (const Setting& s : settings) text += (text.empty() ? "; with " : ", ") + s.origin;
  return text;
}

std::vector<std::string> parts_of_pointer(const std::string& pointer, const std::string& place) {
  if (!pointer.starts_with('/')) {
    throw InputError(fmt::format("{}: '{}' is no JSON pointer; expected one that begins with '/'",
                                 place, pointer));
  }
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      parts.emplace_back();
    } else if (pointer[i] == '~') {
      const char code = ++i < pointer.size() ? pointer[i] : ' ';
      if (code != '0' && code != '1') {
        throw InputError(
            fmt::format("{}: '{}' is no JSON pointer: '~' stands for '/' as ~1 and for "
                        "itself as ~0",
                        place, pointer));
      }
      parts.back() += code == '0' ? '~' : '/';
    } else {
      parts.back() += pointer[i];
    }
  }
  return parts;
}

}  // namespace kpksim
