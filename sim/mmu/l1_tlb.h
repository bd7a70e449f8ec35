#pragma once
// A first-level TLB with what the hot path needs beside each entry: the distance from virtual to
// physical address and the rights that need no further thought (poe::FastRights). And a hint, by
// page number, where an address was found last, so that a fully associative TLB need not be
// searched: the tag there decides, the hint is never trusted.

#include <array>
#include <cstdint>
#include <vector>

#include "sim/mmu/tlb.h"
#include "sim/poe/permission.h"

namespace kpksim::mmu {

// Which of an entry's rights an access needs: the row of FastLeaf::rights, and bits of it.
enum class Side : std::uint8_t { kPrivileged, kPrivilegedPan, kUnprivileged };

class L1Tlb {
 public:
  struct FastLeaf {
    std::uint64_t distance = 0;            // physical minus virtual address
    std::array<std::uint8_t, 3> rights{};  // by Side, bits as in a POR field
    // Where the side's POR field lies in Overlays: 4 * POIndex, or 32 if no overlay applies.
    std::array<std::uint8_t, 3> shift{};
  };

  explicit L1Tlb(TlbGeometry geometry)
      : tlb_(geometry), fast_(std::size_t{geometry.sets} * geometry.ways) {}

  // Where `probe` was found last, if it is still there, else nullptr. Counts as a use.
  const FastLeaf* hinted(std::uint64_t probe) {
    const std::uint32_t i = hints_[probe % kHints];
    if (!tlb_.matches(i, probe)) [[unlikely]]
      return nullptr;
    tlb_.touch(i);
    return &fast_[i];
  }

  std::uint32_t find(std::uint64_t probe) {
    const std::uint32_t i = tlb_.find(probe);
    if (i != Tlb::kMiss) hints_[probe % kHints] = i;
    return i;
  }
  // `e0pd`: unprivileged accesses to this half of the address space fault before any look-up.
  void fill(VirtAddr va, Asid asid, const Leaf& leaf, const poe::PermissionControls& controls,
            bool e0pd);
  // After a change of the registers that the fast rights were made from.
  template <class E0pdOf>
  void renew_rights(const poe::PermissionControls& controls, E0pdOf&& e0pd_of) {
    for (std::uint32_t i = 0; i < fast_.size(); ++i) {
      if (tlb_[i].valid) set_rights(i, controls, e0pd_of(tlb_[i].va()));
    }
  }

  void drop(std::uint64_t probe) { tlb_.drop(probe); }
  void invalidate(const TlbiEffect& effect) { tlb_.invalidate(effect); }
  const Tlb& tlb() const { return tlb_; }
  const TlbEntry& operator[](std::uint32_t i) const { return tlb_[i]; }

 private:
  static constexpr std::size_t kHints = 128;

  void set_rights(std::uint32_t i, const poe::PermissionControls& controls, bool e0pd);

  Tlb tlb_;
  std::vector<FastLeaf> fast_;
  std::array<std::uint32_t, kHints> hints_{};
};

}  // namespace kpksim::mmu
