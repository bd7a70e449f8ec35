#include "sim/cpu/caches.h"

#include <utility>

namespace kpksim::cpu {

// The more recent ones move one place back.
bool Cache::move_to_front(std::uint64_t* set, std::uint64_t tag) const {
  std::uint64_t moving = tag;
  for (unsigned way = 0; way < geometry_.ways; ++way) {
    moving = std::exchange(set[way], moving);
    if (moving == tag) return true;
  }
  return false;
}

bool StreamPrefetcher::predicts(std::uint64_t line) {
  for (Stream& stream : streams_) {
    if (line != stream.last + 1 && line + 1 != stream.last) continue;
    stream.last = line;
    return std::exchange(stream.established, true);
  }
  streams_[next_] = {line, false};
  next_ = (next_ + 1) % streams_.size();
  return false;
}

MemoryLevel DataCaches::miss(std::uint64_t line) {
  const bool prefetched = prefetcher_.predicts(line);
  const bool in_l2 = l2_.access(line);
  const bool in_llc = in_l2 || llc_.access(line);
  if (prefetched) return MemoryLevel::kPrefetched;
  return in_l2 ? MemoryLevel::kL2 : in_llc ? MemoryLevel::kLlc : MemoryLevel::kDram;
}

}  // namespace kpksim::cpu
