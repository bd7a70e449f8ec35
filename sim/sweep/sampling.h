#pragma once
// Random numbers that are computed from where they are asked for, not from a state: any point of a
// sweep can be found without those before it, by any thread or task.

#include <cstdint>

namespace kpksim::sweep {

// 64 bits for the `index`th use of `stream` (splitmix64, Steele, Lea and Flood 2014).
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);
// From 0, less than 1.
double random_part(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);

// Where a permutation of 0 to `n` - 1 puts `index`: a Feistel network over the next power of four,
// walked until it is within. No list of the n numbers is kept.
std::uint64_t permuted(std::uint64_t index, std::uint64_t n, std::uint64_t seed,
                       std::uint64_t stream);

}  // namespace kpksim::sweep
