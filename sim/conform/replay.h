#pragma once
// Replays conformance vectors through the model: through a cold walk, and again through the warm
// TLB, looking at the outcome, the cached entry and the memory.

#include <cstdint>
#include <functional>
#include <string>

#include "sim/conform/vector.h"

namespace kpksim::conform {

// Empty if the model agrees; else what differs, with the inputs and the walk level by level.
std::string disagreement(const Vector& vector);

struct Tally {
  std::uint64_t agreed = 0, disagreed = 0;
  std::uint64_t malformed = 0;  // lines that are no vector
};

struct Listener {
  std::function<void(const std::string&)> disagreed;  // "FILE:LINE: ..." and what differs
  std::function<void(const std::string&)> malformed;  // "FILE:LINE: ..."
};

// Replays a file of JSON Lines, plain, gzip or zstd. A malformed line is told to the listener and
// the rest goes on. InputError: the file cannot be read or holds no vector.
Tally replay_file(const std::string& path, const Listener& listener);

}  // namespace kpksim::conform
