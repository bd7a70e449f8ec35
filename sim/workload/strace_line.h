#pragma once
// One line of strace's output, taken apart: every spelling of -f, -t, -tt, -ttt, -r, -T, -i, -n,
// -y,
// --decode-pids, with or without -o, and of unfinished and resumed calls.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim::workload {

struct StraceLine {
  enum class Kind : std::uint8_t {
    kCall,        // a whole call: name, arguments, result
    kBegun,       // the first half of a call; its second half will come back as kCall
    kExited,      // +++ exited, killed: the task is gone
    kSuperseded,  // +++ superseded by execve in pid `other` +++
    kProgram,     // # program "PATH" text=N data=N zero=N: what execve maps of it (programs.sh)
    kSignal,      // --- SIGCHLD ... ---
    kNote,        // strace's own words, and stack traces of -k
    kEmpty,
    kCut,      // a call that lacks its end
    kUnknown,  // not strace's
  };
  Kind kind = Kind::kUnknown;
  bool failed = false;    // = -1 ERROR, or no result (?)
  bool orphan = false;    // the second half of a call whose first half the trace does not have
  std::uint32_t pid = 0;  // 0: the line names none
  std::uint32_t other = 0;
  std::string name;  // of the call
  std::vector<std::string> arguments;
  std::string result;  // what follows " = "

  std::string_view text(std::size_t i) const;   // empty if absent
  std::uint64_t argument(std::size_t i) const;  // as a number; 0 if absent, NULL or symbolic
  bool is_number(std::size_t i) const;          // NULL counts
  std::uint64_t value() const;                  // the result as a number
  // The argument names this flag as a whole word.
  bool has(std::size_t i, std::string_view flag) const;
  // Any argument does.
  bool has(std::string_view flag) const;
  // The number behind `name=` in any argument, also within {...}; nullopt if there is none.
  std::optional<std::uint64_t> field(std::string_view name) const;
  // The file a descriptor stands for, as -y prints it: "3</lib/x.so>"; empty without -y.
  static std::string_view path_of(std::string_view descriptor);
};

// "0x1f", "31", "-1" (as all ones); nullopt if `text` does not start with a number.
std::optional<std::uint64_t> strace_number(std::string_view text);

class StraceLineParser {
 public:
  StraceLine parse(std::string_view line);

 private:
  void ended(std::string_view line, StraceLine& out);
  void call(std::string_view line, StraceLine& out);

  std::map<std::uint32_t, std::string> unfinished_;  // first halves, by pid
};

}  // namespace kpksim::workload
