#include "sim/check/cached_places.h"

namespace kpksim::check {

void CachedPlaces::add(PhysAddr entry, const Place& place, unsigned core) {
  const std::uint64_t bit = 1ull << (core % 64);
  Frame* frame = find(frame_of(entry));
  if (frame == nullptr) {
    auto& made = frames_[frame_of(entry).value];
    made = std::make_unique<Frame>();
    frame = made.get();
  }
  std::uint32_t& first = (*frame)[slot_of(entry)];
  for (std::uint32_t at = first; at != 0; at = nodes_[at - 1].next) {
    Place& known = nodes_[at - 1].place;
    if (known.table != place.table || known.asid != place.asid) continue;
    if (place.table ? known.next != place.next : known.va != place.va) continue;
    known.cores |= bit;
    return;
  }
  std::uint32_t at = free_;
  if (at != 0) {
    free_ = nodes_[at - 1].next;
  } else {
    nodes_.emplace_back();
    at = static_cast<std::uint32_t>(nodes_.size());
  }
  nodes_[at - 1] = {place, first};
  nodes_[at - 1].place.cores = bit;
  first = at;
}

}  // namespace kpksim::check
