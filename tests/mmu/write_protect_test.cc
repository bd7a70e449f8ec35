// CR0.WP of x86-64: clear, privileged writes ignore read-only leaves and tables, and nothing else
// changes (Intel SDM volume 3, 4.6.1 and 4.6.2).

#include <gtest/gtest.h>

#include "sim/mmu/registers.h"
#include "sim/mmu/walker.h"
#include "sim/poe/permission.h"

namespace kpksim::poe {
namespace {

constexpr std::uint64_t kReadOnly = mmu::field::kAp2.mask();
constexpr std::uint64_t kUser = mmu::field::kAp1.mask();
constexpr Access kWriteProtectRead{AccessKind::kRead, 1, false},
    kWrite{AccessKind::kWrite, 1, false}, kUserWrite{AccessKind::kWrite, 0, false};

PermissionControls clear() {
  PermissionControls c;
  c.write_protect = false;
  return c;
}

bool allowed(const LeafPermission& leaf, const PermissionControls& c, const Access& access) {
  return check(leaf, c, access).allowed;
}

TEST(WriteProtect, Clear_PrivilegedWritesIgnoreReadOnlyLeavesAndTables) {
  for (const LeafPermission& leaf :
       {LeafPermission{kReadOnly}, LeafPermission{0, 2}, LeafPermission{kReadOnly | kUser, 2}}) {
    EXPECT_FALSE(allowed(leaf, {}, kWrite));
    EXPECT_TRUE(allowed(leaf, clear(), kWrite));
  }
}

TEST(WriteProtect, Clear_UserWritesDoNot) {
  EXPECT_TRUE(allowed({kUser}, clear(), kUserWrite));
  EXPECT_FALSE(allowed({kUser | kReadOnly}, clear(), kUserWrite));
  EXPECT_FALSE(allowed({kUser, 2}, clear(), kUserWrite));
}

// SMAP is PSTATE.PAN in the model.
TEST(WriteProtect, Clear_SmapStillKeepsPrivilegedWritesFromUserPages) {
  PermissionControls smap = clear();
  smap.pan = true;
  EXPECT_FALSE(allowed({kUser}, smap, kWrite));
  EXPECT_FALSE(allowed({kUser | kReadOnly}, smap, kWrite));
  EXPECT_TRUE(allowed({kReadOnly}, smap, kWrite));
}

TEST(WriteProtect, Clear_AKeyThatDeniesWritesAloneIsIgnored_OneThatDeniesAccessIsNot) {
  constexpr std::uint64_t kKey = 1, kRights[] = {0, 1, 5};  // none, read, both
  LeafPermission leaf{kReadOnly | mmu::field::kPoIndex.set(0, kKey)};
  for (const std::uint64_t rights : kRights) {
    PermissionControls c = clear();
    c.poe = true;
    c.por_el1 = rights << (4 * kKey);
    EXPECT_EQ(allowed(leaf, c, kWrite), rights != 0);
    EXPECT_EQ(allowed(leaf, c, kWriteProtectRead), rights != 0);
  }
}

// What hardware may write is the dirty state of a page that is writable but clean.
TEST(WriteProtect, Clear_AReadOnlyPageStaysReadOnlyWhenItIsWritten) {
  PermissionControls c = clear();
  c.hw_access_flag = c.hw_dirty = true;
  EXPECT_FALSE(check({kReadOnly}, c, kWrite).update_descriptor);
  EXPECT_TRUE(check({kReadOnly | mmu::field::kDbm.mask()}, c, kWrite).update_descriptor);
}

// A right that is gone when WP is set again must not be in a TLB.
TEST(WriteProtect, FastRightsAreThoseWithItSet) {
  for (const std::uint64_t descriptor : {std::uint64_t{0}, kReadOnly, kUser, kUser | kReadOnly}) {
    const FastRights with = fast_rights({descriptor}, {});
    const FastRights without = fast_rights({descriptor}, clear());
    EXPECT_EQ(with.privileged, without.privileged);
    EXPECT_EQ(with.privileged_pan, without.privileged_pan);
    EXPECT_EQ(with.unprivileged, without.unprivileged);
  }
}

}  // namespace
}  // namespace kpksim::poe
