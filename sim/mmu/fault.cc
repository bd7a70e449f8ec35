#include "sim/mmu/fault.h"

namespace kpksim::mmu {

std::uint64_t esr_of(const Fault& fault, const poe::Access& access) {
  constexpr std::uint64_t kStatus[] = {0, 0b000100, 0b001000, 0b001100, 0b000000};  // by FaultKind
  const bool fetch = access.kind == poe::AccessKind::kExecute;
  const bool lower_el = access.el == 0;
  const std::uint64_t ec = fetch ? (lower_el ? 0x20 : 0x21) : (lower_el ? 0x24 : 0x25);
  const std::uint64_t iss2 = (fault.dirty ? 1u << 5 : 0u) | (fault.overlay ? 1u << 6 : 0u);
  // A permission fault says which half of a read-modify-write was refused; other faults say write.
  const bool wnr =
      fault.kind == FaultKind::kPermission ? fault.write : access.kind == poe::AccessKind::kWrite;
  return iss2 << 32 | ec << 26 | 1ull << 25 | (wnr ? 1u << 6 : 0u) |
         kStatus[static_cast<unsigned>(fault.kind)] | fault.level;
}

}  // namespace kpksim::mmu
