#pragma once
// A set of cores of one machine, of any number (cpumask).

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace kpksim::cpu {

class CoreSet {
 public:
  // True: it was not in the set.
  bool add(unsigned core) {
    const std::size_t word = core / kBits;
    if (word >= words_.size()) words_.resize(word + 1);
    const std::uint64_t bit = std::uint64_t{1} << (core % kBits);
    const bool fresh = (words_[word] & bit) == 0;
    words_[word] |= bit;
    return fresh;
  }
  void add(const CoreSet& others) {
    if (others.words_.size() > words_.size()) words_.resize(others.words_.size());
    for (std::size_t i = 0; i < others.words_.size(); ++i) words_[i] |= others.words_[i];
  }
  void remove(unsigned core) {
    if (core / kBits < words_.size()) words_[core / kBits] &= ~(std::uint64_t{1} << (core % kBits));
  }
  void clear() { words_.clear(); }
  bool has(unsigned core) const {
    const std::size_t word = core / kBits;
    return word < words_.size() && (words_[word] >> (core % kBits) & 1) != 0;
  }
  std::size_t size() const {
    std::size_t n = 0;
    for (const std::uint64_t word : words_) n += static_cast<std::size_t>(std::popcount(word));
    return n;
  }
  // The one with the lowest number.
  std::optional<unsigned> first() const {
    for (std::size_t word = 0; word < words_.size(); ++word) {
      if (words_[word] == 0) continue;
      return static_cast<unsigned>(word * kBits) +
             static_cast<unsigned>(std::countr_zero(words_[word]));
    }
    return std::nullopt;
  }
  // Calls `visit(core)` for each, in order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t word = 0; word < words_.size(); ++word) {
      for (std::uint64_t bits = words_[word]; bits != 0; bits &= bits - 1) {
        visit(static_cast<unsigned>(word * kBits) + static_cast<unsigned>(std::countr_zero(bits)));
      }
    }
  }

 private:
  static constexpr std::size_t kBits = 64;

  std::vector<std::uint64_t> words_;
};

}  // namespace kpksim::cpu
