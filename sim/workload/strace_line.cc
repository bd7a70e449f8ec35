#include "sim/workload/strace_line.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace kpksim::workload {
namespace {

constexpr std::string_view kUnfinished = "<unfinished ...>";
constexpr std::string_view kDetached = "<detached ...>";
constexpr std::uint64_t kPidLimit = 4u << 20;  // PID_MAX_LIMIT: a larger leading number is a time

void skip_spaces(std::string_view& s) {
  s.remove_prefix(std::min(s.size(), s.find_first_not_of(" \t")));
}

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Takes a bracketed word off the front: "[...] " or "(...) ".
std::string_view take_bracketed(std::string_view& s, char close) {
  const std::size_t end = s.find(close);
  if (end == std::string_view::npos) return {};
  const std::string_view word = s.substr(1, end - 1);
  s.remove_prefix(end + 1);
  skip_spaces(s);
  return word;
}

// The pid in front of a line: "12 ", "12<sh> ", "[pid 12] " or "[pid 12<sh>] "; 0 if none.
std::uint32_t take_pid(std::string_view& s) {
  if (s.starts_with("[pid ")) {
    std::string_view word = take_bracketed(s, ']').substr(4);
    skip_spaces(word);
    return static_cast<std::uint32_t>(strace_number(word).value_or(0));
  }
  std::size_t end = std::min(s.find_first_not_of("0123456789"), s.size());
  if (end == 0 || end == s.size()) return 0;
  const std::uint64_t pid = strace_number(s.substr(0, end)).value_or(0);
  if (s[end] == '<') end = std::min(s.find("> ", end), s.size() - 1) + 1;
  if ((s[end] != ' ' && s[end] != '\t') || pid > kPidLimit) return 0;
  s.remove_prefix(end);
  skip_spaces(s);
  return static_cast<std::uint32_t>(pid);
}

// Steps over times (-t, -r), "(+ 0.000010)" (-t with -r), "[7f..]" (-i) and "[ 59]" (-n).
void skip_times(std::string_view& s) {
  while (!s.empty()) {
    if (s.front() == '[' || s.starts_with("(+")) {
      std::string_view rest = s;
      if (take_bracketed(rest, s.front() == '[' ? ']' : ')').empty()) return;
      s = rest;
      continue;
    }
    const std::size_t end = s.find_first_not_of("0123456789.:");
    if (end == std::string_view::npos || end == 0 || s[end] != ' ') return;
    s.remove_prefix(end);
    skip_spaces(s);
  }
}

// Index behind the path that -y prints after a descriptor: "3</a/b>", "4<UNIX:[7->8]>"; `at` is the
// index of the '<'. strace escapes < and > within paths.
std::size_t behind_path(std::string_view s, std::size_t at) {
  if (at + 1 < s.size() && s[at + 1] == '<') return at + 2;  // 1<<CAP_CHOWN
  for (std::size_t i = at + 1; i < s.size(); ++i) {
    if (s[i] == '>' && s[i - 1] != '-') return i + 1;
  }
  return at + 1;
}

// Splits at the separators up to the bracket that closes the one before `from`; its index. Quotes,
// inner brackets, comments and -y's paths are stepped over.
std::size_t split(std::string_view s, std::size_t from, std::vector<std::string>& parts,
                  char separator = ',') {
  int depth = 0;
  std::size_t start = from;
  const auto part = [&](std::size_t end) {
    std::string_view p = s.substr(start, end - start);
    skip_spaces(p);
    while (!p.empty() && p.back() == ' ') p.remove_suffix(1);
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
      case '/':
        if (s.substr(i).starts_with("/*")) i = std::min(s.find("*/", i), s.size() - 1);
        break;
      case '<':
        if (i > from && (is_digit(s[i - 1]) || s.substr(from, i - from).ends_with("AT_FDCWD"))) {
          i = behind_path(s, i) - 1;
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
      default:
        if (s[i] == separator && depth == 0) part(i);
        break;
    }
  }
  part(s.size());
  return std::string_view::npos;
}

// Index of `word` in `s` as a whole word, from `at` on.
std::size_t find_word(std::string_view s, std::string_view word, std::size_t at = 0) {
  for (at = s.find(word, at); at != std::string_view::npos; at = s.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_name(s[at - 1])) && (end == s.size() || !is_name(s[end]))) return at;
  }
  return std::string_view::npos;
}

}  // namespace

std::optional<std::uint64_t> strace_number(std::string_view text) {
  std::uint64_t value = 0;
  if (text.starts_with("-1")) return ~std::uint64_t{0};
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::string_view StraceLine::text(std::size_t i) const {
  return i < arguments.size() ? std::string_view(arguments[i]) : std::string_view();
}
std::uint64_t StraceLine::argument(std::size_t i) const {
  return strace_number(text(i)).value_or(0);
}
bool StraceLine::is_number(std::size_t i) const {
  return text(i) == "NULL" || strace_number(text(i)).has_value();
}
std::uint64_t StraceLine::value() const { return strace_number(result).value_or(0); }

bool StraceLine::has(std::size_t i, std::string_view flag) const {
  return find_word(text(i), flag) != std::string_view::npos;
}

bool StraceLine::has(std::string_view flag) const {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& a) {
    return find_word(a, flag) != std::string_view::npos;
  });
}

std::optional<std::uint64_t> StraceLine::field(std::string_view name_of_field) const {
  for (const std::string_view a : arguments) {
    const std::size_t at = find_word(a, name_of_field);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = a.substr(at + name_of_field.size());
    if (rest.starts_with("=")) return strace_number(rest.substr(1));
  }
  return std::nullopt;
}

std::string_view StraceLine::path_of(std::string_view descriptor) {
  const std::size_t at = descriptor.find('<');
  if (at == std::string_view::npos || at == 0 || descriptor.substr(at).starts_with("<<")) return {};
  const std::size_t end = behind_path(descriptor, at);
  return end > at + 1 ? descriptor.substr(at + 1, end - at - 2) : std::string_view();
}

StraceLine StraceLineParser::parse(std::string_view line) {
  StraceLine out;
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  skip_spaces(line);
  if (line.empty()) {
    out.kind = StraceLine::Kind::kEmpty;
    return out;
  }
  if (line.starts_with("strace: ") || line.starts_with("> ")) {
    out.kind = StraceLine::Kind::kNote;
    return out;
  }
  std::string joined;
  if (const std::size_t note = line.find("strace: Process ");
      note != std::string_view::npos &&
      (line.ends_with(" attached") || line.ends_with(" detached"))) {
    // On a terminal the note cuts a call in two: its mark follows on the next line.
    joined = std::string(line.substr(0, note)) + std::string(kUnfinished);
    line = joined;
  } else if (line == kUnfinished) {
    out.kind = StraceLine::Kind::kNote;
    return out;
  }
  if (line.starts_with("#")) {
    out.kind = StraceLine::Kind::kNote;
    if (line.starts_with("# program \"")) {
      out.kind = StraceLine::Kind::kProgram;
      split(line, 10, out.arguments, ' ');
    }
    return out;
  }
  out.pid = take_pid(line);
  skip_times(line);
  if (line.starts_with("+++ ")) {
    ended(line, out);
  } else if (line.starts_with("--- ")) {
    out.kind = StraceLine::Kind::kSignal;
  } else if (line.starts_with("> ")) {
    out.kind = StraceLine::Kind::kNote;
  } else {
    call(line, out);
  }
  return out;
}

void StraceLineParser::ended(std::string_view line, StraceLine& out) {
  constexpr std::string_view kSuperseded = "+++ superseded by execve in pid ";
  unfinished_.erase(out.pid);
  out.kind = StraceLine::Kind::kExited;
  if (!line.starts_with(kSuperseded)) return;
  out.kind = StraceLine::Kind::kSuperseded;
  line.remove_prefix(kSuperseded.size());
  out.other = static_cast<std::uint32_t>(strace_number(line).value_or(0));
  // The rest of the call comes back in the name of the process.
  if (auto half = unfinished_.extract(out.other); !half.empty()) {
    half.key() = out.pid;
    unfinished_.insert(std::move(half));
  }
}

void StraceLineParser::call(std::string_view line, StraceLine& out) {
  std::string joined;
  if (line.starts_with("<... ")) {
    const std::size_t resumed = line.find("resumed>");
    if (resumed == std::string_view::npos) return;
    std::string_view name = line.substr(5, resumed - 5);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    const std::string_view rest = line.substr(resumed + 8);
    const auto begun = unfinished_.find(out.pid);
    out.orphan = begun == unfinished_.end() ||
                 (!name.empty() && !std::string_view(begun->second).starts_with(name));
    joined = (out.orphan ? std::string(name) + "(" : begun->second) + std::string(rest);
    if (begun != unfinished_.end()) unfinished_.erase(begun);
    line = joined;
  } else if (const std::size_t mark = line.find(kUnfinished);
             mark != std::string_view::npos && line.substr(mark + kUnfinished.size()) != "") {
    // "pause( <unfinished ...>) = ?": the task died in the call
    joined =
        std::string(line.substr(0, mark)) + std::string(line.substr(mark + kUnfinished.size()));
    line = joined;
  }
  const std::size_t bracket = line.find('(');
  if (bracket == std::string_view::npos || bracket == 0 || is_digit(line.front())) return;
  if (!std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(bracket), is_name)) {
    return;
  }
  out.name = line.substr(0, bracket);
  if (line.ends_with(kUnfinished) || line.ends_with(kDetached)) {
    line.remove_suffix(line.ends_with(kUnfinished) ? kUnfinished.size() : kDetached.size());
    unfinished_[out.pid] = line;
    split(line, bracket + 1, out.arguments);
    out.kind = StraceLine::Kind::kBegun;
    return;
  }
  out.kind = StraceLine::Kind::kCut;
  const std::size_t close = split(line, bracket + 1, out.arguments);
  if (close == std::string_view::npos) return;
  std::string_view rest = line.substr(close + 1);
  skip_spaces(rest);
  if (!rest.starts_with("=")) return;
  rest.remove_prefix(1);
  skip_spaces(rest);
  out.result = rest;
  out.failed = rest.empty() || rest.front() == '?' || rest.front() == '-';
  out.kind = StraceLine::Kind::kCall;
}

}  // namespace kpksim::workload
