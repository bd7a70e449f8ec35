#include "sim/workload/strace_usable.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/base/error.h"
#include "sim/workload/linux_calls.h"
#include "sim/workload/strace_recording.h"

namespace kpksim::workload {
namespace {

constexpr const char* kExpected =
    "expected the output of strace -f, lines like '118 mmap(NULL, 8192, ...) = 0x7f...'";
constexpr std::size_t kMarkLines = 1000;  // of other tools stand near the beginning
constexpr std::size_t kFew = 20;          // calls that show nothing of what was left out
constexpr std::size_t kNamed = 5;         // calls that a message names

// Words that other tools print and strace does not, outside of a program's own strings.
struct Mark {
  std::string_view words, what;
};
constexpr Mark kMarks[] = {
    {"+++ exited (status ", "ltrace's output"},
    {"__libc_start_main(", "ltrace's output"},
    {"@SYS(", "ltrace's output"},
    {"SYSCALL(args)", "dtruss's output"},
    {" ERR#", "truss's output"},
    {" Err#", "truss's output"},
    {" ms): ", "perf trace's output"},
    {" us): ", "perf trace's output"},
    {" CALL  ", "kdump's output (ktrace)"},
    {"strace.go:", "gVisor's log"},
    {"# DURATION ", "uftrace's output"},
};

// The tool whose output it looks like, and the line that tells; empty if none is known.
std::pair<std::string_view, std::uint32_t> tool_of(std::string_view text) {
  std::uint32_t number = 0;
  std::pair<std::string_view, std::uint32_t> found;
  each_line(text, [&](std::string_view line) {
    ++number;
    for (const Mark& mark : kMarks) {
      if (line.find(mark.words) != line.npos) found = {mark.what, number};
    }
    return found.first.empty() && number < kMarkLines;
  });
  return found;
}

// truss writes results in both bases, "= 34366169088 (0x80060a000)", or the number of an error;
// dtruss the number of the error behind every result, "= 0x10B2000 0".
bool is_foreign_result(std::string_view result) {
  if (result.starts_with("ERR#") || result.starts_with("Err#") ||
      result.find(" ERR#") != result.npos || result.find(" Err#") != result.npos) {
    return true;
  }
  const std::size_t end = result.find_first_not_of("-0123456789abcdefxABCDEF");
  if (end == std::string_view::npos || end == 0) return false;
  const std::string_view more = result.substr(end);
  return more.starts_with(" (0x") ||
         (more.size() > 1 && more.find_first_not_of(" 0123456789") == more.npos);
}

bool is_memory_call(std::string_view name) {
  return name == "mmap" || name == "munmap" || name == "brk" || name == "mprotect" ||
         name == "mremap" || name == "madvise" || name == "shmat";
}

void refuse(const std::string& path, std::uint32_t line, const std::string& why) {
  throw InputError(fmt::format("{}:{}: {}", path, line, why));
}

// "openat (12), stat (4)": the most frequent first.
std::string list_of(const std::map<std::string, std::size_t>& calls) {
  std::vector<std::pair<std::size_t, std::string>> order;
  order.reserve(calls.size());
  for (const auto& [name, n] : calls) order.emplace_back(n, name);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string out;
  for (std::size_t i = 0; i < order.size() && i < kNamed; ++i) {
    out += fmt::format("{}{} ({})", i == 0 ? "" : ", ", order[i].second, order[i].first);
  }
  return out + (order.size() > kNamed ? ", ..." : "");
}

// What a recording without any call consists of.
std::string contents(const std::vector<StraceLine>& lines) {
  std::size_t remarks = 0, notes = 0, summary = 0;
  for (const StraceLine& line : lines) {
    remarks += line.kind == StraceLine::Kind::kRemark || line.kind == StraceLine::Kind::kProgram ||
               line.kind == StraceLine::Kind::kLink;
    summary += line.kind == StraceLine::Kind::kSummary;
    notes += line.kind == StraceLine::Kind::kNote || line.kind == StraceLine::Kind::kAttached ||
             line.kind == StraceLine::Kind::kSignal || line.kind == StraceLine::Kind::kExited;
  }
  if (summary != 0) return "only the table of strace -c; record without -c";
  if (remarks == lines.size()) return fmt::format("no system call, only {} remarks", remarks);
  if (notes + remarks == lines.size()) {
    return fmt::format("no system call, only {} notes and signals of strace", notes);
  }
  return "no system call";
}

}  // namespace

void check_head(const std::string& path, std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    refuse(path, 1,
           fmt::format("UTF-16 text; expected UTF-8 (iconv -f UTF-16 -t UTF-8); {}", kExpected));
  }
  if (const std::size_t zero = text.substr(0, 65536).find('\0'); zero != std::string_view::npos) {
    refuse(path, 1, fmt::format("binary data (a zero byte at byte {}); {}", zero, kExpected));
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) refuse(path, 1, fmt::format("no line; {}", kExpected));
  const std::string_view head = text.substr(first);
  const std::size_t next = head.find_first_not_of(" \t\r\n", 1);
  if (head.front() == '{' || (head.front() == '[' && next != std::string_view::npos &&
                              (head[next] == '{' || head[next] == '"' || head[next] == ']'))) {
    refuse(path, 1, fmt::format("JSON; {} (a JSON workload's name ends in .json)", kExpected));
  }
}

void check_known(const std::string& path, std::string_view text,
                 const std::vector<StraceLine>& lines) {
  std::size_t bad = 0;
  std::uint32_t first_bad = 0;
  bool other_tool = false;  // a result that strace never prints
  for (const StraceLine& line : lines) {
    const bool result = line.kind == StraceLine::Kind::kCall && is_foreign_result(line.result);
    const bool name = line.kind == StraceLine::Kind::kCall && !is_linux_call(line.name) &&
                      !line.name.starts_with("syscall_");
    other_tool |= result;
    if (line.kind != StraceLine::Kind::kUnknown && !result && !name) continue;
    if (bad++ == 0) first_bad = line.number;
  }
  const bool most = bad * 2 > lines.size();
  if (!most && !other_tool) return;
  if (const auto [tool, where] = tool_of(text); !tool.empty()) {
    refuse(path, where, fmt::format("{}; {}", tool, kExpected));
  }
  if (!most) return;
  refuse(path, first_bad,
         fmt::format("not strace's output ({} of the first {} lines); {}", bad, lines.size(),
                     kExpected));
}

void check_use(const std::string& path, std::string_view text,
               const std::vector<StraceLine>& lines) {
  std::map<std::string, std::size_t> calls;
  std::size_t n = 0;
  std::uint32_t executed = 0;
  bool only_paths = true;
  for (const StraceLine& line : lines) {
    if (line.name.empty()) continue;
    if (is_memory_call(line.name)) return;
    if (line.kind != StraceLine::Kind::kCall) continue;
    ++n;
    ++calls[line.name];
    only_paths &= std::any_of(line.arguments.begin(), line.arguments.end(),
                              [](const std::string& a) { return a.starts_with('"'); });
    if (executed == 0 && line.name.starts_with("exec") && !line.failed) executed = line.number;
  }
  if (n == 0) {
    if (const auto [tool, where] = tool_of(text); !tool.empty()) {
      refuse(path, where, fmt::format("{}; {}", tool, kExpected));
    }
    refuse(path, 1, fmt::format("{}; {}", contents(lines), kExpected));
  }
  // What a recording from the middle of a run shows may be all there was; but a program that starts
  // asks for memory, and one that opens files does not only that.
  if (executed == 0 && (!only_paths || n < kFew)) return;
  refuse(path, executed == 0 ? 1 : executed,
         fmt::format("no memory call (mmap, brk, munmap, ...) among its {} calls, which are {}; "
                     "record without -e trace, or with -e trace=memory,process,desc",
                     n, list_of(calls)));
}

}  // namespace kpksim::workload
