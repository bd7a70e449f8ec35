#pragma once
// Random choices that are the same with every compiler and library: std's distributions are not.

#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <random>

namespace kpksim::fuzz {

class Dice {
 public:
  // Those of program `number` of a seed have nothing in common with those of its neighbours.
  Dice(std::uint64_t seed, std::uint64_t number) {
    std::seed_seq sequence{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                           static_cast<std::uint32_t>(number),
                           static_cast<std::uint32_t>(number >> 32)};
    random_.seed(sequence);
  }

  // From 0 to n - 1.
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  T of(std::initializer_list<T> choices) {
    return choices.begin()[below(choices.size())];
  }
  // An element of a container that is not empty.
  template <class Container>
  const auto& element(const Container& container) {
    return *std::next(container.begin(), static_cast<std::ptrdiff_t>(below(container.size())));
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace kpksim::fuzz
