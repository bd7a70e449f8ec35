#include "sim/report/page/html.h"

#include <fmt/core.h>

#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/base/printable.h"
#include "sim/report/result.h"

namespace kpksim::report::page {

namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

Json page_data(const std::string& title, const std::vector<Source>& sources,
               const std::vector<std::pair<std::size_t, Chapter>>& chapters) {
  Json out = {{"title", printable(title)}, {"version", version()}};
  out["chapters"] = Json::array();
  for (const auto& [source, chapter] : chapters) {
    Json one = {{"document", source}};
    one.update(chapter.json());
    out["chapters"].push_back(std::move(one));
  }
  out["documents"] = Json::array();
  for (const Source& source : sources) {
    out["documents"].push_back(
        {{"name", printable(source.name)}, {"format", source.format}, {"content", source.content}});
  }
  return out;
}

std::string script_json(const Json& value) {
  constexpr int kOnOneLine = -1;
  std::string out;
  for (const char c : dump(value, kOnOneLine)) {
    // Outside strings JSON has none of the three.
    if (c == '<' || c == '>' || c == '&') {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string html(const Json& page, const Parts& parts) {
  constexpr std::string_view kBegin = "{{", kEnd = "}}";
  const auto value_of = [&](std::string_view name) -> std::string {
    if (name == "title") return escaped(page["title"].get<std::string>());
    if (name == "version") return escaped(page["version"].get<std::string>());
    if (name == "style") return parts.style;
    if (name == "library") return parts.library;
    if (name == "script") return parts.script;
    if (name == "page") return script_json(page);
    throw InputError(fmt::format("the template of reports has no value for '{{{{{}}}}}'", name));
  };
  std::string out;
  std::string_view rest = parts.frame;
  for (std::size_t at = rest.find(kBegin); at != std::string_view::npos; at = rest.find(kBegin)) {
    const std::size_t end = rest.find(kEnd, at);
    if (end == std::string_view::npos) break;
    out += rest.substr(0, at);
    out += value_of(rest.substr(at + kBegin.size(), end - at - kBegin.size()));
    rest.remove_prefix(end + kEnd.size());
  }
  out += rest;
  return out;
}

}  // namespace kpksim::report::page
