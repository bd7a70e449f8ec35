#include "sim/workload/size.h"

#include <gtest/gtest.h>

#include "sim/base/error.h"

namespace kpksim::workload {
namespace {

TEST(ParseSize, UnderstandsUnitsAndPlainNumbers) {
  EXPECT_EQ(parse_size("4096", "x"), 4096u);
  EXPECT_EQ(parse_size("64K", "x"), 64u << 10);
  EXPECT_EQ(parse_size("3M", "x"), 3u << 20);
  EXPECT_EQ(parse_size("1G", "x"), 1u << 30);
  EXPECT_EQ(parse_size("128T", "x"), kMaxSize);
}

TEST(ParseSize, ReadsEitherCaseAndKibi) {
  for (const char* text : {"64k", "64KiB", "64kib", "64KIB"}) {
    EXPECT_EQ(parse_size(text, "x"), 65536u) << text;
  }
  EXPECT_EQ(parse_size("2mib", "x"), 2u << 20);
  EXPECT_EQ(parse_size("3GiB", "x"), 3ull << 30);
  EXPECT_EQ(parse_size("16777215t", "x"), 16777215ull << 40);
}

TEST(ParseSize, RefusesEverythingElse) {
  for (const char* text :
       {"", "K", "64Q", "64KB", "64gb", "64B", "64Ki", "64KiBs", "16777216T", "-1", "+1", " 1",
        "1 K", "1.5G", "0x10", "99999999999999999999", "18446744073709551615K"}) {
    EXPECT_THROW(parse_size(text, "x"), InputError) << text;
  }
}

}  // namespace
}  // namespace kpksim::workload
