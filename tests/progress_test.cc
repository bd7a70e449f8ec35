// The line of the progress bar, and work on several threads.

#include "app/progress.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <string>

#include "sim/base/parallel.h"
#include "sim/base/printable.h"

namespace kpksim::app {
namespace {

TEST(Progress, SaysHowMuchHowFastAndHowLong) {
  EXPECT_EQ(progress_line("compile, 2 of 3", 250'000, 1'000'000, "steps", 10, 100),
            "compile, 2 of 3 [=======                       ]  25 %  25.0 k steps/s  30 s left");
  EXPECT_EQ(progress_line("fork-1g", 0, 100, "steps", 0.2, 79),
            "fork-1g [                              ]   0 %")
      << "before the first step there is no rate";
  EXPECT_NE(progress_line("w", 1, 1000, "runs", 10, 79).find("2 h 46 min left"), std::string::npos);
  EXPECT_NE(progress_line("w", 1, 10, "runs", 10, 79).find("1 min 30 s left"), std::string::npos);
}

TEST(Progress, FitsTheTerminal) {
  const std::string label = "postgres-with-a-long-name-of-its-own, 2 of 3";
  for (std::size_t width = 1; width < 250; ++width) {
    const std::string line = progress_line(label, 999, 1000, "operations", 1e5, width);
    EXPECT_LE(columns(line), width) << line;
    EXPECT_TRUE(width < 79 || line.find("left") != std::string::npos) << line;
  }
  EXPECT_NE(progress_line(label, 999, 1000, "operations", 1, 200).find(label), std::string::npos);
}

TEST(ParallelFor, CarriesTheExceptionOfTheLowestNumber) {
  for (const unsigned jobs : {1u, 2u, 8u}) {
    EXPECT_THROW(parallel_for(100, jobs,
                              [](std::size_t i) {
                                if (i == 97) throw std::bad_alloc();
                                if (i == 98) throw std::runtime_error("later");
                              }),
                 std::bad_alloc);
  }
}

}  // namespace
}  // namespace kpksim::app
