#pragma once
// Stage 2 of one core, with a cache of its own for the walker's reads and for misses of the TLBs,
// which hold both stages combined. Cortex-A55 calls it the IPA cache RAM and gives it 64 entries,
// as many as its walk cache; no other manual has a number, so that it is as large as the walk cache
// in every profile. The walk cache keeps the IPA of a table: each descriptor read asks here.
//
// Changed by fills, evictions and TLBIs of stage 2 only. Those of stage 1 leave it, and those of
// stage 2 alone leave the combined entries of the TLBs: the architecture asks for no more, and
// software has to drop both (Linux: __kvm_tlb_flush_vmid_ipa()).

#include "sim/mmu/stage2.h"
#include "sim/mmu/tlb.h"

namespace kpksim::mmu {

// Stage 2 of one core, with its IPA cache.
class Stage2 {
 public:
  Stage2(const PhysicalMemory& memory, unsigned entries) : memory_(memory), cache_({1, entries}) {}

  void set_regime(const Stage2Regime& regime) { regime_ = regime; }
  const Stage2Regime& regime() const { return regime_; }

  template <class See>
  Stage2Result operator()(PhysAddr ipa, See&& see) {
    const std::uint64_t probe = TlbTag::probe(VirtAddr(ipa.value), Asid(0));
    if (const std::uint32_t i = cache_.find(probe); i != Tlb::kMiss) return cached(i);
    const Stage2Result found = walk_stage2(memory_, regime_, ipa, see);
    if (found.fault == FaultKind::kNone) fill(ipa, found);  // else never cached
    return found;
  }
  // A TLBI of stage 2 entries; start and end are IPAs.
  void invalidate(const TlbiEffect& effect) { cache_.invalidate(effect); }
  const Tlb& cache() const { return cache_; }

 private:
  Stage2Result cached(std::uint32_t i) const;
  void fill(PhysAddr ipa, const Stage2Result& found);

  const PhysicalMemory& memory_;
  Stage2Regime regime_;
  Tlb cache_;
};

}  // namespace kpksim::mmu
