#include "sim/cpu/ledger.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "sim/base/error.h"

namespace kpksim::cpu {

Ledger::Ledger(const std::array<std::uint64_t, kEvents>& millicycles) : cost_(millicycles) {
  for (std::size_t e = 0; e < kEvents; ++e) {
    if (is_free(static_cast<Event>(e)) && cost_[e] != 0) {
      throw ModelError("a load or a store has a price: the clock would not have it");
    }
  }
}

std::uint64_t Ledger::millicycles(std::size_t in_windows, CauseId cause) const {
  const Row& row = counts_[in_windows][cause];
  std::uint64_t sum = 0;
  for (std::size_t e = 0; e < kEvents; ++e) sum += row[e] * cost_[e];
  return sum;
}

std::uint64_t Ledger::elapsed(std::size_t in_windows) const {
  std::uint64_t sum = added_[in_windows];
  for (std::uint32_t causes = since_; causes != 0; causes &= causes - 1) {
    const auto cause = static_cast<CauseId>(std::countr_zero(causes));
    sum += kept(in_windows, cause) - added_of_cause_[in_windows][cause];
  }
  return sum;
}

void Ledger::add_up() {
  for (std::uint32_t causes = since_; causes != 0; causes &= causes - 1) {
    const auto cause = static_cast<CauseId>(std::countr_zero(causes));
    for (std::size_t half = 0; half < 2; ++half) {
      const std::uint64_t sum = kept(half, cause);
      added_[half] += sum - std::exchange(added_of_cause_[half][cause], sum);
    }
  }
  since_ = 1u << cause_;
}

// How long it was is what all windows were now and before, for the causes that it had.
std::uint64_t Ledger::length_of_window() {
  std::uint64_t length = 0;
  for (std::uint32_t causes = window_.causes & ~kNotPlain; causes != 0; causes &= causes - 1) {
    const auto cause = static_cast<CauseId>(std::countr_zero(causes));
    const Plain& plain = plain_[cause];
    const std::uint64_t others = millicycles(1, cause) - plain.count * one_store_ - plain.slow;
    length += others - others_length_[cause];
    others_length_[cause] = others;
  }
  return length;
}

void Ledger::add_up_window(bool plain) {
  const std::uint64_t length = length_of_window();
  if (plain) {  // the first one tells how long they are
    one_store_ = length - window_.slow;
    others_length_[cause_] -= length;
    plain_[cause_] = {1, window_.slow};
    most_slow_ = std::max(most_slow_, window_.slow);
    return;
  }
  ++others_.count;
  others_.stores += window_.stores;
  others_.millicycles += length;
  others_.most_stores = std::max(others_.most_stores, window_.stores);
  others_.most_millicycles = std::max(others_.most_millicycles, length);
}

Windows Ledger::windows() const {
  Windows all = others_;
  std::uint64_t count = 0;
  for (const Plain& plain : plain_) {
    count += plain.count;
    all.millicycles += plain.count * one_store_ + plain.slow;
  }
  all.count += count;
  all.stores += count;
  if (count != plain_forgotten_) {
    all.most_stores = std::max<std::uint64_t>(all.most_stores, 1);
    all.most_millicycles = std::max(all.most_millicycles, one_store_ + most_slow_);
  }
  return all;
}

void Ledger::forget_largest_window() {
  others_.most_stores = others_.most_millicycles = most_slow_ = 0;
  plain_forgotten_ = 0;
  for (const Plain& plain : plain_) plain_forgotten_ += plain.count;
}

std::uint64_t Ledger::happened(Event event) const {
  std::uint64_t sum = 0;
  for (const auto& half : counts_) {
    for (const Row& row : half) sum += row[static_cast<std::size_t>(event)];
  }
  return sum;
}

Counters Ledger::counters() const {
  Counters out;
  for (std::size_t e = 0; e < kEvents; ++e) {
    for (std::size_t c = 0; c < kCauses; ++c) {
      out.count[e][c] = counts_[0][c][e] + counts_[1][c][e];
      out.millicycles[e][c] = out.count[e][c] * cost_[e];
    }
  }
  return out;
}

}  // namespace kpksim::cpu
