#include "sim/mmu/walker.h"

namespace kpksim::mmu {

WalkState walk_start(const Registers& regs, VirtAddr va) {
  WalkState state;
  const std::uint64_t base = upper_half(va) ? regs.ttbr1 : regs.ttbr0;
  state.table = PhysAddr(base & field::kOutputAddress.mask());
  return state;
}

Leaf walk(const PhysicalMemory& memory, const Registers& regs, VirtAddr va) {
  const bool disabled = (upper_half(va) ? tcr::kEpd1 : tcr::kEpd0).get(regs.tcr) != 0;
  if (!canonical(va) || disabled) {
    Leaf leaf;
    leaf.fault = {FaultKind::kTranslation, 0, false, false, va, false};
    return leaf;
  }
  return walk_from(memory, regs, va, walk_start(regs, va), [](const WalkState&) {});
}

}  // namespace kpksim::mmu
