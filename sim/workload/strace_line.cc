#include "sim/workload/strace_line.h"

#include <cctype>
#include <charconv>

namespace kpksim::workload {
namespace {

void skip_spaces(std::string_view& s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
}

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The token up to the next space, or nothing if it has other characters than `set` allows.
std::string_view token_of(std::string_view s, std::string_view set) {
  const std::size_t end = s.find_first_not_of(set);
  return end != std::string_view::npos && end > 0 && s[end] == ' ' ? s.substr(0, end)
                                                                   : std::string_view();
}

// Index of the bracket that closes the one before `from`; quotes are stepped over.
std::size_t closing(std::string_view s, std::size_t from, std::vector<std::string>& parts) {
  int depth = 0;
  std::size_t start = from;
  const auto part = [&](std::size_t end) {
    std::string_view p = s.substr(start, end - start);
    skip_spaces(p);
    if (!p.empty()) parts.emplace_back(p);
    start = end + 1;
  };
  for (std::size_t i = from; i < s.size(); ++i) {
    switch (s[i]) {
      case '"':
        for (++i; i < s.size() && s[i] != '"'; ++i) {
          if (s[i] == '\\') ++i;
        }
        break;
      case '(':
      case '[':
      case '{':
        ++depth;
        break;
      case ')':
      case ']':
      case '}':
        if (depth-- == 0) {
          part(i);
          return i;
        }
        break;
      case ',':
        if (depth == 0) part(i);
        break;
      default:
        break;
    }
  }
  return std::string_view::npos;
}

constexpr std::string_view kUnfinished = "<unfinished ...>";

}  // namespace

std::optional<std::uint64_t> strace_number(std::string_view text) {
  std::uint64_t value = 0;
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::uint64_t StraceLine::argument(std::size_t i) const {
  return i < arguments.size() ? strace_number(arguments[i]).value_or(0) : 0;
}
std::uint64_t StraceLine::value() const { return strace_number(result).value_or(0); }

bool StraceLine::has(std::size_t i, std::string_view flag) const {
  if (i >= arguments.size()) return false;
  const std::string_view s = arguments[i];
  for (std::size_t at = s.find(flag); at != std::string_view::npos; at = s.find(flag, at + 1)) {
    const bool starts = at == 0 || !is_name(s[at - 1]);
    const std::size_t end = at + flag.size();
    if (starts && (end == s.size() || !is_name(s[end]))) return true;
  }
  return false;
}

StraceLine StraceLineParser::parse(std::string_view line) {
  StraceLine out;
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  skip_spaces(line);
  if (line.empty()) {
    out.kind = StraceLine::Kind::kEmpty;
    return out;
  }
  if (line.starts_with("strace: ")) {
    out.kind = StraceLine::Kind::kNote;
    return out;
  }
  if (line.starts_with("[pid ")) {
    line.remove_prefix(5);
    skip_spaces(line);
    out.pid = static_cast<std::uint32_t>(strace_number(line).value_or(0));
    line.remove_prefix(std::min(line.size(), line.find(']') + 1));
    skip_spaces(line);
  } else if (const std::string_view pid = token_of(line, "0123456789"); !pid.empty()) {
    out.pid = static_cast<std::uint32_t>(strace_number(pid).value_or(0));
    line.remove_prefix(pid.size());
    skip_spaces(line);
  }
  for (std::string_view time; !(time = token_of(line, "0123456789.:+")).empty();) {
    line.remove_prefix(time.size());
    skip_spaces(line);
  }
  if (line.starts_with("+++ ")) {
    out.kind = StraceLine::Kind::kExited;
    unfinished_.erase(out.pid);
    return out;
  }
  if (line.starts_with("--- ")) {
    out.kind = StraceLine::Kind::kSignal;
    return out;
  }
  std::string joined;
  if (line.starts_with("<... ")) {
    const std::size_t resumed = line.find(" resumed>");
    const auto begun = unfinished_.find(out.pid);
    if (resumed == std::string_view::npos) return out;
    if (begun == unfinished_.end()) {  // begun before strace attached
      joined =
          std::string(line.substr(5, resumed - 5)) + "(" + std::string(line.substr(resumed + 9));
    } else {
      joined = begun->second + std::string(line.substr(resumed + 9));
      unfinished_.erase(begun);
    }
    line = joined;
  }
  const std::size_t bracket = line.find('(');
  if (bracket == std::string_view::npos || bracket == 0) return out;
  for (const char c : line.substr(0, bracket)) {
    if (!is_name(c)) return out;
  }
  if (is_digit(line.front())) return out;
  out.name = line.substr(0, bracket);
  if (line.ends_with(kUnfinished)) {
    line.remove_suffix(kUnfinished.size());
    unfinished_[out.pid] = line;
    closing(std::string(line) + ")", bracket + 1, out.arguments);
    out.kind = StraceLine::Kind::kBegun;
    return out;
  }
  const std::size_t close = closing(line, bracket + 1, out.arguments);
  if (close == std::string_view::npos) return out;
  std::string_view rest = line.substr(close + 1);
  skip_spaces(rest);
  if (!rest.starts_with("=")) return out;
  rest.remove_prefix(1);
  skip_spaces(rest);
  out.result = rest;
  out.failed = rest.empty() || rest.front() == '?' || rest.front() == '-';
  out.kind = StraceLine::Kind::kCall;
  return out;
}

}  // namespace kpksim::workload
