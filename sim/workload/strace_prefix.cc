// The columns in front of a line: pid, name, security context, times, address, call number.

#include <algorithm>
#include <charconv>

#include "sim/workload/strace_line.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kPidLimit = 4u << 20;  // PID_MAX_LIMIT: a larger leading number is a time
constexpr std::uint64_t kSecond = 1'000'000'000;
// Seconds since 1970 of -ttt; a smaller number is the difference that -r prints.
constexpr std::uint64_t kFirstDate = 100'000'000;

std::uint64_t number(std::string_view digits) { return strace_number(digits).value_or(0); }

// Takes a bracketed word off the front: "[...] " or "(...) ".
std::string_view take_bracketed(std::string_view& s, char close) {
  const std::size_t end = s.find(close);
  if (end == std::string_view::npos) return {};
  const std::string_view word = s.substr(1, end - 1);
  s.remove_prefix(end + 1);
  skip_spaces(s);
  return word;
}

// The pid in front of a line: "12 ", "12<sh> ", "[pid 12] " or "[pid 12<a]b>] "; 0 if none. A name
// may hold anything but < and >, which strace escapes.
std::uint32_t take_pid(std::string_view& s) {
  const bool bracketed = s.starts_with("[pid ");
  std::string_view rest = s;
  if (bracketed) {
    rest.remove_prefix(5);
    skip_spaces(rest);
  }
  std::size_t end = digits_of(rest);
  if (end == 0 || end == rest.size()) return 0;
  const std::uint64_t pid = number(rest.substr(0, end));
  const std::string_view behind = bracketed ? "] " : " ";
  if (rest[end] == '<') {
    const std::size_t close = rest.find(">" + std::string(behind), end);
    if (close == std::string_view::npos) return 0;
    end = close + 1;
  }
  if (rest[end] != behind[0] && (bracketed || rest[end] != '\t')) return 0;
  if (pid == 0 || pid > kPidLimit) return 0;
  rest.remove_prefix(end + 1);
  skip_spaces(rest);
  s = rest;
  return static_cast<std::uint32_t>(pid);
}

// "10:00:01.123456" since midnight, "1700000000.123456" since 1970; 0: a difference of -r.
std::uint64_t time_of(std::string_view text) {
  const std::string_view whole = text.substr(0, text.find('.'));
  std::uint64_t fraction = 0, unit = kSecond;
  for (std::size_t i = whole.size() + 1; i < text.size() && unit > 1; ++i) {
    unit /= 10;
    fraction += static_cast<std::uint64_t>(text[i] - '0') * unit;
  }
  const std::size_t colon = whole.find(':');
  if (colon == std::string_view::npos) {
    const std::uint64_t seconds = number(whole);
    return seconds < kFirstDate || seconds > ~std::uint64_t{0} / kSecond - 1
               ? 0
               : seconds * kSecond + fraction;
  }
  const std::string_view rest = whole.substr(colon + 1);
  const std::size_t second = std::min(rest.find(':'), rest.size() - 1);
  const std::uint64_t hours = number(whole.substr(0, colon)), minutes = number(rest),
                      seconds = number(rest.substr(second + 1));
  if (hours > 24 || minutes > 60 || seconds > 60) return 0;
  // Never 0, which stands for no time: midnight is the first nanosecond.
  return ((hours * 60 + minutes) * 60 + seconds) * kSecond + std::max<std::uint64_t>(fraction, 1);
}

// Steps over times (-t, -r), "(+ 0.000010)" (-t with -r), "[7f..]" (-i), "[ 59]" (-n) and
// "[unconfined_t]" (--secontext).
void take_columns(std::string_view& s, StraceLine& out) {
  while (!s.empty()) {
    if (s.front() == '[' || s.starts_with("(+")) {
      std::string_view rest = s;
      if (take_bracketed(rest, s.front() == '[' ? ']' : ')').empty()) return;
      s = rest;
      continue;
    }
    const auto of_time = [](char c) { return is_digit(c) || c == '.' || c == ':'; };
    const auto end =
        static_cast<std::size_t>(std::find_if_not(s.begin(), s.end(), of_time) - s.begin());
    if (end == s.size() || end == 0 || s[end] != ' ') return;
    if (out.time == 0) out.time = time_of(s.substr(0, end));
    s.remove_prefix(end);
    skip_spaces(s);
  }
}

}  // namespace

void take_prefix(std::string_view& line, StraceLine& out) {
  out.pid = take_pid(line);
  take_columns(line, out);
}

}  // namespace kpksim::workload
