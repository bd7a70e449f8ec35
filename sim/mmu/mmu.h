#pragma once
// The MMU of one core: L1 instruction and data TLB, shared L2 TLB, walk cache and walker.
// translate() is the hot path: a TLB hit and the permission check under the current registers.

#include <cstdint>

#include "sim/mmu/fault.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/registers.h"
#include "sim/mmu/tlb.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

struct MmuGeometry {
  TlbGeometry l1i, l1d, l2;
  unsigned walk_cache_entries = 64;
};

enum class Source : std::uint8_t { kL1, kL2, kWalk };

struct Translation {
  Fault fault;
  PhysAddr pa;
  Source source = Source::kL1;
  std::uint8_t walk_reads = 0;  // descriptors that the walker read
};

class Mmu {
 public:
  Mmu(const MmuGeometry& geometry, const PhysicalMemory& memory)
      : memory_(memory),
        l1i_(geometry.l1i),
        l1d_(geometry.l1d),
        l2_(geometry.l2),
        walk_cache_(geometry.walk_cache_entries) {}

  // Translates `va` for `access`. PSTATE.PAN is part of the machine's state, not of the registers.
  Translation translate(VirtAddr va, const poe::Access& access, bool pan) {
    Tlb& l1 = access.kind == poe::AccessKind::kExecute ? l1i_ : l1d_;
    const TlbEntry* entry = l1.find(va, asid_);
    if (entry == nullptr) [[unlikely]]
      return translate_slow(va, access, pan, l1);
    return permitted(entry->leaf, va, access, pan, Source::kL1);
  }

  // Every register write goes through here, because the decoded copies follow.
  void set_registers(const Registers& regs);
  void set_por_el1(std::uint64_t value) { regs_.por_el1 = controls_.por_el1 = value; }
  const Registers& registers() const { return regs_; }

  void invalidate(const TlbiEffect& effect);

  const Tlb& l1i() const { return l1i_; }
  const Tlb& l1d() const { return l1d_; }
  const Tlb& l2() const { return l2_; }
  const WalkCache& walk_cache() const { return walk_cache_; }

 private:
  Translation translate_slow(VirtAddr va, const poe::Access& access, bool pan, Tlb& l1);
  Translation permitted(const Leaf& leaf, VirtAddr va, const poe::Access& access, bool pan,
                        Source source);

  const PhysicalMemory& memory_;
  Registers regs_;
  poe::PermissionControls controls_{};
  Asid asid_;
  Tlb l1i_;
  Tlb l1d_;
  Tlb l2_;
  WalkCache walk_cache_;
};

}  // namespace kpksim::mmu
