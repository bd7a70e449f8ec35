#pragma once
// A progress bar on stderr for work that takes longer than a moment; silent if that is no terminal.

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace kpksim::app {

class Progress {
 public:
  Progress(std::string label, std::uint64_t steps);
  ~Progress();  // takes the bar away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `steps` more are done. Any thread may call.
  void add(std::uint64_t steps);

 private:
  using Clock = std::chrono::steady_clock;

  const std::string label_;
  const std::uint64_t steps_;
  const bool terminal_;
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  bool drawn_ = false;
  Clock::time_point due_;  // when to draw next
};

}  // namespace kpksim::app
