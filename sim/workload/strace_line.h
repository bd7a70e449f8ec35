#pragma once
// One line of strace's output, taken apart: every spelling of -f, -t, -tt, -ttt, -r, -T and of
// unfinished and resumed calls.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim::workload {

struct StraceLine {
  enum class Kind : std::uint8_t { kCall, kBegun, kExited, kSignal, kNote, kEmpty, kUnknown };
  Kind kind = Kind::kUnknown;
  std::uint32_t pid = 0;  // 0: the line names none
  std::string name;       // of the call
  std::vector<std::string> arguments;
  std::string result;   // what follows " = "
  bool failed = false;  // = -1 ERROR, or no result (?)

  std::uint64_t argument(std::size_t i) const;  // as a number; 0 if absent, NULL or symbolic
  std::uint64_t value() const;                  // the result as a number
  bool has(std::size_t i, std::string_view flag) const;
};

// "0x1f", "31", "8*1024" is not a number of strace's; nullopt if `text` does not start with one.
std::optional<std::uint64_t> strace_number(std::string_view text);

class StraceLineParser {
 public:
  // kBegun: the call's first half; its second half will come back as kCall.
  StraceLine parse(std::string_view line);

 private:
  std::map<std::uint32_t, std::string> unfinished_;
};

}  // namespace kpksim::workload
