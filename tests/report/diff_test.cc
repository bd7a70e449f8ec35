// kpksim diff: all that changed, and nothing else.

#include <gtest/gtest.h>

#include "tests/command_line.h"

namespace kpksim::test {
namespace {

class Diff : public CommandLine {
 protected:
  Diff() {
    write("small.json", kSmallWorkload);
    EXPECT_EQ(run("run -q -o a.json -p kpkeys-poe+lazy,pba,block small.json"), 0) << message_;
  }
  bool shows(const std::string& text) const { return printed().find(text) != std::string::npos; }
};

TEST_F(Diff, OfTheSameIsNone) {
  ASSERT_EQ(run("diff a.json a.json"), 0) << message_;
  EXPECT_EQ(printed(), "no difference\n");
}

TEST_F(Diff, ShowsWhatChangedInConfigurationAndNumbersAlone) {
  ASSERT_EQ(run("run -q -o b.json -p kpkeys-poe+lazy,pba:reserve=8,block "
                "--set core:/cycles/isb=30 small.json"),
            0)
      << message_;
  ASSERT_EQ(run("diff a.json b.json"), 0) << message_;
  EXPECT_TRUE(shows("configuration.allocator.reserve  ")) << printed();
  EXPECT_TRUE(shows("total.cycles.by_event.isb")) << printed();
  EXPECT_TRUE(shows("+3.61 %")) << printed();  // 30 for 28.956 cycles
  EXPECT_FALSE(shows("configuration.cores")) << printed();
  EXPECT_FALSE(shows("phases.all")) << printed();
  ASSERT_EQ(run("diff --phases a.json b.json"), 0) << message_;
  EXPECT_TRUE(shows("phases.all.cycles.by_event.isb")) << printed();
}

TEST_F(Diff, ACountThatOneSideHasNotIsNone) {
  ASSERT_EQ(run("run -q -o b.json -p none,buddy,block small.json"), 0) << message_;
  ASSERT_EQ(run("diff b.json a.json"), 0) << message_;
  const std::string text = printed();
  const auto at = text.find("total.events.msr_por_el1.total");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_NE(text.substr(at, text.find('\n', at) - at).find("  0  "), std::string::npos) << text;
}

TEST_F(Diff, OfConfigurationsShowsSettings) {
  ASSERT_EQ(run("config -o c.json small.json"), 0) << message_;
  ASSERT_EQ(run("config -o d.json --set core:/tlb/l2_sets=256 small.json"), 0) << message_;
  ASSERT_EQ(run("diff c.json d.json"), 0) << message_;
  EXPECT_TRUE(shows("core.tlb.l2_sets.value")) << printed();
  EXPECT_FALSE(shows("l2_ways")) << printed();
}

TEST_F(Diff, OfKeysComparesRowsByBudgetAndStrategy) {
  const std::string keys = "keys -q -m 1G -s dedicated -s shared-balanced ";
  ASSERT_EQ(run(keys + "-b 6,12 -o k.json small.json"), 0) << message_;
  ASSERT_EQ(run(keys + "-b 12,8,6 --set keys:/rate=4 -o l.json small.json"), 0) << message_;
  ASSERT_EQ(run("diff k.json k.json"), 0) << message_;
  EXPECT_EQ(printed(), "no difference\n");
  ASSERT_EQ(run("diff k.json l.json"), 0) << message_;
  const std::string text = printed();
  EXPECT_TRUE(shows("12 keys, dedicated\n")) << text;
  EXPECT_TRUE(shows("6 keys, shared-balanced\n")) << text;
  EXPECT_TRUE(shows("8 keys, dedicated: only in the second")) << text;
  EXPECT_FALSE(shows("6 keys, dedicated")) << text;  // refused in both
  EXPECT_TRUE(shows("  entries  ")) << text;
  EXPECT_FALSE(shows("contexts.")) << text;
  EXPECT_FALSE(shows("rows.")) << text;
  ASSERT_EQ(run("diff --phases k.json l.json"), 0) << message_;
  EXPECT_TRUE(shows("contexts.keys_installed.entries")) << printed();
  ASSERT_EQ(run(keys + "-b 6,12 --set classes:/classes/2/objects=9 -o m.json small.json"), 0)
      << message_;
  ASSERT_EQ(run("diff k.json m.json"), 0) << message_;
  EXPECT_TRUE(shows("classes.bpf_programs.bytes  819,200  36,864")) << printed();
  EXPECT_EQ(run("diff k.json a.json"), 2);
  EXPECT_NE(message_.find("one is a document of keys, the other a result"), std::string::npos);
}

TEST_F(Diff, RefusesWhatIsNeither) {
  EXPECT_EQ(run("diff a.json small.json"), 2);
  EXPECT_NE(message_.find("small.json:1:1"), std::string::npos) << message_;
  ASSERT_EQ(run("config -o c.json small.json"), 0) << message_;
  EXPECT_EQ(run("diff a.json c.json"), 2);
  EXPECT_EQ(run("diff a.json"), 2);
}

}  // namespace
}  // namespace kpksim::test
