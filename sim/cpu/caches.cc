#include "sim/cpu/caches.h"

#include <algorithm>
#include <utility>

namespace kpksim::cpu {

bool Cache::access(std::uint64_t line) {
  const std::uint64_t index = set_mask_ != 0 ? line & set_mask_ : line % geometry_.sets;
  std::uint64_t* const set = &tags_[static_cast<std::size_t>(index) * geometry_.ways];
  const std::uint64_t tag = line + 1;
  unsigned way = 0;
  while (way < geometry_.ways - 1 && set[way] != tag) ++way;
  const bool found = set[way] == tag;
  std::copy_backward(set, set + way, set + way + 1);  // the more recent ones move one place back
  set[0] = tag;
  return found;
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
