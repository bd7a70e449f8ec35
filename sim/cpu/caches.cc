#include "sim/cpu/caches.h"

#include <utility>

#include "sim/base/error.h"

namespace kpksim::cpu {

CacheTags::Tag* CacheTags::take(std::uint64_t lines) {
  if (lines > tags_.size() - taken_) throw ModelError("a cache has more lines than there are tags");
  return &tags_[std::exchange(taken_, taken_ + lines)];
}

// The more recent ones move one place back.
template <class T>
bool Cache::move_to_front(T* set, T tag) const {
  T moving = tag;
  for (unsigned way = 0; way < geometry_.ways; ++way) {
    moving = std::exchange(set[way], moving);
    if (moving == tag) return true;
  }
  return false;
}

template bool Cache::move_to_front(Tag*, Tag) const;

bool Cache::access_wide(std::size_t first, std::uint64_t tag) {
  if (!wide_) {
    largest_ = 0;
    const auto size = static_cast<std::size_t>(geometry_.lines());
    wide_.emplace(size, Touched::kDense);
    for (std::size_t i = 0; i < size; ++i) {
      if (tags_[i] != 0) (*wide_)[i] = tags_[i];
    }
  }
  return move_to_front(&(*wide_)[first], tag);
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
