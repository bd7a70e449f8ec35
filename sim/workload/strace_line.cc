#include "sim/workload/strace_line.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "sim/base/types.h"

namespace kpksim::workload {
namespace {

constexpr std::size_t kUsualArguments = 4;

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Index behind a string; `at` is the index of its opening quote.
std::size_t behind_string(std::string_view s, std::size_t at) {
  for (++at; at < s.size() && s[at] != '"'; ++at) {
    if (s[at] == '\\') ++at;
  }
  return std::min(at + 1, s.size());
}

// Index behind what -y prints after a descriptor: "3</a/b->", "0</dev/pts/3<char 136:3>>",
// "4<UNIX:[7->8,"/tmp/s"]>"; `at` is the index of the '<'. strace escapes < and > within paths; an
// arrow stands only within the brackets of a socket.
std::size_t behind_path(std::string_view s, std::size_t at) {
  if (at + 1 < s.size() && s[at + 1] == '<') return at + 2;  // 1<<CAP_CHOWN
  const bool path = at + 1 < s.size() && s[at + 1] == '/';
  unsigned depth = 0, brackets = 0;
  for (std::size_t i = at; i < s.size(); ++i) {
    if (s[i] == '<') ++depth;
    if (!path && s[i] == '[') ++brackets;
    if (!path && s[i] == ']' && brackets != 0) --brackets;
    if (brackets != 0 && s[i] == '"') i = behind_string(s, i) - 1;
    if (s[i] == '>' && (brackets == 0 || s[i - 1] != '-') && --depth == 0) return i + 1;
  }
  return at + 1;
}

// The characters at which split() looks; all others are text.
constexpr std::array<bool, 256> kMarks = [] {
  std::array<bool, 256> marks{};
  for (const char c : std::string_view("\"/<([{)]}, ")) marks[static_cast<unsigned char>(c)] = true;
  return marks;
}();

// Splits at the separators up to the bracket that closes the one before `from`; its index. Quotes,
// inner brackets, comments and -y's paths are stepped over. `separator` is one of kMarks.
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
    if (!kMarks[static_cast<unsigned char>(s[i])]) continue;
    switch (s[i]) {
      case '"':
        i = behind_string(s, i) - 1;
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

// Where the call's own bracket closes when its text is not to be trusted, as a program's output
// stands between: the last one that a result follows.
std::size_t last_close(std::string_view s) {
  for (std::size_t at = s.rfind(')'); at != std::string_view::npos && at != 0;
       at = s.rfind(')', at - 1)) {
    std::string_view rest = s.substr(at + 1);
    skip_spaces(rest);
    if (rest.starts_with("= ")) return at;
  }
  return std::string_view::npos;
}

// -N prints "addr=NULL, length=8192": the names go, unless they are all that tells the arguments
// apart.
void strip_names(StraceLine& out) {
  if (makes_task(out.name)) return;
  const auto value_at = [](std::string_view a) {
    const std::size_t end =
        std::min(a.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789"), a.size());
    return end != 0 && end < a.size() && a[end] == '=' && !is_digit(a[0]) ? end + 1 : 0;
  };
  if (!std::all_of(out.arguments.begin(), out.arguments.end(), value_at)) return;
  for (std::string& a : out.arguments) a.erase(0, value_at(a));
}

// The older spellings of mmap: i386's, of one argument in memory, and with an offset in pages,
// which newer versions of strace print in bytes.
void modern_mmap(StraceLine& out) {
  if (out.name == "old_mmap" || (out.name == "mmap" && out.arguments.size() == 1)) {
    std::string_view in = out.text(0);
    if (in.size() < 2 || in.front() != '{') return;
    std::vector<std::string> inner;
    split(in, 1, inner);
    out.arguments = std::move(inner);
    out.name = "mmap";
    strip_names(out);
  } else if (out.name == "mmap2") {
    out.name = "mmap";
    const std::uint64_t offset = out.argument(5);
    if (out.arguments.size() == 6 && !is_aligned(offset, kPageSize)) {
      out.arguments[5] = std::to_string(offset * kPageSize);
    }
  }
}

}  // namespace

bool makes_task(std::string_view call) {
  return call == "fork" || call == "vfork" || call == "clone" || call == "clone2" ||
         call == "clone3";
}

bool waits_for_task(std::string_view call) {
  return call == "wait4" || call == "waitpid" || call == "waitid";
}

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

std::uint32_t strace_pid(std::string_view text) {
  const std::uint64_t own = strace_number(text).value_or(0);
  text.remove_prefix(digits_of(text));
  if (text.starts_with("<")) text.remove_prefix(behind_path(text, 0));
  skip_spaces(text);
  std::uint64_t pid = own;
  if (text.starts_with("/* ") && text.substr(0, text.find("*/")).find("PID NS") != text.npos) {
    pid = strace_number(text.substr(3)).value_or(own);
  }
  return pid >> 31 == 0 ? static_cast<std::uint32_t>(pid) : 0;
}

std::string_view StraceLine::text(std::size_t i) const {
  return i < arguments.size() ? std::string_view(arguments[i]) : std::string_view();
}

std::string StraceLine::string(std::size_t i) const {
  const std::string_view in = text(i);
  std::string out;
  if (!in.starts_with('"')) return out;
  for (std::size_t at = 1; at < in.size() && in[at] != '"'; ++at) {
    if (in[at] != '\\' || at + 1 == in.size()) {
      out += in[at];
      continue;
    }
    const bool hexadecimal = in[++at] == 'x';  // of -x and -xx
    std::string_view digits = in.substr(at + (hexadecimal ? 1 : 0), hexadecimal ? 2 : 3);
    unsigned code = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, hexadecimal ? 16 : 8);
    if (error == std::errc()) {
      out += static_cast<char>(code);
      at = static_cast<std::size_t>(end - in.data()) - 1;
    } else {
      constexpr std::string_view kLetters = "ntrvf", kMeanings = "\n\t\r\v\f";
      const std::size_t letter = kLetters.find(in[at]);
      out += letter == std::string_view::npos ? in[at] : kMeanings[letter];
    }
  }
  return out;
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

std::string_view StraceLine::field_text(std::string_view name_of_field) const {
  for (const std::string_view a : arguments) {
    const std::size_t at = find_word(a, name_of_field);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = a.substr(at + name_of_field.size());
    if (rest.starts_with("=")) return rest.substr(1);
  }
  return {};
}

std::optional<std::uint64_t> StraceLine::field(std::string_view name_of_field) const {
  return strace_number(field_text(name_of_field));
}

std::string_view StraceLine::path_of(std::string_view descriptor) {
  const std::size_t at = descriptor.find('<');
  if (at == std::string_view::npos || at == 0 || descriptor.substr(at).starts_with("<<")) return {};
  const std::size_t end = behind_path(descriptor, at);
  return end > at + 1 ? descriptor.substr(at + 1, end - at - 2) : std::string_view();
}

bool starts_call(std::string_view text) {
  const std::size_t bracket = text.find('(');
  if (bracket == std::string_view::npos || bracket == 0 || is_digit(text.front())) return false;
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bracket), is_name);
}

void parse_call(std::string_view text, StraceLine& out) {
  if (!starts_call(text)) return;
  const std::size_t bracket = text.find('(');
  out.name = text.substr(0, bracket);
  out.kind = StraceLine::Kind::kCut;
  out.arguments.reserve(kUsualArguments);
  std::size_t close = split(text, bracket + 1, out.arguments);
  if (close == std::string_view::npos) close = last_close(text);
  strip_names(out);
  modern_mmap(out);
  if (close == std::string_view::npos) return;
  std::string_view rest = text.substr(close + 1);
  skip_spaces(rest);
  if (!rest.starts_with("=")) return;
  rest.remove_prefix(1);
  skip_spaces(rest);
  out.result = rest;
  out.failed = rest.empty() || rest.front() == '?' || rest.front() == '-';
  out.kind = StraceLine::Kind::kCall;
}

void parse_remark(std::string_view line, StraceLine& out) {
  out.kind = StraceLine::Kind::kRemark;
  if (line.starts_with("# program \"")) {
    out.kind = StraceLine::Kind::kProgram;
    split(line, 10, out.arguments, ' ');
  } else if (line.starts_with("# link \"")) {
    out.kind = StraceLine::Kind::kLink;
    split(line, 7, out.arguments, ' ');
  }
}

}  // namespace kpksim::workload
