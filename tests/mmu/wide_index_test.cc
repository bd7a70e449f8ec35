// Overlay indices wider than FEAT_S1POE has: where their bits stand, and that a check uses them.

#include <gtest/gtest.h>

#include "sim/pkrs/register.h"
#include "sim/poe/permission.h"

namespace kpksim::poe {
namespace {

TEST(WideIndex, EachIndexComesBackFromTheBitsThatHoldIt) {
  for (unsigned index = 0; index < 128; ++index) {
    const std::uint64_t bits = overlay_index_bits(index);
    EXPECT_EQ(overlay_index(bits, 7), index);
    EXPECT_EQ(overlay_index(bits, 4), index % 16);
    EXPECT_EQ(overlay_index(bits, 3), index % 8);
    EXPECT_EQ(overlay_index(~0ull & ~overlay_index_bits(127), 7), 0u);
  }
}

TEST(WideIndex, EachKeyHasAFieldOfItsOwn) {
  PermissionControls controls;
  controls.poe = true;
  controls.index_bits = 7;
  for (unsigned open = 0; open < 128; ++open) {
    const auto por = pkrs::KeyRegister().with(PkeyIndex(static_cast<std::uint8_t>(open)),
                                              pkrs::Rights::kReadWrite);
    controls.por_el1 = por.word(0);
    for (std::size_t i = 0; i < kMorePors; ++i) controls.more_por_el1[i] = por.word(i + 1);
    for (unsigned index = 0; index < 128; ++index) {
      const Verdict v = check({overlay_index_bits(index), 0, false, false}, controls,
                              {AccessKind::kWrite, 1, false});
      EXPECT_EQ(v.allowed, index == open) << index << " with " << open << " open";
    }
  }
}

// FEAT_S1POE knows nothing of the further bits.
TEST(WideIndex, WithThreeBitsTheOthersMeanNothing) {
  PermissionControls controls;
  controls.poe = true;
  controls.por_el1 = 0x5;  // key 0
  const std::uint64_t others = overlay_index_bits(127) & ~overlay_index_bits(7);
  EXPECT_TRUE(check({others, 0, false, false}, controls, {AccessKind::kWrite, 1, false}).allowed);
}

}  // namespace
}  // namespace kpksim::poe
