#pragma once
// The key register as it is for any budget: a field of rights for each key. One architected
// register has 16 fields (POR_EL1 with the 4-bit index of FEAT_D128; FEAT_S1POE uses 8 of them).
// More keys are a hypothesis: further registers of the same form, which a switch writes one by one.

#include <array>
#include <cstdint>

#include "sim/base/types.h"
#include "sim/pkrs/context.h"
#include "sim/poe/permission.h"

namespace kpksim::pkrs {

inline constexpr unsigned kLeastBudget = 2, kMostBudget = 1u << poe::kMostIndexBits;

class KeyRegister {
 public:
  static constexpr std::size_t kWords = 1 + poe::kMorePors;

  constexpr KeyRegister() = default;
  constexpr explicit KeyRegister(std::uint64_t first) : words_{first} {}

  constexpr std::uint64_t word(std::size_t i) const { return words_[i]; }
  constexpr void set_word(std::size_t i, std::uint64_t value) { words_[i] = value; }

  constexpr Rights rights(PkeyIndex key) const {
    return Context(words_[key.value / poe::kFieldsOfPor]).rights(field(key));
  }
  constexpr KeyRegister with(PkeyIndex key, Rights rights) const {
    KeyRegister out = *this;
    std::uint64_t& word = out.words_[key.value / poe::kFieldsOfPor];
    word = Context(word).with(field(key), rights).por();
    return out;
  }
  constexpr bool operator==(const KeyRegister&) const = default;

 private:
  static constexpr PkeyIndex field(PkeyIndex key) {
    return PkeyIndex(static_cast<std::uint8_t>(key.value % poe::kFieldsOfPor));
  }

  std::array<std::uint64_t, kWords> words_{};
};

// How many bits of a descriptor name one of so many keys, of the formats that there are: 3, 4, 7.
constexpr unsigned index_bits_for(unsigned budget) {
  return budget <= 8 ? 3 : budget <= 16 ? 4 : poe::kMostIndexBits;
}
// How many registers hold the fields of so many keys.
constexpr std::size_t registers_for(unsigned budget) {
  return (budget + poe::kFieldsOfPor - 1) / poe::kFieldsOfPor;
}

}  // namespace kpksim::pkrs
