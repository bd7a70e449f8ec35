#pragma once
// What a core counts, by cause, outside windows and in them; and how long its windows are. A window
// is from the synchronisation that lets the key register have another value than at rest to the one
// that gives it back.
//
// Costs are events times the profile's prices, added up when they are asked for. The length of each
// single window would have to be added up at its end. Most windows hold one store and nothing else
// but what is slow (misses, walks), which is known by itself: all of them have one length and what
// was slow in them, so that only the others are added up.
//
// Where cores are interleaved the clock is asked for all the time. So what all events have cost is
// kept beside the counts of their cause, but for accesses, which are counted millions of times a
// second: loads and stores of the kernel have no price of their own, and those of users are
// multiplied when the causes that there were since are added up.

#include <array>
#include <cstdint>

#include "sim/cpu/statistics.h"

namespace kpksim::cpu {

class Ledger {
 public:
  explicit Ledger(const std::array<std::uint64_t, kEvents>& millicycles);
  Ledger(const Ledger&) = delete;  // row_ points into it
  Ledger& operator=(const Ledger&) = delete;

  void count(Event event, std::uint64_t n = 1) {
    const auto e = static_cast<std::size_t>(event);
    (*row_)[e] += n;
    if (!is_free(event) && event != Event::kUserAccess) (*row_)[kKept] += n * cost_[e];
  }
  // What may happen in any window, and is dear.
  void count_slow(Event event, std::uint64_t n = 1) {
    count(event, n);
    window_.slow += n * cost_[static_cast<std::size_t>(event)];
  }
  void count_store() { ++stores_of_row(); }
  CauseId cause() const { return cause_; }
  void set_cause(CauseId cause) {
    if (cause == cause_) return;
    cause_ = cause;
    since_ |= 1u << cause;
    window_.causes |= 1u << cause;
    window_.stores += stores_of_row();  // what this row had since it came into use
    row_ = &counts_[open_ ? 1 : 0][cause];
    window_.stores -= stores_of_row();
  }

  // An open window is none that holds one store and nothing else.
  void not_plain() { window_.causes |= kNotPlain; }
  bool open() const { return open_; }
  void open_window() {
    open_ = true;
    row_ = &counts_[1][cause_];
    window_ = {1u << cause_, 0 - stores_of_row(), 0};
  }
  // `executed`: instructions were, in the window.
  void close_window(bool executed) {
    open_ = false;
    window_.stores += stores_of_row();
    row_ = &counts_[0][cause_];
    const bool plain = window_.causes == 1u << cause_ && window_.stores == 1 && !executed;
    if (!plain || one_store_ == 0) [[unlikely]]
      return add_up_window(plain);
    Plain& windows = plain_[cause_];
    ++windows.count;
    windows.slow += window_.slow;
    if (window_.slow > most_slow_) [[unlikely]]
      most_slow_ = window_.slow;
  }

  Counters counters() const;
  // How often `event` has happened.
  std::uint64_t happened(Event event) const;
  // Millicycles so far, outside windows and in them.
  std::uint64_t rest() const { return elapsed(0); }
  std::uint64_t in_windows() const { return elapsed(1); }
  // All of them; adds up what there was since the last call, so that the next calls need not.
  std::uint64_t now() {
    add_up();
    return added_[0] + added_[1];
  }
  Windows windows() const;
  void forget_largest_window();

 private:
  // Of a cause: its events, and millicycles of all but accesses.
  static constexpr std::size_t kKept = kEvents;
  using Row = std::array<std::uint64_t, kEvents + 1>;
  static constexpr std::uint32_t kNotPlain = 1u << 31;
  static_assert(kCauses < 31);

  static constexpr bool is_free(Event event) {
    return event == Event::kLoad || event == Event::kStore;
  }
  std::uint64_t& stores_of_row() { return (*row_)[static_cast<std::size_t>(Event::kStore)]; }
  std::uint64_t kept(std::size_t in_windows, CauseId cause) const {
    constexpr auto kUser = static_cast<std::size_t>(Event::kUserAccess);
    const Row& row = counts_[in_windows][cause];
    return row[kKept] + row[kUser] * cost_[kUser];
  }
  void add_up();
  std::uint64_t elapsed(std::size_t in_windows) const;
  std::uint64_t millicycles(std::size_t in_windows, CauseId cause) const;
  void add_up_window(bool plain);
  std::uint64_t length_of_window();

  const std::array<std::uint64_t, kEvents> cost_;
  std::array<std::array<Row, kCauses>, 2> counts_{};  // outside windows, in them
  Row* row_ = &counts_[0][0];                         // what is counted in now
  CauseId cause_ = 0;
  bool open_ = false;
  struct {
    std::uint32_t causes = 0;  // that it has had, and kNotPlain
    std::uint64_t stores = 0;  // without what the row in use has had since it came into use
    std::uint64_t slow = 0;    // millicycles
  } window_;                   // the one that is open
  // Windows with one store, by cause: their length is one_store_, and what was slow in them.
  struct Plain {
    std::uint64_t count = 0, slow = 0;
  };
  std::array<Plain, kCauses> plain_{};
  std::uint64_t one_store_ = 0;        // millicycles, once known
  std::uint64_t most_slow_ = 0;        // in one of them
  std::uint64_t plain_forgotten_ = 0;  // so many are older than the largest
  // Millicycles outside windows and in them when they were last added up; of each cause; and the
  // causes that there were since. Those are not beside window_.causes: a compiler would make one
  // access of both, which the host cannot forward from the store of one.
  std::array<std::uint64_t, 2> added_{};
  std::array<std::array<std::uint64_t, kCauses>, 2> added_of_cause_{};
  std::uint32_t since_ = 1;
  Windows others_;
  std::array<std::uint64_t, kCauses> others_length_{};  // millicycles, by cause
};

}  // namespace kpksim::cpu
