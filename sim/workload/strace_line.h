#pragma once
// One line of strace's output, taken apart: every spelling of -f, -t, -tt, -ttt, -r, -T, -i, -n,
// -N, -y, -Y, --secontext, --pidns-translation, with or without -o. What several lines make
// together, such as unfinished and resumed calls, is strace_recording.h's.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim::workload {

inline constexpr std::uint64_t kUserEnd = 1ull << 48;  // no address of a recording is beyond it

struct StraceLine {
  enum class Kind : std::uint8_t {
    kCall,        // a whole call: name, arguments, result
    kBegun,       // the first half of a call; its second half will come back as kCall
    kExited,      // +++ exited, killed: the task is gone
    kSuperseded,  // +++ superseded by execve in pid `other` +++
    kAttached,    // Process `other` attached
    kProgram,     // # program "PATH" text=N data=N zero=N: what execve maps of it (programs.sh)
    kLink,        // # link "PATH" -> "TARGET": another name of a program (programs.sh)
    kSignal,      // --- SIGCHLD ... ---
    kNote,        // strace's own words, stack traces of -k, dumps of -e read, the program's output
    kRemark,      // # anything else
    kSummary,     // of -c and -C
    kEmpty,
    kCut,      // a call that lacks its end
    kUnknown,  // not strace's
  };
  Kind kind = Kind::kUnknown;
  bool failed = false;       // = -1 ERROR, or no result (?)
  bool orphan = false;       // the second half of a call whose first half the trace does not have
  std::uint16_t file = 0;    // of those the recording consists of
  std::uint32_t number = 0;  // in its file, from 1 on
  std::uint32_t pid = 0;     // 0: the line names none
  std::uint32_t other = 0;
  // The task that a call has made or waited for, by the number its lines bear.
  std::uint32_t child = 0;
  std::uint64_t time = 0;  // of -t, -tt or -ttt, in nanoseconds; 0: the line has none
  std::string name;        // of the call
  std::vector<std::string> arguments;
  std::string result;  // what follows " = "

  std::string_view text(std::size_t i) const;   // empty if absent
  std::string string(std::size_t i) const;      // a quoted argument, without quotes and escapes
  std::uint64_t argument(std::size_t i) const;  // as a number; 0 if absent, NULL or symbolic
  bool is_number(std::size_t i) const;          // NULL counts
  std::uint64_t value() const;                  // the result as a number
  // The argument names this flag as a whole word.
  bool has(std::size_t i, std::string_view flag) const;
  // Any argument does.
  bool has(std::string_view flag) const;
  // What stands behind `name=` in any argument, also within {...}; empty if there is none.
  std::string_view field_text(std::string_view name) const;
  std::optional<std::uint64_t> field(std::string_view name) const;  // as a number
  // The file a descriptor stands for, as -y prints it: "3</lib/x.so>"; empty without -y.
  static std::string_view path_of(std::string_view descriptor);
};

// "0x1f", "31", "-1" (as all ones); nullopt if `text` does not start with a number.
std::optional<std::uint64_t> strace_number(std::string_view text);

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// How many digits `text` begins with.
inline std::size_t digits_of(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) -
                                  text.begin());
}

inline void skip_spaces(std::string_view& text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
}

// The process that a number stands for: "2", "501<sh>", or "2 /* 501 in strace's PID NS */", which
// is 501; 0 if it is none.
std::uint32_t strace_pid(std::string_view text);

bool makes_task(std::string_view call);
bool waits_for_task(std::string_view call);

// Takes pid, times and other columns off the front, into pid and time of `out`.
void take_prefix(std::string_view& line, StraceLine& out);

// Whether it starts as a call does: "name(".
bool starts_call(std::string_view text);

// A call: its name, arguments and result, as far as they are there. kCall, kCut or kUnknown.
void parse_call(std::string_view text, StraceLine& out);

// "# program" and "# link" lines and other remarks.
void parse_remark(std::string_view line, StraceLine& out);

}  // namespace kpksim::workload
