#include "sim/workload/strace_recording.h"

#include <algorithm>

namespace kpksim::workload {
namespace {

constexpr std::string_view kUnfinished = "<unfinished ...>", kDetached = "<detached ...>";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::size_t kQuoteSample = 100;  // lines that show whether all are quoted

std::string_view trimmed(std::string_view s) {
  s.remove_prefix(std::min(s.size(), s.find_first_not_of(" \t")));
  while (!s.empty() && (s.back() == '\r' || s.back() == ' ' || s.back() == '\t')) {
    s.remove_suffix(1);
  }
  return s;
}

// "Process 12 attached", "Process 12 attached (waiting for parent)": what it says of which task.
struct Note {
  std::size_t at = std::string_view::npos;  // where it starts in its line
  std::uint32_t attached = 0;
};

// With "strace: " and the path strace was started by, if one is there.
std::size_t with_program(std::string_view line, std::size_t at) {
  constexpr std::string_view kProgram = "strace: ";
  if (!line.substr(0, at).ends_with(kProgram)) return at;
  at -= kProgram.size();
  if (at == 0 || line[at - 1] != '/') return at;
  while (at != 0 && (std::isalnum(static_cast<unsigned char>(line[at - 1])) != 0 ||
                     std::string_view("/._-+").find(line[at - 1]) != std::string_view::npos)) {
    --at;
  }
  const std::string_view path = line.substr(at);
  return at + std::min({path.find('/'), path.find("./"), path.find("../")});
}

// A note at the end of a line: strace writes them to the terminal whatever stands there.
Note note_in(std::string_view line) {
  for (std::size_t at = line.find("Process "); at != std::string_view::npos;
       at = line.find("Process ", at + 1)) {
    std::string_view rest = line.substr(at + 8);
    if (rest.starts_with("PID=") && at >= 2 && line.substr(at - 2).starts_with("[ ") &&
        line.ends_with("bit mode. ]")) {
      return {with_program(line, at - 2), 0};
    }
    const std::uint32_t pid = strace_pid(rest);
    rest.remove_prefix(digits_of(rest));
    for (const std::string_view word : {" attached", " detached", " suspended", " resumed"}) {
      if (pid == 0 || !rest.starts_with(word)) continue;
      const std::string_view more = rest.substr(word.size());
      if (more.empty() || more.starts_with(" (") || more.starts_with(" with ")) {
        return {with_program(line, at), word == " attached" ? pid : 0};
      }
    }
  }
  return {};
}

// strace's other words: stack traces of -k, dumps of -e read and -e write.
bool is_remark(std::string_view line) {
  const bool words = line.starts_with("strace: ") ||
                     (line.starts_with('/') && line.find("/strace: ") < line.find(' '));
  const bool dump = line.starts_with("| 0") && line.ends_with("|");
  const bool buffer = line.starts_with("* ") && line.find(" bytes in buffer ") != line.npos;
  return words || dump || buffer || line.starts_with("> ") || line == kUnfinished;
}

// "execve(...  <pid changed to 500 ...>": the process that goes on with the call.
std::uint32_t changed_pid(std::string_view& line) {
  constexpr std::string_view kChanged = "<pid changed to ";
  if (!line.ends_with(" ...>")) return 0;
  const std::size_t at = line.rfind(kChanged);
  if (at == std::string_view::npos) return 0;
  const std::uint32_t pid = strace_pid(line.substr(at + kChanged.size()));
  if (pid != 0) line = line.substr(0, at);
  return pid;
}

// Output of the program may stand between the two halves of its own call.
bool sends_output(std::string_view call) {
  return call.starts_with("write") || call.starts_with("pwrite") || call.starts_with("send") ||
         call.starts_with("splice") || call.starts_with("copy_file_range");
}

}  // namespace

unsigned quote_depth(std::string_view text) {
  unsigned lines = 0, quoted = 0;
  for (std::size_t at = 0; at < text.size() && lines < kQuoteSample;) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (const std::string_view words = trimmed(line); !words.empty() && words[0] != '#') ++lines;
    if (line.starts_with('>') || (at == 0 && line.starts_with("\xef\xbb\xbf>"))) ++quoted;
    at = end + 1;
  }
  return quoted * 10 > lines * 9 ? 1 : 0;
}

std::string_view unquoted(std::string_view line, unsigned depth) {
  if (line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  // A frame of -k begins with a space, so that its own mark stays.
  while (depth != 0 && line.starts_with('>')) {
    line.remove_prefix(1);
    if (line.starts_with(' ')) line.remove_prefix(1);
  }
  return line;
}

void StraceParser::parse(std::string_view raw, std::vector<StraceLine>& out) {
  ++number_;
  const std::string_view line = trimmed(raw);
  if (line.empty()) return;
  StraceLine next;
  next.number = number_;
  next.file = file_;
  if (note(line, next, out)) return;
  std::string_view rest = line;
  take_prefix(rest, next);
  if (next.pid == 0) next.pid = own_pid_;
  if (!body(rest, next, out)) this->rest(line, next, out);
}

bool StraceParser::note(std::string_view line, StraceLine& next, std::vector<StraceLine>& out) {
  const Note found = note_in(line);
  if (found.at != std::string_view::npos && found.at != 0) {
    StraceLine before = next;
    std::string_view text = line.substr(0, found.at);
    take_prefix(text, before);
    if (before.pid == 0) before.pid = own_pid_;
    if (starts_call(text)) {
      begin(text, true, std::move(before), out);
    } else if (open_ && !sends_output(unfinished_[*open_].text)) {
      unfinished_[*open_].text += line.substr(0, found.at);  // cut once more
    }
  }
  if (found.at != std::string_view::npos) {
    next.kind = found.attached != 0 ? StraceLine::Kind::kAttached : StraceLine::Kind::kNote;
    next.other = found.attached;
  } else if (line.starts_with('#')) {
    parse_remark(line, next);
  } else if (summary(line)) {
    next.kind = StraceLine::Kind::kSummary;
  } else if (is_remark(line)) {
    next.kind = StraceLine::Kind::kNote;
    if (line == kUnfinished && open_) unfinished_[*open_].cut = false;
    if (line == kUnfinished) open_.reset();
  } else {
    return false;
  }
  out.push_back(std::move(next));
  return true;
}

// The table of -c, or of -C behind the calls.
bool StraceParser::summary(std::string_view line) {
  if (line.starts_with("% time") && line.ends_with("syscall")) return in_summary_ = true;
  if (!in_summary_) return false;
  in_summary_ = !line.ends_with("total");
  return is_digit(line.front()) || line.front() == '-' || !in_summary_;
}

// What stands behind the prefix. False if that is no line of strace's own.
bool StraceParser::body(std::string_view line, StraceLine& next, std::vector<StraceLine>& out) {
  if (line.starts_with("<... ")) {
    resumed(line, next, out);
  } else if (starts_call(line)) {
    call(line, next, out);
  } else if (line.starts_with("+++ ") || line.starts_with("--- ")) {
    open_.reset();
    next.kind = StraceLine::Kind::kSignal;
    if (line.starts_with('+')) ended(line, next, out);
    out.push_back(std::move(next));
  } else {
    return false;
  }
  return true;
}

void StraceParser::ended(std::string_view line, StraceLine& next, std::vector<StraceLine>& out) {
  constexpr std::string_view kSuperseded = "+++ superseded by execve in pid ";
  drop(next.pid, out);
  next.kind = StraceLine::Kind::kExited;
  if (!line.starts_with(kSuperseded)) return;
  next.kind = StraceLine::Kind::kSuperseded;
  next.other = strace_pid(line.substr(kSuperseded.size()));
  // The rest of the call comes back in the name of the process.
  if (auto half = unfinished_.extract(next.other); !half.empty()) {
    half.key() = next.pid;
    unfinished_.insert(std::move(half));
  }
}

// The half that "<... name resumed>" goes on with. On a terminal the task may have got its prefix
// in between, or lost it.
StraceParser::Halves::iterator StraceParser::half_of(std::uint32_t pid, std::string_view name) {
  const auto is_it = [&](Halves::iterator half) {
    return half != unfinished_.end() && half->second.text.starts_with(name) &&
           (name.empty() || half->second.text.substr(name.size()).starts_with('('));
  };
  for (const std::uint32_t own : {pid, 0u}) {
    if (const auto half = unfinished_.find(own); is_it(half)) return half;
  }
  auto latest = unfinished_.end();
  for (auto half = unfinished_.begin(); pid == 0 && half != unfinished_.end(); ++half) {
    if (!is_it(half)) continue;
    if (latest == unfinished_.end() || latest->second.number < half->second.number) latest = half;
  }
  return latest;
}

void StraceParser::resumed(std::string_view line, StraceLine& next, std::vector<StraceLine>& out) {
  open_.reset();
  const std::size_t end = line.find("resumed>");
  if (end == std::string_view::npos) return out.push_back(std::move(next));
  const std::string_view name = trimmed(line.substr(5, end - 5)), rest = line.substr(end + 8);
  if (makes_task(name)) {  // a child returns from the call that made it
    StraceLine child;
    parse_call(std::string(name) + "(" + std::string(rest), child);
    if (child.kind == StraceLine::Kind::kCall && strace_pid(child.result) == 0 && !child.failed) {
      next.kind = StraceLine::Kind::kNote;
      return out.push_back(std::move(next));
    }
  }
  const auto half = half_of(next.pid, name);
  next.orphan = half == unfinished_.end();
  const std::string joined =
      (next.orphan ? std::string(name) + "(" : half->second.text) + std::string(rest);
  if (!next.orphan) unfinished_.erase(half);
  call(joined, next, out);
}

void StraceParser::call(std::string_view line, StraceLine& next, std::vector<StraceLine>& out) {
  open_.reset();
  if (const std::uint32_t process = changed_pid(line); process != 0) {
    begin(line, false, next, out);
    if (auto half = unfinished_.extract(next.pid); !half.empty() && process != next.pid) {
      unfinished_[process] = std::move(half.mapped());
    }
    out.back().other = process;
    return;
  }
  for (const std::string_view mark : {kUnfinished, kDetached}) {
    if (!line.ends_with(mark)) continue;
    return begin(line.substr(0, line.size() - mark.size()), false, std::move(next), out);
  }
  std::string joined;
  if (const std::size_t mark = line.find(kUnfinished); mark != std::string_view::npos) {
    // "pause( <unfinished ...>) = ?": the task died in the call
    joined = std::string(line).erase(mark, kUnfinished.size());
    line = joined;
  }
  StraceLine parsed = next;
  parse_call(line, parsed);
  if (parsed.kind == StraceLine::Kind::kCut) return begin(line, true, std::move(next), out);
  drop(next.pid, out);
  out.push_back(std::move(parsed));
}

void StraceParser::begin(std::string_view text, bool cut, StraceLine next,
                         std::vector<StraceLine>& out) {
  drop(next.pid, out);
  parse_call(text, next);
  next.kind = StraceLine::Kind::kBegun;
  unfinished_[next.pid] = {std::string(text), next.number, cut};
  open_.reset();
  if (cut) open_ = next.pid;
  out.push_back(std::move(next));
}

// Text that is no line of its own: the rest of the call that stands open on the terminal, or what
// the program itself has printed there.
void StraceParser::rest(std::string_view text, StraceLine& next, std::vector<StraceLine>& out) {
  // Only the pid is a prefix here: a bracket may be an argument's.
  if (text.starts_with("[pid ")) text.remove_prefix(std::min(text.find("] "), text.size() - 2) + 2);
  next.kind = StraceLine::Kind::kUnknown;
  if (!open_ || (next.pid != 0 && next.pid != *open_ && *open_ != 0)) {
    return out.push_back(std::move(next));
  }
  Half& half = unfinished_[*open_];
  StraceLine whole = next;
  whole.pid = *open_;
  const std::string joined = half.text + std::string(text);
  if (parse_call(joined, whole); whole.kind == StraceLine::Kind::kCall) {
    unfinished_.erase(*open_);
    open_.reset();
    return out.push_back(std::move(whole));
  }
  if (text.ends_with(kUnfinished)) {
    if (!sends_output(half.text)) half.text = joined.substr(0, joined.size() - kUnfinished.size());
    half.cut = false;
    open_.reset();
    next.kind = StraceLine::Kind::kNote;
  } else if (sends_output(half.text)) {
    next.kind = StraceLine::Kind::kNote;
  }
  out.push_back(std::move(next));
}

// The call that the task had begun never came back.
void StraceParser::drop(std::uint32_t pid, std::vector<StraceLine>& out) {
  const auto half = unfinished_.find(pid);
  if (half == unfinished_.end()) return;
  if (half->second.cut) {
    StraceLine lost;
    lost.kind = StraceLine::Kind::kCut;
    lost.number = half->second.number;
    lost.file = file_;
    lost.pid = pid;
    out.push_back(std::move(lost));
  }
  unfinished_.erase(half);
}

void StraceParser::end(std::vector<StraceLine>& out) {
  while (!unfinished_.empty()) drop(unfinished_.begin()->first, out);
}

}  // namespace kpksim::workload
