#include "sim/kernel/asid.h"

#include <algorithm>
#include <utility>

namespace kpksim::kernel {

AsidAllocator::Switch AsidAllocator::switch_to(AddressSpace& space, unsigned core) {
  if (!valid(space)) renew(space);
  active_[core] = {space.asid.value, generation_};
  Switch result;
  result.flush = flush_pending_[core];
  flush_pending_[core] = false;
  if (!space.ran_on.add(core)) return result;
  // Known to have run nowhere, or on one core: from none to one, from one to several.
  result.alone = space.alone_on || space.ran_on.size() == 1;
  space.alone_on = space.ran_on.size() == 1 ? std::optional(core) : std::nullopt;
  return result;
}

// new_context()
void AsidAllocator::renew(AddressSpace& space) {
  const std::uint64_t before = std::exchange(space.generation, generation_);
  if (before != 0) {
    bool reserved = false;  // check_update_reserved_asid(): it ran when the generation began
    for (Number& n : reserved_) {
      if (n.asid != space.asid.value || n.generation != before) continue;
      n.generation = generation_;
      reserved = true;
    }
    if (reserved) return;  // where it runs it has entries
  }
  space.ran_on.clear();
  space.alone_on = std::nullopt;
  if (before != 0 && !used_[space.asid.value]) {
    used_[space.asid.value] = true;
    return;
  }
  space.asid = new_asid();
  space.generation = generation_;  // which may be new too
}

Asid AsidAllocator::new_asid() {
  const auto free_from = [&](std::size_t from) {
    while (from < used_.size() && used_[from]) ++from;
    return from;
  };
  std::size_t asid = free_from(next_);
  if (asid == used_.size()) {
    begin_generation();
    asid = free_from(1);
  }
  used_[asid] = true;
  next_ = asid;
  return Asid(static_cast<std::uint16_t>(asid));
}

// flush_context()
void AsidAllocator::begin_generation() {
  ++generation_;
  std::fill(used_.begin(), used_.end(), false);
  for (std::size_t core = 0; core < active_.size(); ++core) {
    if (active_[core].asid != 0) reserved_[core] = active_[core];
    active_[core] = {};
    if (reserved_[core].asid != 0) used_[reserved_[core].asid] = true;
  }
  std::fill(flush_pending_.begin(), flush_pending_.end(), true);
}

}  // namespace kpksim::kernel
