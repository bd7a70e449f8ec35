#pragma once
// ASID allocation with generations (arch/arm64/mm/context.c): an address space keeps its ASID until
// they run out; then a new generation begins, all cores must flush before their next switch, and
// only what runs at that moment, or asks before another does, keeps its number.

#include <cstdint>
#include <vector>

#include "sim/kernel/address_space.h"

namespace kpksim::kernel {

class AsidAllocator {
 public:
  AsidAllocator(unsigned bits, unsigned cores)
      : used_(std::size_t{1} << bits), active_(cores), reserved_(cores), flush_pending_(cores) {}

  struct Switch {
    bool flush = false;  // this core must flush its TLB first
    bool alone = false;  // which core alone runs the address space has changed
  };
  // check_and_switch_context(): `space` gets a valid ASID, and runs on `core`.
  Switch switch_to(AddressSpace& space, unsigned core);

  std::uint64_t generation() const { return generation_; }
  // May entries of older generations still be cached by this core? None can be hit.
  bool flush_pending(unsigned core) const { return flush_pending_[core]; }
  // Does its ASID stand for it in the TLBs?
  bool valid(const AddressSpace& space) const { return space.generation == generation_; }

 private:
  struct Number {
    std::uint16_t asid = 0;  // 0: none
    std::uint64_t generation = 0;
  };

  void renew(AddressSpace& space);
  Asid new_asid();
  void begin_generation();

  std::vector<bool> used_;
  std::vector<Number> active_, reserved_;  // per core
  std::vector<bool> flush_pending_;
  std::size_t next_ = 1;  // ASID 0 is the kernel's own
  std::uint64_t generation_ = 1;
};

}  // namespace kpksim::kernel
