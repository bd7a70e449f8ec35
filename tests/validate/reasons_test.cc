// Reasons for what is off: the first that fits, and clear messages for a list that is wrong.

#include "sim/validate/reasons.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sim/base/error.h"
#include "tests/paths.h"
#include "tests/scratch.h"

namespace kpksim::validate {
namespace {

TEST(Reasons, TheFirstThatFitsIsPrinted) {
  Reasons reasons({{{"isb"}, {"fork"}, "one"}, {{"isb", "eret"}, {"fork", "exec"}, "two"}});
  EXPECT_EQ(reasons.of("isb", "fork"), "one");
  EXPECT_EQ(reasons.of("isb", "exec"), "two");
  EXPECT_EQ(reasons.of("eret", "fork"), "two");
  EXPECT_EQ(reasons.of("tlbi.VALE1IS", "fork"), "");
  EXPECT_EQ(reasons.of("isb", "munmap"), "") << "a reason is of its phases alone";
}

TEST(Reasons, ThoseThatExplainNothingAreNamed) {
  Reasons reasons({{{"isb"}, {"fork"}, "one"}, {{"isb", "eret"}, {"fork", "exec"}, "two"}});
  reasons.of("isb", "fork");
  reasons.of("isb", "exec");
  EXPECT_EQ(reasons.unused(), std::vector<std::string>{"isb, eret in fork"});
}

// TLBIs are never off; a reason for one would hide that one is.
TEST(Reasons, TheShippedOnesAreNotAboutTlbis) {
  const auto reasons = read_reasons(kpksim::test::source_path("tests/validate/reasons.json"));
  ASSERT_FALSE(reasons.empty());
  for (const Reason& r : reasons) {
    for (const std::string& counter : r.counters)
      EXPECT_FALSE(counter.starts_with("tlbi.")) << r.text;
  }
}

TEST(Reasons, AWrongListIsRefusedByPointer) {
  const std::string path = kpksim::test::scratch_file("reasons.json");
  const auto message = [&](const char* text) {
    std::ofstream(path) << text;
    try {
      read_reasons(path);
    } catch (const InputError& e) {
      return std::string(e.what()).substr(path.size());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(message("{}"), ": expected a list");
  EXPECT_EQ(message(R"([{"counters": ["isb"]}])"), ": /0/reason: expected a string");
  EXPECT_EQ(message(R"([{"counters": ["isb"], "reason": "r"}])"),
            ": /0/phases: expected a list of names");
  EXPECT_EQ(message(R"([{"counters": [], "reason": "r"}])"),
            ": /0/counters: expected a list of names");
  EXPECT_EQ(message(R"([{"counter": ["isb"], "reason": "r"}])"),
            ": /0/counter: unknown name; did you mean 'counters'?");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace kpksim::validate
