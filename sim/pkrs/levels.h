#pragma once
// kpkeys levels: which rights a level gives to each key, as a POR_EL1 value (series "pkeys-based
// page table hardening", RFC v5, arch/arm64/include/asm/kpkeys.h).

#include <cstdint>

#include "sim/base/types.h"

namespace kpksim::pkrs {

// Overlay rights of a POR field (Arm ARM D8.4): bit 0 read, bit 1 execute, bit 2 write.
inline constexpr std::uint64_t kPoeRead = 0b0001;
inline constexpr std::uint64_t kPoeReadWrite = 0b0101;
inline constexpr std::uint64_t kPoeReadWriteExecute = 0b0111;

constexpr std::uint64_t por_with(std::uint64_t por, PkeyIndex key, std::uint64_t rights) {
  const unsigned shift = 4u * key.value;
  return (por & ~(0xfull << shift)) | rights << shift;
}

// KPKEYS_LVL_DEFAULT: everything to key 0, read-only to the page-table key.
constexpr std::uint64_t por_default(PkeyIndex pgtables) {
  return por_with(por_with(0, PkeyIndex(0), kPoeReadWriteExecute), pgtables, kPoeRead);
}
// KPKEYS_LVL_PGTABLES: read-write to the page-table key too.
constexpr std::uint64_t por_pgtables(std::uint64_t por, PkeyIndex pgtables) {
  return por_with(por, pgtables, kPoeReadWrite);
}

}  // namespace kpksim::pkrs
