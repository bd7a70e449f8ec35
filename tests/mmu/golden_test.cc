// The architecture's golden vectors: all of them agree, through a cold walk and the warm TLB.

#include <gtest/gtest.h>

#include "sim/conform/replay.h"
#include "tests/paths.h"

namespace kpksim::conform {
namespace {

class Golden : public testing::TestWithParam<std::pair<const char*, unsigned>> {};

TEST_P(Golden, EveryVectorAgreesColdAndWarm) {
  const auto [name, count] = GetParam();
  unsigned printed = 0;
  const Listener listener{[&](const std::string& text) {
                            if (printed++ < 3) ADD_FAILURE() << text;
                          },
                          [](const std::string& text) { ADD_FAILURE() << text; }};
  const Tally tally = replay_file(kpksim::test::source_path("tests/golden/") + name, listener);
  EXPECT_EQ(tally.agreed, count);
  EXPECT_EQ(tally.disagreed, 0u);
}

INSTANTIATE_TEST_SUITE_P(Files, Golden,
                         testing::Values(std::pair{"permissions.jsonl.gz", 20000u},
                                         std::pair{"walks.jsonl.gz", 20000u},
                                         std::pair{"tlbi_ranges.jsonl.gz", 6000u}));

}  // namespace
}  // namespace kpksim::conform
