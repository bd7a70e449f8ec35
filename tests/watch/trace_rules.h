#pragma once
// What Google's "Trace Event Format" asks of a file, and what of it a viewer needs to draw it as it
// was meant.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kpksim::test {

class Trace {
 public:
  struct Slice {
    std::string name;
    std::uint64_t track = 0;
    std::int64_t from = 0, to = 0;  // nanoseconds
  };
  struct Arrow {
    std::int64_t from = -1, to = -1;
    std::uint64_t from_track = 0, to_track = 0;
  };

  explicit Trace(const std::string& text) : document(nlohmann::json::parse(text)) {
    for (const nlohmann::json& e : document.at("traceEvents")) see(e);
    for (const auto& [track, open] : open_) {
      if (!open.empty()) broken("a slice that never ends: " + open.back().name);
    }
    for (const auto& [id, arrow] : arrows) check(id, arrow);
  }

  std::size_t slices_named(const std::string& begin) const {
    return static_cast<std::size_t>(std::count_if(
        slices.begin(), slices.end(), [&](const Slice& s) { return s.name.starts_with(begin); }));
  }

  const nlohmann::json document;
  std::vector<std::string> violations;
  std::vector<Slice> slices;  // B with its E
  std::map<std::uint64_t, Arrow> arrows;
  std::map<std::string, std::size_t> instants;
  std::map<std::uint64_t, std::string> tracks;
  std::map<std::string, std::vector<std::uint64_t>> counters;
  std::string process;
  std::vector<std::string> marks;
  std::int64_t first = INT64_MAX, last = 0;

 private:
  static std::int64_t nanoseconds(const nlohmann::json& microseconds) {
    return std::llround(microseconds.get<double>() * 1000);
  }
  void broken(const std::string& what) {
    if (violations.size() < 20) violations.push_back(what);
  }
  void see(const nlohmann::json& e) {
    const auto kind = e.at("ph").get<std::string>();
    if (kind == "M") return metadata(e);
    const std::int64_t at = nanoseconds(e.at("ts"));
    first = std::min(first, at);
    last = std::max(last, at);
    if (kind == "C") {
      const auto name = e.at("name").get<std::string>();
      if (at < counted_[name]) broken("a counter goes back in time: " + name);
      counted_[name] = at;
      counters[name].push_back(e.at("args").at("value").get<std::uint64_t>());
      return;
    }
    if (kind == "i" && e.at("s") == "g") return marks.push_back(e.at("name"));
    const auto track = e.at("tid").get<std::uint64_t>();
    if (!tracks.contains(track)) broken("a track without a name");
    if (at < reached_[track] && kind != "s" && kind != "f") {
      broken("back in time on track " + tracks[track] + ": " + e.dump());
    }
    if (kind != "s" && kind != "f") reached_[track] = at;
    if (kind == "B") {
      open_[track].push_back({e.at("name"), track, at, 0});
    } else if (kind == "E") {
      if (open_[track].empty()) return broken("an end without a beginning");
      Slice slice = open_[track].back();
      open_[track].pop_back();
      if (e.at("name") != slice.name) broken("an end of something else: " + e.dump());
      slice.to = at;
      slices.push_back(slice);
      last_slice_[track] = slice;
    } else if (kind == "i") {
      ++instants[e.at("name")];
    } else if (kind == "s" || kind == "f") {
      Arrow& arrow = arrows[e.at("id").get<std::uint64_t>()];
      const bool starts = kind == "s";
      if ((starts ? arrow.from : arrow.to) != -1) broken("two arrows have one number");
      if (!starts && (e.at("bp") != "e" || arrow.from == -1)) broken("an arrow from nowhere");
      (starts ? arrow.from : arrow.to) = at;
      (starts ? arrow.from_track : arrow.to_track) = track;
      const Slice& slice = last_slice_[track];
      if (at < slice.from || at >= slice.to) broken("an arrow that no slice holds");
    } else {
      broken("an event of kind " + kind);
    }
  }
  void metadata(const nlohmann::json& e) {
    if (e.at("name") == "process_name") process = e.at("args").at("name");
    if (e.at("name") == "thread_name") {
      tracks[e.at("tid").get<std::uint64_t>()] = e.at("args").at("name");
    }
  }
  void check(std::uint64_t id, const Arrow& arrow) {
    if (arrow.to == -1) broken("an arrow that does not end: " + std::to_string(id));
    if (arrow.to < arrow.from) broken("an arrow that ends before it begins");
  }

  std::map<std::uint64_t, std::vector<Slice>> open_;
  std::map<std::uint64_t, std::int64_t> reached_;
  std::map<std::uint64_t, Slice> last_slice_;
  std::map<std::string, std::int64_t> counted_;
};

}  // namespace kpksim::test
