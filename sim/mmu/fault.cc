#include "sim/mmu/fault.h"

namespace kpksim::mmu {

std::uint64_t status_of(const Fault& fault) {
  constexpr std::uint64_t kStatus[] = {0,        0b000100, 0b001000,
                                       0b001100, 0b000000, 0b010001};  // by FaultKind
  return kStatus[static_cast<unsigned>(fault.kind)] | fault.level;
}

std::uint64_t esr_of(const Fault& fault, const poe::Access& access) {
  const bool fetch = access.kind == poe::AccessKind::kExecute;
  const bool lower_el = access.el == 0 || fault.stage2;  // EL2 takes stage 2 faults
  std::uint64_t result = esr::kIl.mask() | status_of(fault);
  result = esr::kEc.set(result, fetch ? (lower_el ? 0x20 : 0x21) : (lower_el ? 0x24 : 0x25));
  // A permission fault says which half of a read-modify-write was refused; of other faults, those
  // of a plain write.
  const bool wnr =
      fault.kind == FaultKind::kPermission ? fault.write : access.kind == poe::AccessKind::kWrite;
  result = esr::kWnr.set(result, wnr ? 1 : 0);
  result = esr::kS1Ptw.set(result, fault.table_walk ? 1 : 0);
  result = esr::kDirtyBit.set(result, fault.dirty ? 1 : 0);
  return esr::kOverlay.set(result, fault.overlay ? 1 : 0);
}

std::uint64_t page_fault_code(const Fault& fault) {
  constexpr Field kPresent{0, 0}, kWrite{1, 1}, kKey{5, 5};
  const std::uint64_t code = kPresent.set(kWrite.set(0, 1), fault.kind != FaultKind::kTranslation);
  return kKey.set(code, fault.overlay ? 1 : 0);
}

}  // namespace kpksim::mmu
