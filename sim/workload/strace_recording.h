#pragma once
// The lines of a recording, put together again: calls that strace or a terminal has cut in two are
// whole, quoting and notes are gone.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/workload/strace_line.h"

namespace kpksim::workload {

// Reads the lines of one file in their order.
class StraceParser {
 public:
  // `own_pid`: of the lines that bear none, as strace -ff writes them; 0: unknown.
  explicit StraceParser(std::uint16_t file = 0, std::uint32_t own_pid = 0)
      : file_(file), own_pid_(own_pid) {}

  // Adds what the next line is: one or two lines, or none if it is empty.
  void parse(std::string_view raw, std::vector<StraceLine>& out);
  // The text has ended: adds the calls that lack their end.
  void end(std::vector<StraceLine>& out);

 private:
  // The first half of a call. `cut`: a terminal has cut it, without strace's mark.
  struct Half {
    std::string text;
    std::uint32_t number = 0;
    bool cut = false;
  };
  using Halves = std::map<std::uint32_t, Half>;  // by pid

  bool note(std::string_view line, StraceLine& next, std::vector<StraceLine>& out);
  bool summary(std::string_view line);
  bool body(std::string_view line, StraceLine& next, std::vector<StraceLine>& out);
  void ended(std::string_view line, StraceLine& next, std::vector<StraceLine>& out);
  void resumed(std::string_view line, StraceLine& next, std::vector<StraceLine>& out);
  void call(std::string_view line, StraceLine& next, std::vector<StraceLine>& out);
  void begin(std::string_view text, bool cut, StraceLine next, std::vector<StraceLine>& out);
  void rest(std::string_view text, StraceLine& next, std::vector<StraceLine>& out);
  Halves::iterator half_of(std::uint32_t pid, std::string_view name);
  void drop(std::uint32_t pid, std::vector<StraceLine>& out);

  std::uint16_t file_;
  std::uint32_t own_pid_, number_ = 0;
  bool in_summary_ = false;
  Halves unfinished_;
  // Whose line stands on the terminal without its end: the next lines may go on with it.
  std::optional<std::uint32_t> open_;
};

// How many quotation marks ("> ") stand before every line.
unsigned quote_depth(std::string_view text);
std::string_view unquoted(std::string_view line, unsigned depth);

// Calls `use` for each line of the text, until it returns false.
template <class Use>
void each_line(std::string_view text, const Use& use) {
  const unsigned depth = quote_depth(text);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (!use(unquoted(text.substr(at, end - at), depth))) return;
    at = end + 1;
  }
}

}  // namespace kpksim::workload
