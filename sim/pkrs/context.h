#pragma once
// Contexts of the kernel: which rights each key gives in it, as the value of the key register
// (series "pkeys-based page table hardening": a level in v5 and v6, a context from v7 on). Contexts
// have no order: each is a set of rights.

#include <cstdint>
#include <initializer_list>

#include "sim/base/types.h"

namespace kpksim::pkrs {

// Rights of a key: bit 0 read, bit 1 execute, bit 2 write, as in a field of POR_EL1 (Arm ARM D8.4).
// IA32_PKRS says the same with two bits, access disable and write disable; the model keeps the
// rights of both architectures in this layout.
enum class Rights : std::uint8_t { kNone = 0, kRead = 0b001, kReadWrite = 0b101, kAll = 0b111 };

class Context {
 public:
  constexpr Context() = default;
  // Of a register that was read: rights of other keys are kept as they are.
  constexpr explicit Context(std::uint64_t por) : por_(por) {}

  constexpr Context with(PkeyIndex key, Rights rights) const {
    const unsigned shift = kBits * key.value;
    return Context((por_ & ~(kMask << shift)) | std::uint64_t{static_cast<std::uint8_t>(rights)}
                                                    << shift);
  }
  constexpr Rights rights(PkeyIndex key) const {
    return static_cast<Rights>(por_ >> (kBits * key.value) & kMask);
  }
  constexpr std::uint64_t por() const { return por_; }

 private:
  static constexpr unsigned kBits = 4;
  static constexpr std::uint64_t kMask = 0xf;

  std::uint64_t por_ = 0;
};

// KPKEYS_CTX_DEFAULT: everything to key 0, and to a managed key only reads.
constexpr Context context_default(PkeyIndex managed) {
  return Context().with(PkeyIndex(0), Rights::kAll).with(managed, Rights::kRead);
}
// The context of the managed key's writers (KPKEYS_CTX_PGTABLES): as `context`, with writes to it.
constexpr Context context_writing(Context context, PkeyIndex managed) {
  return context.with(managed, Rights::kReadWrite);
}

// Several managed keys. A context lets its writers write one of them, whatever was in force; a
// context in another is the inner one alone. Rights of keys that are not managed stay.
class ManagedKeys {
 public:
  constexpr ManagedKeys(std::initializer_list<PkeyIndex> keys) {
    Context all;
    for (const PkeyIndex key : keys) {
      reads_ = reads_.with(key, Rights::kRead);
      all = all.with(key, Rights::kAll);
    }
    mask_ = all.por();
  }
  constexpr Context at_rest() const {
    return Context(reads_.por()).with(PkeyIndex(0), Rights::kAll);
  }
  constexpr Context writing(Context before, PkeyIndex key) const {
    return Context((before.por() & ~mask_) | reads_.por()).with(key, Rights::kReadWrite);
  }

 private:
  Context reads_;
  std::uint64_t mask_ = 0;
};

}  // namespace kpksim::pkrs
