#pragma once
// ASID allocation with generations (arch/arm64/mm/context.c): an address space keeps its ASID until
// they run out; then a new generation begins, all cores must flush before their next switch, and
// only what runs at that moment, or asks before another does, keeps its number.

#include <cstdint>
#include <vector>

#include "sim/kernel/mm.h"

namespace kpksim::kernel {

class AsidAllocator {
 public:
  AsidAllocator(unsigned bits, unsigned cores)
      : used_(std::size_t{1} << bits), active_(cores), reserved_(cores), flush_pending_(cores) {}

  // check_and_switch_context(): `mm` gets a valid ASID. True: this core must flush its TLB first.
  bool switch_to(Mm& mm, unsigned core) {
    if (mm.asid_generation != generation_) {
      mm.asid = new_asid(mm);
      mm.asid_generation = generation_;
    }
    active_[core] = {mm.asid.value, generation_};
    const bool flush = flush_pending_[core];
    flush_pending_[core] = false;
    return flush;
  }

  std::uint64_t generation() const { return generation_; }
  // May entries of older generations still be cached by this core? None can be hit.
  bool flush_pending(unsigned core) const { return flush_pending_[core]; }
  // Does the mm's ASID stand for it in the TLBs?
  bool valid(const Mm& mm) const { return mm.asid_generation == generation_; }

 private:
  struct Number {
    std::uint16_t asid = 0;  // 0: none
    std::uint64_t generation = 0;
  };

  Asid new_asid(const Mm& mm);
  void begin_generation();

  std::vector<bool> used_;
  std::vector<Number> active_, reserved_;  // per core
  std::vector<bool> flush_pending_;
  std::size_t next_ = 1;  // ASID 0 is the kernel's own
  std::uint64_t generation_ = 1;
};

}  // namespace kpksim::kernel
