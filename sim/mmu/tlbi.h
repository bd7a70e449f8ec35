#pragma once
// TLB maintenance instructions of EL1&0 (Arm ARM C5.5): the operations, the encoding of
// their Xt argument, and the set of entries that one of them names.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/base/bits.h"
#include "sim/base/types.h"

namespace kpksim::mmu {

enum class TlbiKind : std::uint8_t {
  kVmalle1,
  kVae1,
  kAside1,
  kVaae1,
  kVale1,
  kVaale1,
  kRvae1,
  kRvaae1,
  kRvale1,
  kRvaale1,
  kVmalls12e1,
  kIpas2e1
};
enum class Domain : std::uint8_t { kLocal, kInner, kOuter };

// Which cached entries an operation means: those that hold anything of stage 1, alone or combined
// with stage 2; those of stage 2 alone, by IPA; or both.
enum class TlbiStages : std::uint8_t { kFirst, kSecond, kBoth };

struct TlbiInfo {
  std::string_view name;
  bool by_va, by_asid, last_level, range;  // by_va: by IPA, if it is of stage 2
  TlbiStages stages = TlbiStages::kFirst;
};
inline constexpr std::array<TlbiInfo, 12> kTlbiInfo = {{
    // name      by_va  by_asid last   range
    {"VMALLE1", false, false, false, false},
    {"VAE1", true, true, false, false},
    {"ASIDE1", false, true, false, false},
    {"VAAE1", true, false, false, false},
    {"VALE1", true, true, true, false},
    {"VAALE1", true, false, true, false},
    {"RVAE1", true, true, false, true},
    {"RVAAE1", true, false, false, true},
    {"RVALE1", true, true, true, true},
    {"RVAALE1", true, false, true, true},
    // Hypervisor's: of the virtual machine that VTTBR_EL2 names.
    {"VMALLS12E1", false, false, false, false, TlbiStages::kBoth},
    {"IPAS2E1", true, false, false, false, TlbiStages::kSecond},
}};
constexpr const TlbiInfo& info(TlbiKind kind) { return kTlbiInfo[static_cast<unsigned>(kind)]; }

struct TlbiOp {
  TlbiKind kind{};
  Domain domain = Domain::kInner;
  bool nxs = false;  // the nXS forms do not wait for XS accesses; the entries are the same
};

namespace tlbi_va {  // Xt of the VA forms
inline constexpr Field kAsid{63, 48};
inline constexpr Field kTtl{47, 44};
inline constexpr Field kVa{43, 0};  // VA[55:12]
}  // namespace tlbi_va
namespace tlbi_range {  // Xt of the range forms
inline constexpr Field kAsid{63, 48};
inline constexpr Field kTg{47, 46};  // 0b01 4K, 0b10 16K, 0b11 64K, 0b00 reserved
inline constexpr Field kScale{45, 44};
inline constexpr Field kNum{43, 39};
inline constexpr Field kTtl{38, 37};
inline constexpr Field kBaseAddr{36, 0};
}  // namespace tlbi_range

// The address range that the Xt of a range operation names; nullopt: reserved, no effect.
struct TlbiRange {
  unsigned granule_shift = 0;  // 12, 14 or 16
  std::uint64_t start = 0;     // bytes, sign-extended
  std::uint64_t end = 0;       // exclusive; cut at bit 52
};
std::optional<TlbiRange> decode_range(std::uint64_t xt);

// What a cached entry says about itself.
struct CachedRange {
  std::uint64_t va = 0;  // VA[63:56] as VA[55]
  unsigned bits = 0;     // log2 of the bytes it covers
  Asid asid;
  bool global = false;  // never true of a table
  unsigned level = 0;   // of the leaf
  unsigned granule_shift = kPageShift;
};

// The entries that an operation names.
struct TlbiEffect {
  TlbiStages stages = TlbiStages::kFirst;
  bool nothing = false;
  bool all_addresses = false;
  bool by_asid = false;
  bool last_level = false;    // leaf entries only, walk caches stay
  bool keeps_global = false;  // of all address spaces, but not their global entries
  // TTL: 0: no hint; else only leaves of this level need to go, and only they do: a wrong hint is a
  // software error that the model shows.
  std::uint8_t ttl_level = 0;
  std::uint8_t granule_shift = 0;  // 0: any; else only entries of this granule
  Asid asid;
  std::uint64_t start = 0;  // [start, end) with VA[63:56] as VA[55], or an IPA
  std::uint64_t end = 0;

  bool drops_leaf(const CachedRange& entry) const {
    return (ttl_level == 0 || entry.level == ttl_level) && names(entry);
  }
  // A TTL hint names the level of the leaf; the tables above it go with it.
  bool drops_table(const CachedRange& entry) const { return !last_level && names(entry); }

 private:
  bool names(const CachedRange& entry) const {
    if (nothing) return false;
    if (granule_shift != 0 && entry.granule_shift != granule_shift) return false;
    if (by_asid && !entry.global && entry.asid != asid) return false;
    // ASIDE1 leaves global entries.
    if (all_addresses) return !((by_asid || keeps_global) && entry.global);
    const std::uint64_t last = entry.va + ((1ull << entry.bits) - 1);
    return entry.va <= end - 1 && last >= start;
  }
};
TlbiEffect decode(TlbiKind kind, std::uint64_t xt);
// What no operation of AArch64 names: INVLPGB of AMD, for all PCIDs but not for global entries.
constexpr TlbiEffect all_but_global() {
  TlbiEffect effect;
  effect.all_addresses = effect.keeps_global = true;
  return effect;
}

// Xt of a VA form, as __TLBI_VADDR builds it; level 0: no TTL hint.
std::uint64_t encode_va(VirtAddr va, Asid asid, unsigned level);
// Xt of a range form with 4 KB granule, as __TLBI_VADDR_RANGE builds it.
std::uint64_t encode_range(VirtAddr va, Asid asid, unsigned scale, unsigned num, unsigned level);

}  // namespace kpksim::mmu
