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

}  // namespace

JsonFile::JsonFile(const std::string& path)
    : path_(path), text_(read_text_file(path, kMaxJsonBytes)), root_(parse_json(text_, path)) {}

std::string JsonFile::place(const std::string& pointer) const {
  return place_in_text(path_, text_, find(text_, pointer));
}

void JsonFile::fail(const std::string& pointer, const std::string& what) const {
  throw InputError(
      fmt::format("{}: {}: {}", place(pointer), pointer.empty() ? "/" : pointer, what));
}

std::string JsonFile::located(const std::string& message) const {
  const std::string head = path_ + ": /";
  if (!message.starts_with(head)) return message;
  const std::size_t begin = head.size() - 1, end = message.find(": ", begin);
  const std::string pointer = message.substr(begin, end - begin);
  return place(pointer) + message.substr(path_.size());
}

std::unordered_map<std::string, std::uint32_t> JsonFile::lines_of_objects() const {
  std::unordered_map<std::string, std::uint32_t> lines;
  std::size_t counted = 0;
  std::uint32_t line = 1;
  Walk(text_, [&](const std::string& pointer, std::size_t at) {
    if (text_[at] != '{') return;
    for (; counted < at; ++counted) line += text_[counted] == '\n' ? 1 : 0;
    lines[pointer] = line;
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
