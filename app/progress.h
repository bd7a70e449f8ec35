#pragma once
// A progress bar on stderr for work that takes longer than a moment: how much is done, how fast it
// goes and how long it will take. Silent if stderr is no terminal.

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace kpksim::app {

class Progress {
 public:
  // `label` comes first, and may be cut to fit; `unit` is what the steps are ("operations").
  Progress(std::string_view label, std::uint64_t steps, std::string unit, bool quiet);
  ~Progress();  // takes the bar away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `steps` more are done. Any thread may call.
  void add(std::uint64_t steps);
  // Puts another label first.
  void relabel(std::string_view label);

 private:
  using Clock = std::chrono::steady_clock;

  void draw(double seconds);

  std::string label_;
  const std::uint64_t steps_;
  const std::string unit_;
  const bool shown_;
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  bool drawn_ = false;
  const Clock::time_point begin_;
  Clock::time_point due_;  // when to draw next
};

// The bar on one line of at most `width` columns: `done` of `steps` after `seconds`.
std::string progress_line(std::string_view label, std::uint64_t done, std::uint64_t steps,
                          std::string_view unit, double seconds, std::size_t width);

}  // namespace kpksim::app
