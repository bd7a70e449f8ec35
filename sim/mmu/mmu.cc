#include "sim/mmu/mmu.h"

#include <algorithm>

namespace kpksim::mmu {
namespace {

bool same_base_permissions(const Registers& a, const Registers& b) {
  return a.tcr == b.tcr && a.tcr2 == b.tcr2 && a.sctlr == b.sctlr && a.pir == b.pir &&
         a.pire0 == b.pire0 && a.index_bits == b.index_bits;
}

bool is_fetch(const poe::Access& access) { return access.kind == poe::AccessKind::kExecute; }

PhysAddr output_of(const Leaf& leaf, VirtAddr va) {
  return leaf.base + (va.value & ((1ull << leaf.page_bits) - 1));
}

Fault permission_fault(const Leaf& leaf, const poe::Verdict& verdict, VirtAddr va) {
  return {FaultKind::kPermission, leaf.level, verdict.overlay, verdict.dirty, va, verdict.write};
}

Translation mapped(PhysAddr pa, Source source) {
  Translation result;
  result.pa = pa;
  result.source = source;
  return result;
}

Translation faulted(const Fault& fault) {
  Translation result;
  result.fault = fault;
  return result;
}

}  // namespace

void Mmu::set_registers(const Registers& regs) {
  const bool renew = !same_base_permissions(regs, regs_);
  regs_ = regs;
  regime_ = decode_regime(regs);
  asid_ = regs.asid();
  controls_ = permission_controls(regs);
  last_alike_.reset();
  probe_ = enabled() ? TlbTag::kAsid.set(0, asid_.value) : TlbTag::kNoProbe;
  overlays_ = {Overlays::of(regs.por_el1), Overlays::of(regs.por_el0)};
  if (hcr::kVm.get(regs.hcr) == 0) {
    stage2_ = nullptr;
  } else {
    if (stage2_ == nullptr) stage2_ = std::make_unique<Stage2>(memory_, stage2_entries_);
    stage2_->set_regime(decode_stage2(regs));
  }
  if (renew) {
    for (Tlb* tlb : {&l1i_, &l1d_, &l2_}) {
      tlb->renew_fast([&](const TlbEntry& entry) { return fast_of(entry.leaf, entry.va()); });
    }
  }
  l1d_.forget_recent();
}

poe::Verdict Mmu::check(const Leaf& leaf, const poe::Access& access, bool pan) {
  controls_.pan = pan;
  return poe::check(leaf.permission(), controls_, access);
}

bool Mmu::would_allow(Descriptor leaf, const poe::Access& access,
                      const WindowRegisters& window) const {
  poe::PermissionControls controls = controls_;
  controls.por_el1 = window.por_el1;
  controls.write_protect = window.write_protect;
  return poe::check({leaf.raw, 0, false, false}, controls, access).allowed;
}

Translation Mmu::translate(VirtAddr va, const poe::Access& access, bool pan) {
  if (!enabled()) return stage2_ == nullptr ? flat(va, access) : flat_stage2(va, access);
  // A tagged address matches the entries of the plain one, if its tag is ignored.
  const bool tagged = without_tag(va) != va;
  if (tagged) {
    if (const Fault fault = address_fault(regime_, va, access)) return faulted(fault);
  }
  const bool fetch = is_fetch(access);
  Tlb& l1 = fetch ? l1i_ : l1d_;
  const std::uint64_t probe = probe_of(va);
  Source source = Source::kL1;
  std::uint32_t i = l1.find(probe);
  if (i == Tlb::kMiss) {
    const std::uint32_t second = l2_.find(probe);
    if (second == Tlb::kMiss) return walk(va, access, pan, l1);
    source = Source::kL2;
    i = l1.fill(va, asid_, l2_[second].leaf, l2_.fast(second));
    l1_filled_ = true;
  } else if (!tagged && !fetch && !(checks_tags() && is_tagged(regime_, l1[i].leaf))) {
    l1d_.set_recent(va, i);
  }
  if (l1.fast(i).grants(Need::of(access, pan), overlays_)) {
    return mapped(PhysAddr(without_tag(va).value + l1.fast(i).distance), source);
  }
  return judge(va, access, pan, l1, i, source);
}

// Needs neither tables nor TLB.
Translation Mmu::flat(VirtAddr va, const poe::Access& access) const {
  if (const Fault fault = disabled_fault(regime_, va, access)) return faulted(fault);
  return mapped(disabled_output(va), Source::kL1);
}

// The IPA cache alone holds such a translation.
Translation Mmu::flat_stage2(VirtAddr va, const poe::Access& access) {
  Translation result = flat(va, access);
  if (result.fault) return result;
  const PhysAddr ipa = result.pa;
  std::size_t reads = 0;
  const auto see = [&](const Stage2Step& step) { walk_path_[reads++] = step.address; };
  const Stage2Result second = (*stage2_)(ipa, see);
  result.walk_reads = second.reads;
  if (second.reads != 0) result.source = Source::kWalk;
  Leaf leaf;
  leaf.base = ipa;
  leaf.page_bits = kPageShift;
  leaf.base = PhysAddr(align_down(ipa.value, kPageSize));
  result.fault = combine(second, va, access, leaf);
  if (!result.fault && stage2_checked_) result.fault = mmu::stage2_refusal(leaf, va, access);
  if (result.fault) fault_ipa_ = ipa;
  result.pa = output_of(leaf, va);
  return result;
}

Translation Mmu::judge(VirtAddr va, const poe::Access& access, bool pan, Tlb& l1, std::uint32_t i,
                       Source source) {
  Translation result;
  result.source = source;
  result.fault = address_fault(regime_, va, access);
  if (result.fault) return result;
  const Leaf& leaf = l1[i].leaf;
  if (observer_ != nullptr) [[unlikely]]
    observer_->judged(va, leaf, access);
  const poe::Verdict verdict = check(leaf, access, pan);
  // A clean entry does not satisfy a write: the walk that marks the page dirty is made.
  if (verdict.update_descriptor) {
    l1.drop(probe_of(va));
    l2_.drop(probe_of(va));
    return walk(va, access, pan, l1);
  }
  result.fault =
      verdict.allowed ? stage2_refusal(leaf, va, access) : permission_fault(leaf, verdict, va);
  result.pa = output_of(leaf, va);
  return result;
}

Fault Mmu::stage2_refusal(const Leaf& leaf, VirtAddr va, const poe::Access& access) {
  if (!stage2_checked_) return {};
  const Fault fault = mmu::stage2_refusal(leaf, va, access);
  if (fault) fault_ipa_ = ipa_of(leaf, va);
  return fault;
}

Translation Mmu::walk(VirtAddr va, const poe::Access& access, bool pan, Tlb& l1) {
  Translation result;
  result.source = Source::kWalk;
  const Half& half = regime_.half(va);
  if (!half.is_walked(regime_.pa_bits) || !in_range(half, va, is_fetch(access))) [[unlikely]] {
    result.fault = start_fault(regime_, va, access);
    if (result.fault) return result;
  }
  const WalkState* cached = walk_cache_.find(probe_of(va), half);
  // Notes each descriptor's address, and fills the walk cache with each table found.
  struct {
    Mmu& mmu;
    VirtAddr va;
    const Half& half;
    std::size_t reads = 0;

    void operator()(const WalkStep& step) { mmu.walk_path_[reads++] = step.address; }
    void operator()(const Stage2Step& step) { mmu.walk_path_[reads++] = step.address; }
    void operator()(const WalkState& next) {
      mmu.walk_cache_.fill(va, mmu.asid_, *half.granule, next);
      if (mmu.observer_ != nullptr) [[unlikely]]
        mmu.observer_->table_cached(mmu.walk_path_[reads - 1], va, mmu.asid_, next);
    }
  } see{*this, va, half};
  const WalkState start_state = cached != nullptr ? *cached : walk_start(half);
  const bool hardware_af = controls_.hw_access_flag;
  WalkFound found =
      stage2_ == nullptr
          ? walk_from(memory_, regime_, va, start_state, hardware_af, result.fault, see)
          : walk_from(memory_, regime_, va, start_state, hardware_af, result.fault, see, *stage2_);
  result.walk_reads = found.reads;
  if (result.fault) {  // never cached
    if (result.fault.stage2) fault_ipa_ = found.ipa;
    return result;
  }
  Leaf& leaf = found;
  const Descriptor as_found = found.descriptor;
  Fault unmapped;  // at stage 2; stage 1's permission comes first
  if (stage2_ != nullptr) {
    const Stage2Result second = (*stage2_)(ipa_of(leaf, va), see);
    result.walk_reads = static_cast<std::uint8_t>(result.walk_reads + second.reads);
    unmapped = combine(second, va, access, leaf);
  }
  const FastAccess* fast = &fast_of(leaf, va);
  result.pa = output_of(leaf, va);
  if (unmapped || !leaf.descriptor.access_flag() ||
      !fast->grants(Need::of(access, pan), overlays_)) {
    const poe::Verdict verdict = check(leaf, access, pan);
    if (!verdict.allowed) {
      result.fault = permission_fault(leaf, verdict, va);
    } else if (unmapped) {
      fault_ipa_ = ipa_of(found, va);
      result.fault = unmapped;
    } else {
      result.fault = stage2_refusal(leaf, va, access);
      if (!result.fault) result.fault = update_descriptor(found, verdict, va, leaf);
    }
    if (unmapped) return result;
    result.updated = leaf.descriptor != as_found;
    // Without the access flag (hardware sets it on an access that is allowed) there is no entry.
    if (!leaf.descriptor.access_flag()) return result;
    if (result.updated) fast = &fast_of(leaf, va);
  }
  l1.fill(va, asid_, leaf, *fast);
  l2_.fill(va, asid_, leaf, *fast);
  l1_filled_ = true;
  if (observer_ != nullptr) [[unlikely]]
    observer_->leaf_cached(found.address, va, asid_, leaf);
  return result;
}

void Mmu::watch(VirtAddr va, Asid asid) {
  for (Tlb* tlb : {&l1d_, &l2_, &l1i_}) tlb->slow_down(TlbTag::probe(va, asid));
}

Fault Mmu::update_descriptor(const WalkFound& found, const poe::Verdict& verdict, VirtAddr va,
                             Leaf& leaf) {
  std::uint64_t raw = verdict.update_descriptor ? verdict.updated_descriptor : leaf.descriptor.raw;
  raw |= field::kAccessFlag.mask();
  if (raw == leaf.descriptor.raw) return {};
  if ((found.address_rights & poe::kMayWrite) == 0) {
    fault_ipa_ = found.ipa;
    return stage2_fault(FaultKind::kPermission, found.address_level, va, true, true);
  }
  if (observer_ != nullptr) [[unlikely]]
    observer_->updating(found.address, raw);
  memory_.write64(found.address, raw);
  leaf.descriptor.raw = raw;
  return {};
}

Translation Mmu::peek(VirtAddr va, const poe::Access& access, bool pan, Leaf* leaf_out,
                      Stages stages) const {
  const auto ignore = [] {};
  if (!enabled()) {
    Translation result = flat(va, access);
    if (result.fault || stage2_ == nullptr || stages == Stages::kFirst) return result;
    const Stage2Result second = walk_stage2(memory_, stage2_->regime(), result.pa, ignore);
    Leaf leaf;
    leaf.base = PhysAddr(align_down(result.pa.value, kPageSize));
    leaf.page_bits = kPageShift;
    result.fault = combine(second, va, access, leaf);
    if (!result.fault) result.fault = mmu::stage2_refusal(leaf, va, access);
    result.pa = output_of(leaf, va);
    return result;
  }
  Translation result;
  result.pa = PhysAddr(va.value);
  result.fault = address_fault(regime_, va, access);
  if (result.fault) return result;
  // An entry of both stages does not say what stage 1 gives.
  const bool both = stage2_ != nullptr && stages == Stages::kBoth;
  const bool reuse = stage2_ == nullptr || both;
  const Leaf* entry = reuse ? cached(va, is_fetch(access)) : nullptr;
  WalkFound found;
  Fault unmapped;
  if (entry == nullptr) {
    result.source = Source::kWalk;
    result.fault = start_fault(regime_, va, access);
    if (result.fault) return result;
    const WalkState start = walk_start(regime_.half(va));
    if (stage2_ == nullptr) {
      found =
          walk_from(memory_, regime_, va, start, controls_.hw_access_flag, result.fault, ignore);
    } else {
      const FreshStage2 second(memory_, stage2_->regime());
      found = walk_from(memory_, regime_, va, start, controls_.hw_access_flag, result.fault, ignore,
                        second);
      if (both && !result.fault) {
        unmapped = combine(second(ipa_of(found, va), ignore), va, access, found);
      }
    }
    if (result.fault) return result;
    entry = &found;
  }
  poe::PermissionControls controls = controls_;
  controls.pan = pan;
  const poe::Verdict verdict = poe::check(entry->permission(), controls, access);
  if (!verdict.allowed) {
    result.fault = permission_fault(*entry, verdict, va);
  } else if (unmapped) {
    result.fault = unmapped;
  } else if (both && stage2_checked_) {
    result.fault = mmu::stage2_refusal(*entry, va, access);
  }
  result.pa = output_of(*entry, va);
  if (leaf_out != nullptr) *leaf_out = *entry;
  return result;
}

const Leaf* Mmu::cached(VirtAddr va, bool fetch) const {
  const std::uint64_t probe = probe_of(va);
  const Tlb& l1 = fetch ? l1i() : l1d();
  if (const std::uint32_t i = l1.locate(probe); i != Tlb::kMiss) return &l1[i].leaf;
  if (const std::uint32_t i = l2_.locate(probe); i != Tlb::kMiss) return &l2_[i].leaf;
  return nullptr;
}

bool Mmu::has_tags(VirtAddr va) const {
  const Leaf* const leaf = cached(va, false);
  return regime_.tag_access && leaf != nullptr && is_tagged(regime_, *leaf);
}

bool Mmu::would_refuse_tag(VirtAddr va, PhysAddr pa, const Leaf& leaf) const {
  return checks_tags() && is_checked(regime_, va) && regime_.tag_access &&
         is_tagged(regime_, leaf) && memory_.tags().at(pa) != logical_tag(va);
}

Fault Mmu::tag_fault(VirtAddr va, PhysAddr pa, std::uint64_t bytes, bool write) const {
  if (!is_checked(regime_, va) || !has_tags(va)) return {};
  const std::uint64_t size = std::max(bytes, kTagGranule);
  const PhysAddr start(align_down(pa.value, size));
  for (PhysAddr at = start; at < start + size; at += kTagGranule) {
    if (memory_.tags().at(at) == logical_tag(va)) continue;
    return {FaultKind::kTagCheck, 0, false, false, va, write};
  }
  return {};
}

unsigned Mmu::count_cached(Asid asid, VirtAddr start, VirtAddr end) const {
  if (!presence_.may_hold(asid)) return 0;
  return l1i_.count(asid, start, end) + l1d_.count(asid, start, end) + l2_.count(asid, start, end);
}

unsigned Mmu::count_cached_ipa(PhysAddr start, PhysAddr end) const {
  unsigned found = 0;
  const auto count = [&](const TlbEntry& e, PhysAddr ipa) {
    const std::uint64_t size = 1ull << e.leaf.page_bits;
    found += e.valid && ipa < end && ipa + size > start ? 1 : 0;
  };
  for (const Tlb* tlb : {&l1i_, &l1d_, &l2_}) {
    for (const TlbEntry& e : tlb->entries())
      count(e, e.valid ? ipa_of(e.leaf, e.va()) : PhysAddr());
  }
  if (stage2_ == nullptr) return found;
  for (const TlbEntry& e : stage2_->cache().entries()) count(e, PhysAddr(e.va().value));
  return found;
}

void Mmu::drop(const TlbiEffect& effect) {
  if (tlbi_empties_l1_) {  // TLBIs of stage 2 come here for this alone
    l1i_.clear();
    l1d_.clear();
    l1_filled_ = false;
  } else {
    l1i_.invalidate(effect);
    l1d_.invalidate(effect);
  }
  if (effect.stages == TlbiStages::kSecond) return;
  l2_.invalidate(effect);
  walk_cache_.invalidate(effect);
}

}  // namespace kpksim::mmu
