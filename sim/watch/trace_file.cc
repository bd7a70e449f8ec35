#include "sim/watch/trace_file.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "sim/base/json_text.h"

namespace kpksim::watch {
namespace {

constexpr unsigned kProcess = 1;

std::string microseconds(TraceFile::Nanoseconds at) {
  return fmt::format("{}.{:03}", at / 1000, at % 1000);
}

std::string with_args(std::string_view args) {
  return args.empty() ? std::string() : fmt::format(R"(,"args":{})", args);
}

std::string place(TraceFile::Track track, TraceFile::Nanoseconds at) {
  return fmt::format(R"("pid":{},"tid":{},"ts":{})", kProcess, track, microseconds(at));
}

}  // namespace

TraceFile::TraceFile(StreamedFile& out, std::string_view process) : out_(out) {
  out_.write("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
  event(fmt::format(R"({{"ph":"M","pid":{},"name":"process_name","args":{{"name":{}}}}})", kProcess,
                    dump(nlohmann::ordered_json(std::string(process)), 0)));
}

void TraceFile::event(std::string_view text) {
  out_.write(any_ ? ",\n" : "\n");
  any_ = true;
  out_.write(text);
}

// Viewers sort tracks by name unless they are told.
void TraceFile::name_track(Track track, std::string_view name) {
  event(fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"thread_name","args":{{"name":"{}"}}}})",
                    kProcess, track, name));
  event(fmt::format(
      R"({{"ph":"M","pid":{},"tid":{},"name":"thread_sort_index","args":{{"sort_index":{}}}}})",
      kProcess, track, track));
}

void TraceFile::begin(Track track, std::string_view name, Nanoseconds at, std::string_view args) {
  event(fmt::format(R"({{"ph":"B","name":"{}",{}{}}})", name, place(track, at), with_args(args)));
}

// The name is the beginning's once more: viewers look for what it ends.
void TraceFile::end(Track track, std::string_view name, Nanoseconds at, std::string_view args) {
  event(fmt::format(R"({{"ph":"E","name":"{}",{}{}}})", name, place(track, at), with_args(args)));
}

void TraceFile::slice(Track track, std::string_view name, Nanoseconds from, Nanoseconds to,
                      std::string_view args) {
  begin(track, name, from, args);
  end(track, name, to, args);
}

void TraceFile::instant(Track track, std::string_view name, Nanoseconds at, std::string_view args) {
  event(fmt::format(R"({{"ph":"i","s":"t","name":"{}",{}{}}})", name, place(track, at),
                    with_args(args)));
}

void TraceFile::mark(std::string_view name, Nanoseconds at) {
  event(fmt::format(R"({{"ph":"i","s":"g","name":{},"pid":{},"tid":0,"ts":{}}})", name, kProcess,
                    microseconds(at)));
}

void TraceFile::flow_from(Track track, std::uint64_t id, Nanoseconds at) {
  event(fmt::format(R"({{"ph":"s","id":{},"cat":"tlbi","name":"reaches",{}}})", id,
                    place(track, at)));
}

// "bp": it ends at the slice that is there, not at the next one.
void TraceFile::flow_to(Track track, std::uint64_t id, Nanoseconds at) {
  event(fmt::format(R"({{"ph":"f","bp":"e","id":{},"cat":"tlbi","name":"reaches",{}}})", id,
                    place(track, at)));
}

void TraceFile::counter(std::string_view name, Nanoseconds at, std::uint64_t value) {
  event(fmt::format(R"({{"ph":"C","name":"{}","pid":{},"ts":{},"args":{{"value":{}}}}})", name,
                    kProcess, microseconds(at), value));
}

void TraceFile::finish(std::string_view about) {
  out_.write(fmt::format("\n],\"otherData\":{}}}\n", about));
}

}  // namespace kpksim::watch
