#pragma once
// A file of Chrome trace events, as Perfetto (ui.perfetto.dev) and chrome://tracing open it: the
// "JSON Object Format" of Google's "Trace Event Format" (2016). One event on each line. Times are
// nanoseconds here and microseconds in the file.
//
// On one track events come in the order of time, and slices lie within each other: whoever calls
// sees to both.

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/base/output_file.h"

namespace kpksim::watch {

class TraceFile {
 public:
  using Nanoseconds = std::uint64_t;
  using Track = unsigned;  // a "thread" of the one process

  // Outlives this. `process`: what the tracks are of, any text.
  TraceFile(StreamedFile& out, std::string_view process);

  // `args`: a JSON object, or empty. Names are plain ASCII without quotes.
  void name_track(Track track, std::string_view name);
  void begin(Track track, std::string_view name, Nanoseconds at, std::string_view args = {});
  void end(Track track, std::string_view name, Nanoseconds at, std::string_view args = {});
  // A beginning and an end. (The format has a kind of its own with a duration. Times are fractions
  // of microseconds, though: a viewer that adds the two may get past the beginning of the next.)
  void slice(Track track, std::string_view name, Nanoseconds from, Nanoseconds to,
             std::string_view args = {});
  void instant(Track track, std::string_view name, Nanoseconds at, std::string_view args = {});
  // Across all tracks. `name`: a JSON string.
  void mark(std::string_view name, Nanoseconds at);
  // An arrow from the slice of one track to that of another.
  void flow_from(Track track, std::uint64_t id, Nanoseconds at);
  void flow_to(Track track, std::uint64_t id, Nanoseconds at);
  void counter(std::string_view name, Nanoseconds at, std::uint64_t value);
  // Nothing follows. `about`: a JSON object, of what a viewer shows about the file.
  void finish(std::string_view about);

 private:
  void event(std::string_view text);

  StreamedFile& out_;
  bool any_ = false;
};

}  // namespace kpksim::watch
