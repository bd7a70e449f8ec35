#include "sim/attack/pending.h"

#include <algorithm>
#include <exception>

namespace kpksim::attack {

void Pending::add(const Due& due, cpu::Core& struck) {
  const auto later = std::upper_bound(
      strikes_.begin(), strikes_.end(), due.moment,
      [](std::uint64_t moment, const Due& other) { return moment < other.moment; });
  strikes_.insert(later, due);
  interleaver_.call(due.core, due.moment);
  interleaver_.let_pass(struck);
}

std::vector<Pending::Due>::const_iterator Pending::next_of(unsigned core) const {
  return std::find_if(strikes_.begin(), strikes_.end(),
                      [core](const Due& due) { return due.core == core; });
}

std::optional<std::uint64_t> Pending::due(unsigned core) const {
  const auto next = next_of(core);
  return next == strikes_.end() ? std::nullopt : std::optional(next->moment);
}

// A strand must not be left from within a handler: the exception is told of afterwards.
void Pending::happen(cpu::Core& core) {
  std::exception_ptr failure;
  try {
    for (auto next = next_of(core.id()); next != strikes_.end() && next->moment <= core.time();
         next = next_of(core.id())) {
      const Due due = *next;
      strikes_.erase(next);
      fall_(due, core);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) interleaver_.fail(failure);
}

}  // namespace kpksim::attack
