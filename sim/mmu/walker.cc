#include "sim/mmu/walker.h"

#include <algorithm>

namespace kpksim::mmu {
namespace {

bool is_write(const poe::Access& access) {
  return access.kind == poe::AccessKind::kWrite || access.kind == poe::AccessKind::kReadWrite;
}

}  // namespace

Fault address_fault(const Regime& regime, VirtAddr va, const poe::Access& access) {
  const Half& half = regime.half(va);
  const bool fetch = access.kind == poe::AccessKind::kExecute;
  const bool unprivileged = access.el == 0 || access.unprivileged;
  if (!in_range(half, va, fetch) || (half.e0pd && unprivileged)) {
    return fault_at(FaultKind::kTranslation, 0, va);
  }
  return {};
}

Fault start_fault(const Regime& regime, VirtAddr va, const poe::Access& access) {
  if (const Fault fault = address_fault(regime, va, access)) return fault;
  const Half& half = regime.half(va);
  if (half.epd) return fault_at(FaultKind::kTranslation, 0, va);
  if (half.table.value >> regime.pa_bits != 0) return fault_at(FaultKind::kAddressSize, 0, va);
  return {};
}

Fault disabled_fault(const Regime& regime, VirtAddr va, const poe::Access& access) {
  const Half& half = regime.half(va);
  const bool fetch = access.kind == poe::AccessKind::kExecute;
  const bool ignored = fetch ? half.ignore_top_byte_fetch : half.ignore_top_byte_data;
  const std::uint64_t judged = ignored ? disabled_output(va).value : va.value;
  return judged >> kPaMax == 0 ? Fault{} : fault_at(FaultKind::kAddressSize, 0, va);
}

void make_leaf(const Half& half, unsigned pa_bits, VirtAddr va, const WalkState& state,
               Descriptor d, Leaf& leaf) {
  const unsigned shift = half.granule->level_shift(state.level);
  leaf.descriptor = d;
  leaf.level = state.level;
  leaf.granule_shift = half.granule->shift;
  leaf.global = !d.not_global();
  leaf.ap_table = state.ap_table;
  leaf.uxn_table = state.uxn_table;
  leaf.pxn_table = state.pxn_table;
  leaf.page_bits = static_cast<std::uint8_t>(shift);
  leaf.base = d.output(shift);
  if (!d.contiguous()) return;
  // The place of a page in its contiguous run comes from the VA alone. A run that does not lie in
  // the address spaces, input and output, is misprogrammed: it maps the page asked for only.
  const unsigned run = shift + half.granule->run_bits[state.level];
  const PhysAddr first(align_down(leaf.base.value, 1ull << run));
  const std::uint64_t inside = va.value & ((1ull << run) - (1ull << shift));
  const bool fits = run <= half.input_bits && (first.value | ((1ull << run) - 1)) >> pa_bits == 0;
  leaf.base = fits ? first : first + inside;
  if (fits) leaf.page_bits = static_cast<std::uint8_t>(run);
}

PhysAddr ipa_of(const Leaf& leaf, VirtAddr va) {
  const std::uint64_t inside = (1ull << leaf.stage1_bits()) - 1;
  return PhysAddr((leaf.descriptor.output(leaf.granule_shift).value & ~inside) |
                  (va.value & inside));
}

Fault combine(const Stage2Result& second, VirtAddr va, const poe::Access& access, Leaf& leaf) {
  if (second.fault != FaultKind::kNone) {
    return stage2_fault(second.fault, second.level, va, is_write(access), false);
  }
  const unsigned bits = std::min(leaf.page_bits, second.page_bits);
  const PhysAddr ipa = leaf.base + (va.value & ((1ull << leaf.page_bits) - 1));
  leaf.base = PhysAddr(align_down(second.output(ipa).value, 1ull << bits));
  leaf.split_bits = static_cast<std::uint8_t>(leaf.page_bits - bits);
  leaf.page_bits = static_cast<std::uint8_t>(bits);
  leaf.stage2_rights = second.rights;
  leaf.stage2_level = second.level;
  return {};
}

Fault stage2_refusal(const Leaf& leaf, VirtAddr va, const poe::Access& access) {
  const std::uint8_t needed = rights_of(access.kind);
  const auto refused = static_cast<std::uint8_t>(needed & ~leaf.stage2_rights);
  if (refused == 0) return {};
  // The read of a read-modify-write is checked first.
  const bool write = (refused & poe::kMayRead) == 0 && is_write(access);
  return stage2_fault(FaultKind::kPermission, leaf.stage2_level, va, write, false);
}

WalkResult walk(const PhysicalMemory& memory, const Registers& regs, VirtAddr va) {
  return walk(memory, regs, va, {poe::AccessKind::kRead, 1, false}, [] {});
}

}  // namespace kpksim::mmu
