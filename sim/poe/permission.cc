#include "sim/poe/permission.h"

#include <array>

#include "sim/base/bits.h"

namespace kpksim::poe {
namespace {

// PIR_ELx field encodings (Arm ARM, table "Stage 1 Indirect permissions"): R W X, overlay applies.
struct Indirect {
  Rights rights;
  bool overlay_applies, gcs, wxn_choice;
};
constexpr std::array<Indirect, 16> kIndirect = {{
    {{false, false, false}, true, false, false},   // 0000 no access
    {{true, false, false}, true, false, false},    // 0001 R
    {{false, false, true}, true, false, false},    // 0010 X
    {{true, false, true}, true, false, false},     // 0011 RX
    {{false, false, false}, true, false, false},   // 0100 reserved
    {{true, true, false}, true, false, false},     // 0101 RW
    {{true, true, true}, true, false, true},       // 0110 RW or RX
    {{true, true, true}, true, false, false},      // 0111 RWX
    {{true, false, false}, false, false, false},   // 1000 R
    {{true, false, false}, false, true, false},    // 1001 guarded control stack
    {{true, false, true}, false, false, false},    // 1010 RX
    {{false, false, false}, false, false, false},  // 1011 reserved
    {{true, true, false}, false, false, false},    // 1100 RW
    {{false, false, false}, false, false, false},  // 1101 reserved
    {{true, true, true}, false, false, false},     // 1110 RWX
    {{false, false, false}, false, false, false},  // 1111 reserved
}};

constexpr unsigned kNDirtyBit = 7;  // descriptor[7]: AP[2], or nDirty with PIE
constexpr unsigned kDbmBit = 51;

unsigned pi_index(std::uint64_t d) {
  return unsigned{bit(d, 54)} << 3 | unsigned{bit(d, 53)} << 2 | unsigned{bit(d, 51)} << 1 |
         unsigned{bit(d, 6)};
}

Base indirect(std::uint64_t pir, unsigned index) {
  const Indirect& i = kIndirect[(pir >> (4 * index)) & 0xf];
  return {i.rights, i.overlay_applies, i.gcs, i.wxn_choice};
}

// Is the privileged data access removed by PAN, given the unprivileged side?
bool pan_removes(const LeafPermission& leaf, const PermissionControls& c,
                 const Base& unprivileged) {
  if (c.pie) return ((c.pire0 >> (4 * pi_index(leaf.descriptor))) & 0xf) != 0;
  const Rights& u = unprivileged.rights;
  return u.r || u.w || (u.x && c.epan);
}

// The register that has the field of this key. User mappings have the architected keys alone.
std::uint64_t por_with(const PermissionControls& c, bool as_user, unsigned index) {
  if (as_user) return index < kFieldsOfPor ? c.por_el0 : 0;
  return index < kFieldsOfPor ? c.por_el1 : c.more_por_el1[index / kFieldsOfPor - 1];
}

inline Composition composition_of(const LeafPermission& leaf, const PermissionControls& c) {
  Composition out;
  const std::uint64_t d = leaf.descriptor;
  if (c.pie) {
    out.privileged = indirect(c.pir, pi_index(d));
    out.unprivileged = indirect(c.pire0, pi_index(d));
    if ((out.privileged.rights.x || out.privileged.gcs) &&
        (out.unprivileged.rights.w || out.unprivileged.gcs)) {
      out.privileged.rights = out.unprivileged.rights = {};
    }
    return out;
  }
  bool read_only = bit(d, 7);
  if (c.hw_dirty && bit(d, kDbmBit)) read_only = false;  // writable-clean
  read_only |= (leaf.ap_table & 2) != 0;
  const bool user = bit(d, 6) && (leaf.ap_table & 1) == 0;
  Rights& p = out.privileged.rights;
  Rights& u = out.unprivileged.rights;
  p.r = true;
  p.w = !read_only;
  u.r = user;
  u.w = user && !read_only;
  p.x = !(bit(d, 53) || leaf.pxn_table || u.w);
  u.x = !(bit(d, 54) || leaf.uxn_table);
  out.privileged.wxn_choice = p.w && p.x;
  out.unprivileged.wxn_choice = u.w && u.x;
  return out;
}

}  // namespace

Rights overlay_rights(std::uint64_t por, unsigned index) {
  const std::uint64_t f = (por >> (4 * index)) & 0xf;
  if (f & 8) return {};  // reserved: none
  return {(f & 1) != 0, (f & 4) != 0, (f & 2) != 0};
}

Composition compose(const LeafPermission& leaf, const PermissionControls& controls) {
  return composition_of(leaf, controls);
}

Verdict check(const LeafPermission& leaf, const PermissionControls& c, const Access& access) {
  const Composition composition = composition_of(leaf, c);
  const bool as_user = access.el == 0 || access.unprivileged;
  Base base = as_user ? composition.unprivileged : composition.privileged;
  const bool fetch = access.kind == AccessKind::kExecute;
  // With CR0.WP clear privileged writes ignore read-only leaves and tables (Intel SDM volume 3,
  // 4.6.1), and keys that deny writes alone (4.6.2). x86-64 has direct permissions.
  const bool ignores_read_only = !c.write_protect && !as_user && !c.pie;
  if (ignores_read_only) base.rights.w = true;
  if (c.pan && !as_user && !fetch && pan_removes(leaf, c, composition.unprivileged)) {
    base.rights.r = base.rights.w = false;
  }
  const bool overlay = (as_user ? c.e0poe : c.poe) && base.overlay_applies;
  const unsigned index = overlay_index(leaf.descriptor, c.index_bits);
  Rights o = overlay ? overlay_rights(por_with(c, as_user, index), index % kFieldsOfPor)
                     : Rights{true, true, true};
  if (ignores_read_only) o.w |= o.r;
  // Writable and executable under WXN (PIE: encoding 0110, whatever SCTLR_EL1.WXN): X goes, unless
  // the overlay grants X; then W goes, and is reported as the overlay's doing. (A W that PAN has
  // removed already needs no choice.)
  if (base.wxn_choice && (c.pie || (c.wxn && base.rights.w))) {
    (overlay && o.x ? o.w : base.rights.x) = false;
  }
  Verdict v;
  const bool wants_read = access.kind == AccessKind::kRead || access.kind == AccessKind::kReadWrite;
  const bool wants_write =
      access.kind == AccessKind::kWrite || access.kind == AccessKind::kReadWrite;
  // Priority: overlay read, overlay write, base read, base write; fetch: overlay, base.
  const auto refused = [&](const Rights& r) {
    v.write = wants_write && !r.w && !(wants_read && !r.r);
    return (wants_read && !r.r) || v.write || (fetch && !r.x);
  };
  v.overlay = refused(o);
  if (v.overlay || refused(base.rights)) return v;
  // A page that is written in spite of being read-only stays so. (x86-64 sets its dirty flag, which
  // a read-only descriptor has no place for here.)
  if (wants_write && bit(leaf.descriptor, kNDirtyBit) &&
      !(ignores_read_only && !bit(leaf.descriptor, kDbmBit))) {
    if (c.hw_dirty) {
      v.update_descriptor = true;
      v.updated_descriptor = leaf.descriptor & ~(1ull << kNDirtyBit);
    } else if (c.pie) {
      v.dirty = v.write = true;
      return v;
    }
  }
  v.allowed = true;
  return v;
}

FastRights fast_rights(const LeafPermission& leaf, const PermissionControls& c) {
  const Composition composition = composition_of(leaf, c);
  const bool clean = bit(leaf.descriptor, kNDirtyBit) && (c.pie || c.hw_dirty);
  const auto bits = [&](const Base& base) {
    Rights r = base.rights;
    if (base.wxn_choice && (c.pie || c.wxn)) r.w = r.x = false;
    if (clean) r.w = false;
    return static_cast<std::uint8_t>((r.r ? kMayRead : 0) | (r.w ? kMayWrite : 0) |
                                     (r.x ? kMayExecute : 0));
  };
  FastRights fast;
  fast.privileged = fast.privileged_pan = bits(composition.privileged);
  if (pan_removes(leaf, c, composition.unprivileged)) fast.privileged_pan &= kMayExecute;
  fast.unprivileged = bits(composition.unprivileged);
  fast.privileged_overlay = c.poe && composition.privileged.overlay_applies;
  fast.unprivileged_overlay = c.e0poe && composition.unprivileged.overlay_applies;
  return fast;
}

}  // namespace kpksim::poe
