#include "sim/kernel/asid.h"

#include <algorithm>

namespace kpksim::kernel {

// new_context()
Asid AsidAllocator::new_asid(const Mm& mm) {
  if (mm.asid_generation != 0) {
    bool reserved = false;  // check_update_reserved_asid(): it ran when the generation began
    for (Number& n : reserved_) {
      if (n.asid != mm.asid.value || n.generation != mm.asid_generation) continue;
      n.generation = generation_;
      reserved = true;
    }
    if (reserved) return mm.asid;
    if (!used_[mm.asid.value]) {
      used_[mm.asid.value] = true;
      return mm.asid;
    }
  }
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
