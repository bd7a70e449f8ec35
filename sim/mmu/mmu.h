#pragma once
// The MMU of one core: L1 instruction and data TLB, shared L2 TLB, walk cache and walker.
// try_fast() is the hot path: an L1 hit whose rights need no further thought. All else is
// translate(), which is written to be read.

#include <cstdint>

#include "sim/mmu/fault.h"
#include "sim/mmu/l1_tlb.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/regime.h"
#include "sim/mmu/registers.h"
#include "sim/mmu/tlb.h"
#include "sim/mmu/walk_cache.h"
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
  bool updated = false;         // hardware wrote the access flag or the dirty state
};

class Mmu {
 public:
  Mmu(const MmuGeometry& geometry, PhysicalMemory& memory)
      : memory_(memory),
        l1i_(geometry.l1i),
        l1d_(geometry.l1d),
        l2_(geometry.l2),
        walk_cache_(geometry.walk_cache_entries) {}

  // A data access to `va` that needs `rights` (poe::kMay*) of `side`. True: `pa` is its address.
  // False: translate() must say. Inlined into Core's loads and stores.
  bool try_fast(VirtAddr va, Side side, std::uint8_t rights, PhysAddr& pa) {
    if (without_tag(va) != va) [[unlikely]]
      return false;
    const L1Tlb::FastLeaf* leaf = l1d_.hinted(probe_of(va));
    if (leaf == nullptr) [[unlikely]]
      return false;
    const auto s = static_cast<unsigned>(side);
    const std::uint64_t overlay = overlays_[s == 2 ? 1 : 0] >> leaf->shift[s];
    if ((leaf->rights[s] & overlay & rights) != rights) [[unlikely]]
      return false;
    pa = PhysAddr(va.value + leaf->distance);
    return true;
  }

  // Translates `va` for `access`. PSTATE.PAN is part of the machine's state, not of the registers.
  Translation translate(VirtAddr va, const poe::Access& access, bool pan);
  // What translate() would find now, without leaving a trace: no fill, no use counted, no hardware
  // update (the AT instructions).
  Translation peek(VirtAddr va, const poe::Access& access, bool pan, Leaf* leaf = nullptr) const;

  // Every register write goes through here, because the decoded copies follow.
  void set_registers(const Registers& regs);
  void set_por_el1(std::uint64_t value) {
    regs_.por_el1 = controls_.por_el1 = value;
    overlays_[0] = kNoOverlay | poe::without_reserved(value);
  }
  const Registers& registers() const { return regs_; }

  void invalidate(const TlbiEffect& effect);

  // The leaf that the TLBs hold for a data access or a fetch of `va` under the current ASID.
  const Leaf* cached(VirtAddr va, bool fetch) const;

  const Tlb& l1i() const { return l1i_.tlb(); }
  const Tlb& l1d() const { return l1d_.tlb(); }
  const Tlb& l2() const { return l2_; }
  const WalkCache& walk_cache() const { return walk_cache_; }

 private:
  // Overlays: POR fields 0 to 7 in bits [31:0]; "all rights" in [35:32], where no overlay applies.
  static constexpr std::uint64_t kNoOverlay = 7ull << 32;

  std::uint64_t probe_of(VirtAddr va) const { return TlbTag::kVa.get(va.value >> 12) | probe_; }
  bool enabled() const { return sctlr::kM.get(regs_.sctlr) != 0; }

  Translation walk(VirtAddr va, const poe::Access& access, bool pan, L1Tlb& l1);
  // Sets the access flag and, if the verdict says so, the dirty state, in memory and in `leaf`.
  void update_descriptor(const WalkResult& found, const poe::Verdict& verdict, Leaf& leaf);
  poe::Verdict check(const Leaf& leaf, const poe::Access& access, bool pan);

  PhysicalMemory& memory_;
  Registers regs_;
  Regime regime_;
  poe::PermissionControls controls_{};
  Asid asid_;
  std::uint64_t probe_ = TlbTag::kNoProbe;                // the ASID's part of each probe
  std::uint64_t overlays_[2] = {kNoOverlay, kNoOverlay};  // of POR_EL1 and POR_EL0
  L1Tlb l1i_;
  L1Tlb l1d_;
  Tlb l2_;
  WalkCache walk_cache_;
};

}  // namespace kpksim::mmu
