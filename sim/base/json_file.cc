#include "sim/base/json_file.h"

#include <fmt/core.h>

#include <string_view>

#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/base/text_input.h"

namespace kpksim {
namespace {

using nlohmann::json;

// Goes over a text that is JSON, and calls visit(pointer, offset) for each value.
template <class Visit>
class Walk {
 public:
  Walk(std::string_view text, Visit visit) : text_(text), visit_(std::move(visit)) {
    if (text.starts_with("\xef\xbb\xbf")) at_ = 3;  // a byte order mark
    value("");
  }

 private:
  void space() { at_ = text_.find_first_not_of(" \t\r\n", at_); }

  void value(const std::string& pointer) {
    space();
    visit_(pointer, at_);
    const char first = text_[at_];
    if (first == '{' || first == '[') {
      members(pointer, first == '{');
    } else if (first == '"') {
      string();
    } else {
      at_ = text_.find_first_of(" \t\r\n,]}", at_);
    }
  }

  void members(const std::string& pointer, bool object) {
    ++at_;
    space();
    for (std::size_t i = 0; text_[at_] != '}' && text_[at_] != ']'; ++i) {
      if (object) {
        const std::string name = string();
        at_ = text_.find(':', at_) + 1;
        value(pointer + "/" + pointer_part(name));
      } else {
        value(fmt::format("{}/{}", pointer, i));
      }
      space();
      if (text_[at_] == ',') ++at_;
      space();
    }
    ++at_;
  }

  std::string string() {
    const std::size_t begin = at_++;
    while (text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    ++at_;
    const std::string_view quoted = text_.substr(begin, at_ - begin);
    if (quoted.find('\\') != std::string_view::npos) return json::parse(quoted).get<std::string>();
    return std::string(quoted.substr(1, quoted.size() - 2));
  }

  std::string_view text_;
  Visit visit_;
  std::size_t at_ = 0;
};

// Where the value begins, or what is around it.
std::size_t find(std::string_view text, const std::string& wanted) {
  std::size_t found = 0;
  Walk(text, [&](const std::string& pointer, std::size_t value) {
    if (pointer == wanted || wanted.starts_with(pointer + "/")) found = value;
  });
  return found;
}

// Sets one value of `root`. What is around it has to be there.
void put(json& root, const Setting& setting, const std::string& path) {
  const std::vector<std::string> parts = parts_of_pointer(setting.pointer, setting.origin);
  json* at = &root;
  std::string reached;
  const auto nothing = [&](const std::string& part, const std::string& hint) {
    throw InputError(fmt::format("{}: {}: '{}' has no '{}'{}", setting.origin, path,
                                 reached.empty() ? "/" : reached, part, hint));
  };
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string& part = parts[i];
    const bool last = i + 1 == parts.size();
    if (at->is_array()) {
      const bool digits = !part.empty() && part.size() < 9 &&
                          part.find_first_not_of("0123456789") == std::string::npos;
      const std::size_t index = digits ? std::stoul(part) : at->size();
      if (index >= at->size()) {
        nothing(part, fmt::format("; it is a list of {}, counted from 0", at->size()));
      }
      at = &(*at)[index];
    } else if (at->is_object() && (at->contains(part) || last)) {
      at = &(*at)[part];
    } else {
      std::vector<std::string> known;
      if (at->is_object()) {
        for (const auto& [key, unused] : at->items()) known.push_back(key);
      }
      nothing(part, known.empty() ? "" : suggest(part, known));
    }
    reached += "/" + pointer_part(part);
  }
  *at = json::parse(setting.value);
}

}  // namespace

JsonFile::JsonFile(const std::string& path)
    : path_(path),
      text_(std::make_shared<const std::string>(read_text_file(path, kMaxJsonBytes))),
      root_(parse_json(*text_, path)) {}

JsonFile JsonFile::part(const std::string& pointer) const {
  JsonFile out = *this;
  out.root_ = root_.at(json::json_pointer(pointer));
  out.prefix_ += pointer;
  return out;
}

JsonFile JsonFile::with(const std::vector<Setting>& settings) const {
  JsonFile out = *this;
  for (const Setting& setting : settings) put(out.root_, setting, path_);
  out.set_ += origins_of(settings);
  return out;
}

std::string JsonFile::place(const std::string& pointer) const {
  return place_in_text(path_, *text_, find(*text_, prefix_ + pointer));
}

void JsonFile::fail(const std::string& pointer, const std::string& what) const {
  const std::string whole = prefix_ + pointer;
  throw InputError(
      fmt::format("{}: {}: {}{}", place(pointer), whole.empty() ? "/" : whole, what, set_));
}

std::string JsonFile::located(const std::string& message) const {
  const std::string head = path_ + ": /";
  if (!message.starts_with(head)) return message;
  const std::size_t begin = head.size() - 1, end = message.find(": ", begin);
  const std::string pointer = message.substr(begin, end - begin);
  return fmt::format("{}: {}{}{}", place(pointer), prefix_, message.substr(begin), set_);
}

std::unordered_map<std::string, std::uint32_t> JsonFile::lines_of_objects() const {
  std::unordered_map<std::string, std::uint32_t> lines;
  std::size_t counted = 0;
  std::uint32_t line = 1;
  Walk(*text_, [&](const std::string& pointer, std::size_t at) {
    const bool inside = pointer == prefix_ || pointer.starts_with(prefix_ + "/");
    if ((*text_)[at] != '{' || !inside) return;
    for (; counted < at; ++counted) line += (*text_)[counted] == '\n' ? 1 : 0;
    lines[pointer.substr(prefix_.size())] = line;
  });
  return lines;
}

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

}  // namespace kpksim
