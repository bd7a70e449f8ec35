// What validate kernel says of its rows: how far outside the readings, and which say little.

#include "sim/validate/kernel_check.h"

#include <gtest/gtest.h>

namespace kpksim::validate {
namespace {

Row row(std::vector<std::uint64_t> real, std::uint64_t model, Verdict verdict) {
  return {"tlbi.VALE1IS", std::move(real), model, verdict, Rule::kSpread};
}

TEST(Distance, IsRelativeToTheNearerReading) {
  EXPECT_DOUBLE_EQ(distance(row({20, 10}, 15, Verdict::kWithin)), 0);
  EXPECT_DOUBLE_EQ(distance(row({20, 10}, 8, Verdict::kWithin)), -0.2);
  EXPECT_DOUBLE_EQ(distance(row({20, 10}, 25, Verdict::kWithin)), 0.25);
  EXPECT_EQ(distance_text(row({20, 10}, 25, Verdict::kWithin)), "+25 %");
}

TEST(Distance, HasNoNumberWhereTheRealKernelHasNone) {
  EXPECT_EQ(distance_text(row({0, 0}, 14, Verdict::kWithin)), "real 0");
  EXPECT_TRUE(is_far(row({0, 0}, 14, Verdict::kWithin)));
  EXPECT_FALSE(is_far(row({0, 0}, 0, Verdict::kWithin)));
}

TEST(Distance, OnlyWhatARuleLetsPassIsFar) {
  EXPECT_TRUE(is_far(row({10}, 12, Verdict::kWithin)));
  EXPECT_FALSE(is_far(row({10}, 11, Verdict::kWithin))) << "a tenth is not more than a tenth";
  EXPECT_FALSE(is_far(row({10}, 12, Verdict::kOff))) << "it is printed as off";
}

TEST(Tally, CountsZeroOnBothSidesApart) {
  PhaseCheck check;
  check.rows = {row({0, 0}, 0, Verdict::kExact), row({0}, 0, Verdict::kWithin),
                row({5, 5}, 5, Verdict::kExact), row({0, 1}, 0, Verdict::kWithin),
                row({5, 5}, 9, Verdict::kOff)};
  const Tally tally = tally_of({check});
  EXPECT_EQ(tally.both_zero, 2u);
  EXPECT_EQ(tally.exact, 1u);
  EXPECT_EQ(tally.within, 1u);
  EXPECT_EQ(tally.off, 1u);
}

}  // namespace
}  // namespace kpksim::validate
