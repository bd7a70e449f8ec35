#include "sim/conform/explain.h"

#include <fmt/core.h>

#include "sim/conform/vector.h"
#include "sim/mmu/walker.h"

namespace kpksim::conform {
namespace {

using mmu::Descriptor;
namespace field = mmu::field;

std::string rights(const poe::Rights& r) {
  return fmt::format("{}{}{}", r.r ? 'R' : '-', r.w ? 'W' : '-', r.x ? 'X' : '-');
}

std::string bytes(unsigned bits) {
  constexpr std::string_view kUnits[] = {"", "K", "M", "G"};
  return fmt::format("{}{}B", 1u << bits % 10, kUnits[bits / 10]);
}

std::string table_line(Descriptor d, const mmu::Half& half) {
  return fmt::format("table -> {:#x}  APTable={:02b} UXNTable={} PXNTable={}{}",
                     d.output(half.granule->shift).value, field::kApTable.get(d.raw),
                     field::kUxnTable.get(d.raw), field::kPxnTable.get(d.raw),
                     half.hpd ? " (ignored: HPD or PIE)" : "");
}

unsigned pi_index(Descriptor d) {
  return static_cast<unsigned>(field::kUxn.get(d.raw) << 3 | field::kPxn.get(d.raw) << 2 |
                               field::kDbm.get(d.raw) << 1 | field::kAp1.get(d.raw));
}

std::string leaf_line(Descriptor d, unsigned level, const mmu::Half& half, bool pie) {
  const unsigned shift = half.granule->level_shift(level);
  std::string text = fmt::format(
      "{} of {} -> {:#x}  AttrIndx={} SH={:02b} AF={} nG={} Contiguous={} POIndex={} ",
      level == mmu::kLastLevel ? "page" : "block", bytes(shift), d.output(shift).value,
      field::kAttrIndx.get(d.raw), field::kShareability.get(d.raw), field::kAccessFlag.get(d.raw),
      field::kNotGlobal.get(d.raw), field::kContiguous.get(d.raw), d.po_index().value);
  if (pie) {
    return text + fmt::format("PIIndex={} nDirty={}", pi_index(d), field::kAp2.get(d.raw));
  }
  return text + fmt::format("AP[2:1]={}{} DBM={} UXN={} PXN={}", field::kAp2.get(d.raw),
                            field::kAp1.get(d.raw), field::kDbm.get(d.raw), field::kUxn.get(d.raw),
                            field::kPxn.get(d.raw));
}

std::string step_line(const mmu::WalkStep& step, const mmu::Half& half, bool pie) {
  const Descriptor d = step.descriptor;
  const bool last = step.level == mmu::kLastLevel;
  std::string what = d.valid() ? "reserved encoding: invalid" : "invalid";
  if (last ? d.table_or_page() : d.block() && step.level >= half.granule->first_block_level) {
    what = leaf_line(d, step.level, half, pie);
  } else if (!last && d.table_or_page()) {
    what = table_line(d, half);
  }
  return fmt::format("  level {}  [{:#014x}] = {:#018x}  {}\n", step.level, step.address.value,
                     d.raw, what);
}

std::string base_line(const mmu::Leaf& leaf, const poe::PermissionControls& controls,
                      const mmu::Registers& regs) {
  const poe::Composition c = poe::compose(leaf.permission(), controls);
  const unsigned index = pi_index(leaf.descriptor);
  const std::string scheme =
      controls.pie ? fmt::format("indirect, PIR_EL1[{0}]={1:#x} PIRE0_EL1[{0}]={2:#x}", index,
                                 (regs.pir >> 4 * index) & 0xf, (regs.pire0 >> 4 * index) & 0xf)
                   : fmt::format("direct, APTable={:02b} UXNTable={} PXNTable={}", leaf.ap_table,
                                 leaf.uxn_table ? 1 : 0, leaf.pxn_table ? 1 : 0);
  return fmt::format("  base     privileged {}, unprivileged {}  ({}{}{})\n",
                     rights(c.privileged.rights), rights(c.unprivileged.rights), scheme,
                     controls.wxn ? ", WXN" : "", controls.pan ? ", PAN" : "");
}

std::string overlay_line(const mmu::Leaf& leaf, const poe::PermissionControls& controls,
                         const poe::Access& access) {
  const bool as_user = access.el == 0 || access.unprivileged;
  const poe::Composition c = poe::compose(leaf.permission(), controls);
  const poe::Base& base = as_user ? c.unprivileged : c.privileged;
  const char* name = as_user ? "POR_EL0" : "POR_EL1";
  if (!(as_user ? controls.e0poe : controls.poe)) {
    return fmt::format("  overlay  off (TCR2_EL1.{}=0)\n", as_user ? "E0POE" : "POE");
  }
  if (!base.overlay_applies) return "  overlay  does not apply to this base permission\n";
  const unsigned key = leaf.descriptor.po_index().value;
  const std::uint64_t por = as_user ? controls.por_el0 : controls.por_el1;
  return fmt::format("  overlay  {}[{}]={:#x}: {}\n", name, key, (por >> 4 * key) & 0xf,
                     rights(poe::overlay_rights(por, key)));
}

std::string access_text(const Question& q) {
  return fmt::format("{} at EL{}{}, PAN={}", kind_name(q.access.kind), q.access.el,
                     q.access.unprivileged ? " unprivileged" : "", q.pan ? 1 : 0);
}

std::string head(const Question& q, const mmu::Regime& regime) {
  const mmu::Half& half = regime.half(q.va);
  return fmt::format(
      "{:#x}  {}\n  TTBR{}_EL1: {} granule, {}-bit input from level {}, {}-bit "
      "output, tables at {:#x}\n",
      q.va.value, access_text(q), mmu::upper_half(q.va) ? 1 : 0, bytes(half.granule->shift),
      half.input_bits, half.start_level, regime.pa_bits, half.table.value);
}

// Why the walk did not begin.
std::string refusal(const Question& q, const mmu::Regime& regime) {
  const mmu::Half& half = regime.half(q.va);
  const unsigned n = mmu::upper_half(q.va) ? 1 : 0;
  if (!mmu::in_range(half, q.va, q.access.kind == poe::AccessKind::kExecute)) {
    return fmt::format("  the address is outside the {}-bit range\n", half.input_bits);
  }
  if (half.epd) return fmt::format("  TCR_EL1.EPD{}=1: no walks\n", n);
  if (half.e0pd && (q.access.el == 0 || q.access.unprivileged)) {
    return fmt::format("  TCR_EL1.E0PD{}=1: no unprivileged accesses\n", n);
  }
  return fmt::format("  TTBR{}_EL1 points beyond {} bits (TCR_EL1.IPS)\n", n, regime.pa_bits);
}

}  // namespace

std::string describe_esr(std::uint64_t esr) {
  constexpr std::string_view kStatus[] = {"address size", "translation", "access flag",
                                          "permission"};
  const std::uint64_t ec = mmu::esr::kEc.get(esr);
  const std::uint64_t status = mmu::esr::kStatus.get(esr);
  return fmt::format(
      "ESR_EL1 {:#x}: EC={:#x} ({} abort from {} EL) IL={} WnR={} {}={:#08b} ({} fault, level {}) "
      "ISS2: Overlay={} DirtyBit={}",
      esr, ec, ec < 0x24 ? "instruction" : "data", (ec & 1) != 0 ? "the same" : "a lower",
      mmu::esr::kIl.get(esr), mmu::esr::kWnr.get(esr), ec < 0x24 ? "IFSC" : "DFSC", status,
      status < 16 ? kStatus[status >> 2] : "other", status & 3, mmu::esr::kOverlay.get(esr),
      mmu::esr::kDirtyBit.get(esr));
}

std::string describe_fault(const mmu::Fault& fault, const poe::Access& access) {
  return fmt::format("{} fault, level {}{}{}; {}", mmu::kFaultNames[static_cast<int>(fault.kind)],
                     fault.level, fault.overlay ? ", overlay" : "", fault.dirty ? ", dirty" : "",
                     describe_esr(mmu::esr_of(fault, access)));
}

namespace {

std::string fault_lines(const mmu::Fault& fault, const poe::Access& access) {
  return fmt::format("  result   {}\n           FAR_EL1 {:#x}\n", describe_fault(fault, access),
                     fault.far.value);
}

// Stage 1 is off.
std::string explain_flat(const Question& q, const mmu::Regime& regime) {
  const mmu::Half& half = regime.half(q.va);
  const bool ignored = q.access.kind == poe::AccessKind::kExecute ? half.ignore_top_byte_fetch
                                                                  : half.ignore_top_byte_data;
  const std::string text = fmt::format(
      "{:#x}  {}\n  SCTLR_EL1.M=0: stage 1 is off, the address {} is physical, of {} bits\n",
      q.va.value, access_text(q), ignored ? "without its top byte (TBI)" : "with its top byte",
      mmu::kPaMax);
  if (const mmu::Fault fault = mmu::disabled_fault(regime, q.va, q.access)) {
    return text + fault_lines(fault, q.access);
  }
  return text + fmt::format("  result   PA {:#x}\n", mmu::disabled_output(q.va).value);
}

}  // namespace

std::string explain(const Question& q) {
  const mmu::Regime regime = mmu::decode_regime(q.regs);
  if (mmu::sctlr::kM.get(q.regs.sctlr) == 0) return explain_flat(q, regime);
  poe::PermissionControls controls = mmu::permission_controls(q.regs);
  controls.pan = q.pan;
  const mmu::Half& half = regime.half(q.va);
  std::string text = head(q, regime);
  const auto result_fault = [&](const mmu::Fault& f) { return fault_lines(f, q.access); };
  if (const mmu::Fault fault = mmu::start_fault(regime, q.va, q.access)) {
    return text + refusal(q, regime) + result_fault(fault);
  }
  const mmu::WalkResult found =
      mmu::walk(q.memory, q.regs, q.va, q.access,
                [&](const mmu::WalkStep& step) { text += step_line(step, half, controls.pie); });
  if (found.fault) return text + result_fault(found.fault);
  text += base_line(found, controls, q.regs) + overlay_line(found, controls, q.access);
  const poe::Verdict verdict = poe::check(found.permission(), controls, q.access);
  if (!verdict.allowed) {
    return text + result_fault({mmu::FaultKind::kPermission, found.level, verdict.overlay,
                                verdict.dirty, q.va, verdict.write});
  }
  const std::uint64_t offset = q.va.value & ((1ull << found.page_bits) - 1);
  text += fmt::format("  result   PA {:#x}, {}{}, {}\n", found.base.value + offset,
                      bytes(found.page_bits), found.descriptor.contiguous() ? " run" : "",
                      found.global ? "global" : "this ASID only");
  if (!found.descriptor.access_flag()) text += "           hardware sets the access flag\n";
  if (verdict.update_descriptor) text += "           hardware marks the page dirty\n";
  return text;
}

}  // namespace kpksim::conform
