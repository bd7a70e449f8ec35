#pragma once
// Statistics of a component: a plain struct of counters, described once by a table of its members,
// from which the result document, its views and the docs are made.

#include <array>
#include <cstdint>
#include <string_view>

namespace kpksim {

template <class S>
struct Statistic {
  std::string_view name, unit, description;
  std::uint64_t S::*member;
  bool level = false;  // how much there is now, rather than how often something happened
};

// What happened between two readings: counts are subtracted, levels are the later ones.
template <class S, std::size_t N>
S since(const S& before, const S& now, const std::array<Statistic<S>, N>& table) {
  S delta = now;
  for (const Statistic<S>& s : table) {
    if (!s.level) delta.*s.member = now.*s.member - before.*s.member;
  }
  return delta;
}

// Two stretches of time one after the other: counts add up, levels are those at the end.
template <class S, std::size_t N>
void append(S& sum, const S& next, const std::array<Statistic<S>, N>& table) {
  for (const Statistic<S>& s : table) {
    sum.*s.member = s.level ? next.*s.member : sum.*s.member + next.*s.member;
  }
}

}  // namespace kpksim
