// Memory calls of the inputs in tests/reported/, with the counts that its README.md says are right.

#include "tests/workload/reported.h"

namespace kpksim::workload {
namespace {

// The same arena, committed by mprotect.
TEST(ReportedMemory, AnArenaThatMprotectCommitsIsWrittenAtItsBeginning) {
  const Reported run = run_reported("go-arena-mprotect");
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(run("fault_translation"), 1u);
  EXPECT_EQ(run("fault_permission"), 0u);
}

}  // namespace
}  // namespace kpksim::workload
