#include "sim/kernel/vma.h"

#include <algorithm>

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kMmapMinAddress = 0x10000;

// can_vma_merge_before() and is_mergeable_anon_vma()
bool mergeable(const Vma& low, const Vma& high) {
  const bool same_kind = low.read == high.read && low.write == high.write &&
                         low.exec == high.exec && low.shared == high.shared &&
                         low.file == high.file && low.special == high.special &&
                         low.dont_fork == high.dont_fork && low.wipe_on_fork == high.wipe_on_fork &&
                         low.locked == high.locked && low.lock_on_fault == high.lock_on_fault &&
                         low.huge == high.huge && low.grows_down == high.grows_down &&
                         low.heap == high.heap && low.file_id == high.file_id;
  if (low.end != high.start || !same_kind || low.special) return false;
  if (low.hugetlb != 0 || high.hugetlb != 0) return false;  // VM_DONTEXPAND is VM_SPECIAL
  if (low.file && low.file_offset + low.length() != high.file_offset) return false;
  if (!low.file && low.moved_by != high.moved_by) return false;
  if (low.anon_vma == high.anon_vma) return true;
  if (low.anon_vma != 0 && high.anon_vma != 0) return false;
  return !low.anon_vma_chained && !high.anon_vma_chained;
}

}  // namespace

Vma* VmaTree::look_for(std::uint64_t va) {
  auto it = map_.upper_bound(va);
  if (it == map_.begin()) return nullptr;
  --it;
  if (va >= it->second.end) return nullptr;
  return found_ = &it->second;
}

VmaTree::Map::iterator VmaTree::first_above(std::uint64_t va) {
  auto it = map_.upper_bound(va);
  if (it != map_.begin() && std::prev(it)->second.end > va) --it;
  return it;
}

Vma& VmaTree::insert(Vma vma) {
  const std::uint64_t start = vma.start;
  map_[start] = vma;
  merge(start);
  return *find(start);
}

void VmaTree::split(std::uint64_t at) {
  Vma* vma = find(at);
  if (vma == nullptr || vma->start == at) return;
  Vma upper = *vma;
  upper.start = at;
  if (upper.file || upper.hugetlb != 0) upper.file_offset += at - vma->start;
  vma->end = at;
  map_[at] = upper;
}

void VmaTree::merge(std::uint64_t start) {
  const auto join = [&](Map::iterator low, Map::iterator high) {
    low->second.end = high->second.end;
    if (low->second.anon_vma == 0) {
      low->second.anon_vma = high->second.anon_vma;
      low->second.anon_vma_chained = high->second.anon_vma_chained;
    }
    found_ = nullptr;
    map_.erase(high);
  };
  auto it = map_.find(start);
  if (const auto next = std::next(it); next != map_.end() && mergeable(it->second, next->second)) {
    join(it, next);
  }
  if (it != map_.begin()) {
    const auto previous = std::prev(it);
    if (mergeable(previous->second, it->second)) join(previous, it);
  }
}

std::uint64_t VmaTree::end_below(std::uint64_t va) const {
  const auto it = map_.lower_bound(va);
  return it == map_.begin() ? 0 : std::prev(it)->second.end;
}

std::optional<std::uint64_t> VmaTree::start_above(std::uint64_t va) const {
  const auto it = map_.lower_bound(va);
  if (it == map_.end()) return std::nullopt;
  return it->first;
}

std::optional<std::uint64_t> VmaTree::highest_gap(std::uint64_t length) const {
  std::uint64_t top = mmap_base_;
  for (auto it = map_.rbegin(); it != map_.rend(); ++it) {
    if (it->second.start >= mmap_base_) continue;
    if (top > it->second.end && top - it->second.end >= length) break;
    top = std::min(top, it->second.start);
  }
  if (top < length + kMmapMinAddress) return std::nullopt;
  return top - length;
}

std::optional<std::uint64_t> VmaTree::find_gap(std::uint64_t length, bool huge) const {
  if (!huge) return highest_gap(length);
  const auto padded = highest_gap(length + kPmdSize);
  if (!padded) return highest_gap(length);
  const std::uint64_t offset = (kPmdSize - *padded % kPmdSize) % kPmdSize;
  return *padded + (offset == 0 ? kPmdSize : offset);
}

std::optional<std::uint64_t> VmaTree::find_hugetlb_gap(std::uint64_t length,
                                                       std::uint64_t page) const {
  const std::uint64_t padding = page - kPageSize;
  const auto padded = highest_gap(length + padding);
  if (!padded) return std::nullopt;
  return align_down(*padded + padding, page);
}

}  // namespace kpksim::kernel
