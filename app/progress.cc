#include "app/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "sim/base/output_file.h"
#include "sim/base/printable.h"

namespace kpksim::app {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(200);
constexpr std::size_t kBar = 30, kShortestBar = 8, kShortestLabel = 8;
constexpr std::size_t kUsualWidth = 80;
constexpr std::string_view kClear = "\r\033[K";

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualWidth;
  return size.ws_col;
}

// 12345678 as "12.3 M": three digits are as many as mean something.
std::string short_number(double n) {
  std::size_t unit = 0;
  for (; n >= 999.5 && unit < 4; ++unit) n /= 1000;
  constexpr const char* kUnits[] = {"", " k", " M", " G", " T"};
  return fmt::format("{:.{}f}{}", n, n < 10 ? 2 : n < 100 ? 1 : 0, kUnits[unit]);
}

std::string duration(double seconds) {
  if (!(seconds < 100 * 3600)) return "days";
  const auto whole = static_cast<unsigned>(std::ceil(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace

std::string progress_line(std::string_view label, std::uint64_t done, std::uint64_t steps,
                          std::string_view unit, double seconds, std::size_t width) {
  const double part = static_cast<double>(done) / static_cast<double>(steps);
  std::string figures = fmt::format(" {:3.0f} %", std::floor(part * 100));
  if (done > 0 && seconds > 0) {
    figures += fmt::format("  {} {}/s  {} left", short_number(static_cast<double>(done) / seconds),
                           unit, duration(seconds / part * (1 - part)));
  }
  const std::size_t room = width - std::min(width, columns(figures));
  std::size_t bar = room - std::min(room, columns(label) + 3);
  bar = std::clamp(bar, kShortestBar, kBar);
  if (room < kShortestLabel + kShortestBar + 3) bar = 0;  // then without it
  const std::size_t frame = bar == 0 ? 0 : bar + 3;
  std::string line(first_columns(label, room - std::min(room, frame)));
  if (bar != 0) {
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(bar));
    line += fmt::format(" [{:=<{}}{:{}}]", "", filled, "", bar - filled);
  }
  line += figures;
  return std::string(first_columns(line, width));
}

Progress::Progress(std::string_view label, std::uint64_t steps, std::string unit, bool quiet)
    : label_(printable(label)),
      steps_(std::max<std::uint64_t>(steps, 1)),
      unit_(std::move(unit)),
      shown_(!quiet && isatty(STDERR_FILENO) != 0),
      begin_(Clock::now()),
      due_(begin_ + kPeriod) {}

Progress::~Progress() {
  if (drawn_) write_all(STDERR_FILENO, kClear);
}

void Progress::add(std::uint64_t steps) {
  if (!shown_) return;
  const std::scoped_lock lock(mutex_);
  done_ = std::min(done_ + steps, steps_);
  const Clock::time_point now = Clock::now();
  if (now < due_) return;
  due_ = now + kPeriod;
  draw(std::chrono::duration<double>(now - begin_).count());
}

void Progress::relabel(std::string_view label) {
  const std::scoped_lock lock(mutex_);
  label_ = printable(label);
}

void Progress::draw(double seconds) {
  drawn_ = true;
  // The last column stays free: a terminal may go to the next line after it.
  write_all(STDERR_FILENO, std::string(kClear) + progress_line(label_, done_, steps_, unit_,
                                                               seconds, terminal_width() - 1));
}

}  // namespace kpksim::app
