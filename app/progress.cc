#include "app/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace kpksim::app {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(200);
constexpr std::size_t kBar = 30;

}  // namespace

Progress::Progress(std::string label, std::uint64_t steps)
    : label_(std::move(label)),
      steps_(std::max<std::uint64_t>(steps, 1)),
      terminal_(isatty(STDERR_FILENO) != 0),
      due_(Clock::now() + kPeriod) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void Progress::add(std::uint64_t steps) {
  if (!terminal_) return;
  const std::scoped_lock lock(mutex_);
  done_ = std::min(done_ + steps, steps_);
  if (Clock::now() < due_) return;
  due_ = Clock::now() + kPeriod;
  drawn_ = true;
  const std::size_t filled = static_cast<std::size_t>(done_ * kBar / steps_);
  fmt::print(stderr, "\r\033[K{} [{:=<{}}{:{}}] {} %", label_, "", filled, "", kBar - filled,
             done_ * 100 / steps_);
  std::fflush(stderr);
}

}  // namespace kpksim::app
