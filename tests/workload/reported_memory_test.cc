// Memory calls of the inputs in tests/reported/, with the counts that its README.md says are right.

#include "tests/workload/reported.h"
#include "tests/workload/strace_fixture.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kPagesOf1Mb = 256;

TEST(ReportedMemory, AnArenaIsTheSameWhetherMmapOrMprotectCommitsIt) {
  for (const char* name : {"go-arena-mprotect", "go-arena"}) {
    const Reported run = run_reported(name);
    EXPECT_EQ(run.error, "") << name;
    EXPECT_EQ(run("fault_translation"), 1u) << name;
    EXPECT_EQ(run("fault_permission"), 0u) << name;
    EXPECT_EQ(run("tlbi_vale1"), 0u) << name;
  }
}

TEST(ReportedMemory, AReservationLargerThanMemoryIsNotHalfUsed) {
  for (const char* name : {"reserve-1t-munmap", "reserve-1t-dontneed"}) {
    const Reported run = run_reported(name);
    EXPECT_EQ(run.error, "") << name;
    EXPECT_GE(run("fault_translation"), 1u) << name;
    EXPECT_LE(run("fault_translation"), 3u) << name;
  }
}

// 4 GB without MAP_NORESERVE are meant for use, and half of them are more than 1 GB of memory.
TEST_F(Strace, TouchesThatTheMachineHasNoMemoryForAreLeftOutAndCounted) {
  std::ofstream(path_) << "7 mmap(NULL, 4294967296, PROT_READ|PROT_WRITE, "
                          "MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x200000000000\n"
                          "7 munmap(0x200000000000, 4294967296) = 0\n";
  kernel::Config small = reported_policy();
  small.memory_bytes = 1ull << 30;
  const Reported run = run_recording(path_.string(), small);
  EXPECT_EQ(run.error, "");
  EXPECT_GT(run.beyond_memory, 1u << 18);
  EXPECT_LE(run("fault_translation"), 3u);
  const Reported large = run_recording(path_.string());
  EXPECT_EQ(large.beyond_memory, 0u);
  EXPECT_GT(large("page_zero"), 1u << 18);
}

TEST(ReportedMemory, OfASparseFileOnlyWhatExistsIsRead) {
  const Reported run = run_reported("lmdb-1t");
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(run("fault_translation"), 1u);
}

TEST(ReportedMemory, PopulatedMemoryCausesNoFaults) {
  const Reported map = run_reported("map-populate");
  EXPECT_EQ(map("fault_translation"), 0u);
  EXPECT_EQ(map("user_access"), 0u);
  EXPECT_EQ(map("exception_el0"), 3u);
  EXPECT_GE(map("page_zero"), kPagesOf1Mb);
  const Reported advised = run_reported("madv-populate-write");
  EXPECT_LE(advised("fault_translation"), 3u);
  EXPECT_GE(advised("page_zero"), kPagesOf1Mb);
}

TEST(ReportedMemory, LockedMemoryIsBroughtByTheKernel) {
  const Reported run = run_reported("mlock");
  EXPECT_EQ(run("fault_translation"), 0u);
  EXPECT_GE(run("page_zero"), kPagesOf1Mb);
  EXPECT_TRUE(run.not_understood.empty());
}

TEST(ReportedMemory, WhatForkDoesNotCopyIsNotWrittenAfterIt) {
  const Reported run = run_reported("madv-dontfork");
  EXPECT_EQ(run("fault_permission"), 0u);
  EXPECT_EQ(run("tlbi_vale1"), 0u);
  EXPECT_EQ(run.ignored, 0u);
}

TEST(ReportedMemory, AHoleInAMappedFileClearsItsEntries) {
  const Reported run = run_reported("punch-hole"), without = run_reported("memfd-fresh-pages");
  EXPECT_EQ(run("tlbi_rvale1"), without("tlbi_rvale1") + 1);
  EXPECT_GE(run("page_zero"), kPagesOf1Mb);
}

TEST(ReportedMemory, AFreshFileInMemoryHasNoPages) {
  const Reported run = run_reported("memfd-fresh-pages");
  EXPECT_GE(run("page_zero"), kPagesOf1Mb);
  EXPECT_LT(run("page_zero"), 2 * kPagesOf1Mb);
  EXPECT_EQ(run("fault_translation"), 0u);
}

// MADV_COLD flushes once. MADV_PAGEOUT has no flush: without swap anonymous memory stays where it
// is, and a real kernel executes no TLBI for it (pageout_64m of tools/kernel-truth's operations).
TEST(ReportedMemory, ColdMemorysEntriesBecomeOldAndWithoutSwapNoneGoes) {
  const Reported run = run_reported("madv-cold");
  EXPECT_TRUE(run.not_understood.empty());
  EXPECT_EQ(run("tlbi_rvale1"), 1u);
  EXPECT_EQ(run.ignored, 0u);
}

TEST(ReportedMemory, ASharedMappingIsDuplicated) {
  const Reported run = run_reported("mremap-old-size-0");
  EXPECT_TRUE(run.not_understood.empty());
  EXPECT_EQ(run.ignored, 0u);  // the duplicate is there to be unmapped
  EXPECT_EQ(run.error, "");
}

TEST(ReportedMemory, CallsWithoutAModelAreNamed) {
  const Reported run = run_reported("old-mmap");
  EXPECT_EQ(run.unclear("call without a model: remap_file_pages"), 1u);
  EXPECT_EQ(run.unclear("call without a model: process_madvise"), 1u);
  EXPECT_EQ(run.not_understood.size(), 2u);  // old_mmap is mmap with its arguments in memory
}

TEST(ReportedMemory, ASegmentsSizeIsKnownFromItsStatus) {
  const Reported run = run_reported("shm-known-from-ipc-stat");
  EXPECT_TRUE(run.not_understood.empty());
  EXPECT_EQ(run("fault_translation"), 1u);
  EXPECT_EQ(run.ignored, 0u);
}

}  // namespace
}  // namespace kpksim::workload
