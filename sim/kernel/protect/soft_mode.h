#pragma once
// Soft mode (soft=on; the PKS series of 2021 has one): a store that the protection refuses, though
// no fault was due, does not end the kernel. It is counted, the first one is kept to be reported,
// and the page that it hit is made an ordinary one, so that this store and later ones succeed.
//
// So the protection is switched off page by page, as pages are hit: the count has each page's first
// stray store, and says how many places of a kernel need a window that they do not open. A page is
// protected again when it is next given out as a page table.
//
// What making the page ordinary does not help is no matter of soft mode: the store is refused again
// and ends the kernel. That is so for a TLB entry that is stale, since the flush was left out.

#include "sim/kernel/exposure.h"
#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {

class SoftMode {
 public:
  SoftMode(Protection& protection, const ProtectionInfo& info, Exposure& exposure)
      : protection_(protection), refusals_(info.refuses), exposure_(exposure) {}

  // Is it the protection that refused a store? Only at an address of the linear map: all else is
  // not its business.
  bool detects(const mmu::Fault& fault) const;
  // Counts such a fault, and makes its page an ordinary one.
  void let_pass(cpu::Core& core, const mmu::Fault& fault);

 private:
  Protection& protection_;
  const std::vector<Refusal> refusals_;
  Exposure& exposure_;
};

// Does a policy with these parameters ask for it?
bool is_soft(const ProtectionInfo& info, const GivenParameters& given);

}  // namespace kpksim::kernel
