// Line forms of the inputs in tests/reported/, with the counts that its README.md says are right.

#include "tests/workload/reported.h"

namespace kpksim::workload {
namespace {

void expect_same(const Reported& run, const Reported& as) {
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(run.events, as.events);
  EXPECT_EQ(run.not_understood, as.not_understood);
  EXPECT_EQ(run.ignored, as.ignored);
}

TEST(ReportedLines, TheReferencesHaveTheirCounts) {
  const Reported base = run_reported("ref-base"), fork = run_reported("ref-fork"),
                 narrow = run_reported("ref-32bit-mmap");
  EXPECT_EQ(base("fault_translation"), 77u);
  EXPECT_EQ(base("tlbi_vale1"), 12u);
  EXPECT_EQ(fork("fault_permission"), 55u);
  EXPECT_EQ(fork("tlbi_vale1"), 56u);
  EXPECT_EQ(fork("tlbi_aside1"), 4u);
  EXPECT_EQ(fork("exception_el0"), 171u);
  EXPECT_EQ(narrow("fault_translation"), 77u);
  EXPECT_EQ(narrow("fault_permission"), 11u);
  EXPECT_EQ(narrow("tlbi_vale1"), 12u);
  for (const Reported* run : {&base, &fork, &narrow}) EXPECT_TRUE(run->not_understood.empty());
}

TEST(ReportedLines, ANoteThatCutsACallHidesNoFork) {
  const Reported fork = run_reported("ref-fork");
  expect_same(run_reported("attached-cut-resumes-plain"), fork);
  expect_same(run_reported("attached-cut-old"), fork);
}

TEST(ReportedLines, AChildInAPidNamespaceIsTheTaskThatItsCallMade) {
  expect_same(run_reported("pid-namespace"), run_reported("ref-fork"));
}

TEST(ReportedLines, ACallThatBeganBeforeTheFirstPrefixIsWhole) {
  const Reported run = run_reported("begun-before-prefix"), as = run_reported("ref-thread");
  EXPECT_EQ(run.error, "");
  EXPECT_TRUE(run.not_understood.empty());
  // One mapping more than the reference: its page is written, and its call is an exception.
  EXPECT_EQ(run("fault_translation"), as("fault_translation") + 1);
  EXPECT_EQ(run("exception_el0"), as("exception_el0") + 2);
}

TEST(ReportedLines, PathsThatEndInADashByteOrderMarksAndQuotesChangeNothing) {
  const Reported base = run_reported("ref-base");
  // Its path is shorter, so that the kernel's own instructions are fewer.
  const Reported dash = run_reported("path-ending-in-dash");
  EXPECT_EQ(dash.error, "");
  EXPECT_TRUE(dash.not_understood.empty());
  for (const char* event : {"fault_translation", "fault_permission", "tlbi_vale1", "tlbi_rvale1",
                            "exception_el0", "page_zero"}) {
    EXPECT_EQ(dash(event), base(event)) << event;
  }
  expect_same(run_reported("bom"), base);
  expect_same(run_reported("quoted"), base);
}

TEST(ReportedLines, Mmap2IsMmap) {
  expect_same(run_reported("mmap2-32bit"), run_reported("ref-32bit-mmap"));
}

TEST(ReportedLines, MemoryAtAddress0IsMapped) {
  const Reported run = run_reported("mmap-at-0");
  EXPECT_EQ(run.error, "");
  EXPECT_TRUE(run.not_understood.empty());
  EXPECT_EQ(run.ignored, 0u);
  EXPECT_GT(run("fault_translation"), 0u);
}

TEST(ReportedLines, AResultNear2To64IsOneCallThatIsNotUnderstood) {
  const Reported run = run_reported("end-wraps");
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(run.unclear("memory call beyond 48-bit addresses"), 1u);
  EXPECT_EQ(run.not_understood.size(), 1u);
}

}  // namespace
}  // namespace kpksim::workload
