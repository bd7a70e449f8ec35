#include "sim/mmu/mmu.h"

namespace kpksim::mmu {

void Mmu::set_registers(const Registers& regs) {
  regs_ = regs;
  asid_ = regs.asid();
  controls_ = {};
  controls_.pie = tcr2::kPie.get(regs.tcr2) != 0;
  controls_.poe = tcr2::kPoe.get(regs.tcr2) != 0;
  controls_.e0poe = tcr2::kE0Poe.get(regs.tcr2) != 0;
  controls_.wxn = sctlr::kWxn.get(regs.sctlr) != 0;
  controls_.epan = sctlr::kEpan.get(regs.sctlr) != 0;
  controls_.hw_access_flag = tcr::kHa.get(regs.tcr) != 0;
  controls_.hw_dirty = controls_.hw_access_flag && tcr::kHd.get(regs.tcr) != 0;
  controls_.pir = regs.pir;
  controls_.pire0 = regs.pire0;
  controls_.por_el1 = regs.por_el1;
  controls_.por_el0 = regs.por_el0;
}

Translation Mmu::permitted(const Leaf& leaf, VirtAddr va, const poe::Access& access, bool pan,
                           Source source) {
  Translation result;
  result.source = source;
  controls_.pan = pan;
  const poe::Verdict verdict = poe::check(leaf.permission, controls_, access);
  if (!verdict.allowed) [[unlikely]] {
    result.fault = {FaultKind::kPermission, leaf.level, verdict.overlay,
                    verdict.dirty,          va,         verdict.write};
    return result;
  }
  result.pa = leaf.base + (va.value & ((1ull << leaf.page_bits) - 1));
  return result;
}

Translation Mmu::translate_slow(VirtAddr va, const poe::Access& access, bool pan, Tlb& l1) {
  if (sctlr::kM.get(regs_.sctlr) == 0) {  // stage 1 off: flat
    Translation flat;
    flat.pa = PhysAddr(va.value);
    return flat;
  }
  if (const TlbEntry* entry = l2_.find(va, asid_)) {
    const Leaf leaf = entry->leaf;
    l1.fill(va, entry->asid, leaf);
    return permitted(leaf, va, access, pan, Source::kL2);
  }
  Translation failed;
  failed.source = Source::kWalk;
  const bool disabled = (upper_half(va) ? tcr::kEpd1 : tcr::kEpd0).get(regs_.tcr) != 0;
  if (!canonical(va) || disabled) {
    failed.fault = {FaultKind::kTranslation, 0, false, false, va, false};
    return failed;
  }
  const WalkState* cached = walk_cache_.find(va, asid_);
  const WalkState start = cached != nullptr ? *cached : walk_start(regs_, va);
  const bool kernel_half = upper_half(va);
  const Leaf leaf = walk_from(memory_, regs_, va, start, [&](const WalkState& next) {
    walk_cache_.fill(va, asid_, kernel_half, next);
  });
  if (leaf.fault) {  // never cached
    failed.fault = leaf.fault;
    failed.walk_reads = static_cast<std::uint8_t>(leaf.fault.level - start.level + 1);
    return failed;
  }
  l1.fill(va, asid_, leaf);
  l2_.fill(va, asid_, leaf);
  Translation result = permitted(leaf, va, access, pan, Source::kWalk);
  result.walk_reads = static_cast<std::uint8_t>(leaf.level - start.level + 1);
  return result;
}

void Mmu::invalidate(const TlbiEffect& effect) {
  l1i_.invalidate(effect);
  l1d_.invalidate(effect);
  l2_.invalidate(effect);
  walk_cache_.invalidate(effect);
}

}  // namespace kpksim::mmu
