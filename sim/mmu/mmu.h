#pragma once
// The MMU of one core: L1 instruction and data TLB, shared L2 TLB, walk cache and walker; and, if
// HCR_EL2.VM is set, stage 2 with its cache.
// try_fast() is the hot path: an L1 hit whose rights need no further thought. All else is
// translate(), which is written to be read.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "sim/mmu/fast_leaf.h"
#include "sim/mmu/fault.h"
#include "sim/mmu/observer.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/presence.h"
#include "sim/mmu/regime.h"
#include "sim/mmu/registers.h"
#include "sim/mmu/stage2_cache.h"
#include "sim/mmu/tag_check.h"
#include "sim/mmu/tlb.h"
#include "sim/mmu/walk_cache.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

struct MmuGeometry {
  TlbGeometry l1i, l1d, l2;
  unsigned walk_cache_entries = 64;
  bool tlbi_empties_l1 = false;  // any TLBI drops all entries of the L1 TLBs (Cortex-A55)
};

enum class Source : std::uint8_t { kL1, kL2, kWalk };

struct Translation {
  Fault fault;
  PhysAddr pa;
  Source source = Source::kL1;
  std::uint8_t walk_reads = 0;  // descriptors that the walker read, of both stages
  bool updated = false;         // hardware wrote the access flag or the dirty state
};

class Mmu {
 public:
  Mmu(const MmuGeometry& geometry, PhysicalMemory& memory)
      : memory_(memory),
        l1i_(geometry.l1i, &presence_),
        l1d_(geometry.l1d, &presence_),
        l2_(geometry.l2, &presence_),
        walk_cache_(geometry.walk_cache_entries, &presence_),
        tlbi_empties_l1_(geometry.tlbi_empties_l1),
        stage2_entries_(geometry.walk_cache_entries) {}

  // A data access to `va`. True: `pa` is its address. False: translate() must say. Inlined into
  // Core's loads and stores.
  bool try_fast(VirtAddr va, Need need, PhysAddr& pa) {
    const FastLeaf* const leaf = l1d_.find_recent(va);
    if (leaf == nullptr || !leaf->grants(need, overlays_)) [[unlikely]]
      return false;
    pa = PhysAddr(va.value + leaf->distance);
    return true;
  }

  // Translates `va` for `access`. PSTATE.PAN is part of the machine's state, not of the registers.
  Translation translate(VirtAddr va, const poe::Access& access, bool pan);
  bool enabled() const { return sctlr::kM.get(regs_.sctlr) != 0; }  // stage 1

  // What translate() would find now, without leaving a trace: no fill, no use counted, no hardware
  // update (the AT instructions). With stage 1 off there is no `leaf`.
  // `stages`: of both, or what stage 1 alone gives, an IPA (its tables are still read by stage 2).
  enum class Stages : std::uint8_t { kBoth, kFirst };
  Translation peek(VirtAddr va, const poe::Access& access, bool pan, Leaf* leaf = nullptr,
                   Stages stages = Stages::kBoth) const;

  // FEAT_MTE2. Are any accesses checked? Then translate() is followed by tag_fault(), the last of
  // an access's checks: that of a privileged data access to the aligned `bytes` around `va`, which
  // has translated to `pa`. A page whose accesses are checked is none of try_fast()'s.
  bool checks_tags() const { return regime_.tag_checks; }
  Fault tag_fault(VirtAddr va, PhysAddr pa, std::uint64_t bytes, bool write) const;
  // Does the mapping of `va`, which has just translated, give EL1 access to allocation tags?
  bool has_tags(VirtAddr va) const;
  // Would a leaf like this allow the access, with these and the other registers as they are?
  bool would_allow(Descriptor leaf, const poe::Access& access, const WindowRegisters& window) const;
  // Would the tag check refuse a data access to `va`, which such a leaf maps to `pa`?
  bool would_refuse_tag(VirtAddr va, PhysAddr pa, const Leaf& leaf) const;

  // Each stage 1 descriptor, and the output address, may need a whole walk of stage 2.
  static constexpr std::size_t kLongestWalk =
      (kLastLevel + 1) + (kLastLevel + 2) * (kLastLevel + 1);
  // Where the last walk read its descriptors, in its order.
  const std::array<PhysAddr, kLongestWalk>& walk_path() const { return walk_path_; }

  // The IPA of the last stage 2 fault. (HPFAR_EL2 has its page; of a permission fault that was not
  // a table walk's the architecture does not promise that, and a hypervisor asks AT S1E1R.)
  PhysAddr fault_ipa() const { return fault_ipa_; }
  // Does stage 2 refuse what its rights do not allow? Not what the hypervisor does at EL2, whose
  // own mapping of the page is not modelled: it is taken to be in the TLBs as often as the
  // kernel's.
  void set_stage2_checked(bool checked) { stage2_checked_ = checked; }
  bool stage2_checked() const { return stage2_checked_; }

  void set_observer(Observer* observer) { observer_ = observer; }
  // `holders` knows from now on what this one, the MMU `number` of a machine, holds of stage 1.
  void report_to(Holders& holders, unsigned number) { presence_.report_to(holders, number); }
  // Accesses that hit what the TLBs hold for `va` under `asid` come to the observer from now on.
  void watch(VirtAddr va, Asid asid);

  // Every register write goes through here, because the decoded copies follow.
  void set_registers(const Registers& regs);
  void set_por_el1(std::uint64_t value) {
    regs_.por_el1 = controls_.por_el1 = value;
    overlays_.privileged = Overlays::of(value);
  }
  // Of keys 16 and above: no hot access has one of those.
  void set_more_por_el1(const std::array<std::uint64_t, poe::kMorePors>& value) {
    regs_.more_por_el1 = controls_.more_por_el1 = value;
  }
  // No TLB entry has to be renewed: poe::fast_rights() says why.
  void set_cr0(std::uint64_t value) {
    regs_.cr0 = value;
    controls_.write_protect = cr0::kWp.get(value) != 0;
  }
  const Registers& registers() const { return regs_; }

  // Does it take each TLBI, even one that names nothing of stage 1 that it holds?
  bool takes_all(const TlbiEffect& effect) const {
    return tlbi_empties_l1_ || effect.stages != TlbiStages::kFirst;
  }
  void invalidate(const TlbiEffect& effect) {
    if (effect.stages != TlbiStages::kFirst && stage2_ != nullptr) [[unlikely]]
      stage2_->invalidate(effect);
    const bool combined = effect.stages != TlbiStages::kSecond && presence_.may_hold(effect);
    if (combined || (tlbi_empties_l1_ && l1_filled_)) drop(effect);
  }

  // The leaf that the TLBs hold for a data access or a fetch of `va` under the current ASID.
  const Leaf* cached(VirtAddr va, bool fetch) const;

  // How many TLB entries of an address space, not global, map a part of [start, end).
  unsigned count_cached(Asid asid, VirtAddr start, VirtAddr end) const;
  // How many entries, of the TLBs and of the cache of stage 2, hold a part of these IPAs.
  unsigned count_cached_ipa(PhysAddr start, PhysAddr end) const;
  // May it hold an entry that `effect` drops? False is certain.
  bool may_hold(const TlbiEffect& effect) const { return presence_.may_hold(effect); }
  // Does it certainly hold nothing at all?
  bool empty() const { return presence_.empty(); }

  const Tlb& l1i() const { return l1i_; }
  const Tlb& l1d() const { return l1d_; }
  const Tlb& l2() const { return l2_; }
  const WalkCache& walk_cache() const { return walk_cache_; }
  const Stage2* stage2() const { return stage2_.get(); }  // null: off
  // Calls `visit(entry)` for each TLB's entry of `va` under `asid`.
  template <class Visit>
  void each_cached(VirtAddr va, Asid asid, Visit&& visit) const {
    const std::uint64_t probe = TlbTag::probe(va, asid);
    for (const Tlb* tlb : {&l1d_, &l2_, &l1i_}) {
      if (const std::uint32_t i = tlb->locate(probe); i != Tlb::kMiss) visit((*tlb)[i]);
    }
  }

 private:
  std::uint64_t probe_of(VirtAddr va) const { return TlbTag::kVa.get(va.value >> 12) | probe_; }
  // make_fast() of a leaf that the registers as they are have for `va`, until the next call. Leaves
  // of one mapping are alike but for their addresses: what the last one had is kept.
  const FastAccess& fast_of(const Leaf& leaf, VirtAddr va) {
    const Alike alike{leaf.descriptor.raw & ~field::kOutputAddress.mask(),
                      leaf.ap_table,
                      leaf.stage2_rights,
                      leaf.uxn_table,
                      leaf.pxn_table,
                      regime_.half(va).e0pd};
    if (alike != last_alike_) {
      last_access_ = make_fast(leaf, controls_, alike.e0pd);
      last_alike_ = alike;
    }
    return last_access_;
  }
  // The answer of stage 1 while it is off, and with stage 2's.
  Translation flat(VirtAddr va, const poe::Access& access) const;
  Translation flat_stage2(VirtAddr va, const poe::Access& access);
  // Entry `i` of `l1` maps `va`, but its rights need thought.
  Translation judge(VirtAddr va, const poe::Access& access, bool pan, Tlb& l1, std::uint32_t i,
                    Source source);
  Translation walk(VirtAddr va, const poe::Access& access, bool pan, Tlb& l1);
  void drop(const TlbiEffect& effect);
  // Sets the access flag and, if the verdict says so, the dirty state, in memory and in `leaf`.
  // Or the stage 2 fault, if that may not write the descriptor.
  Fault update_descriptor(const WalkFound& found, const poe::Verdict& verdict, VirtAddr va,
                          Leaf& leaf);
  // The fault of an access that stage 1 allows.
  Fault stage2_refusal(const Leaf& leaf, VirtAddr va, const poe::Access& access);
  poe::Verdict check(const Leaf& leaf, const poe::Access& access, bool pan);

  PhysicalMemory& memory_;
  Observer* observer_ = nullptr;
  Registers regs_;
  Regime regime_;
  poe::PermissionControls controls_{};
  Asid asid_;
  std::uint64_t probe_ = TlbTag::kNoProbe;  // the ASID's part of each probe
  Overlays overlays_;
  Presence presence_;  // in the four that follow
  Tlb l1i_;
  Tlb l1d_;
  Tlb l2_;
  WalkCache walk_cache_;
  bool l1_filled_ = false;  // since they were last emptied by a TLBI
  bool tlbi_empties_l1_;
  unsigned stage2_entries_;  // stage2_cache.h says why
  std::array<PhysAddr, kLongestWalk> walk_path_;
  std::unique_ptr<Stage2> stage2_;
  bool stage2_checked_ = true;
  // All of a leaf that its fast rights depend on, beside registers.
  struct Alike {
    std::uint64_t descriptor;
    std::uint8_t ap_table, stage2_rights;
    bool uxn_table, pxn_table, e0pd;
    bool operator==(const Alike&) const = default;
  };
  std::optional<Alike> last_alike_;
  FastAccess last_access_;
  PhysAddr fault_ipa_;
};

}  // namespace kpksim::mmu
