// What the sanitizer says of whole programs: of cores that run at once nothing that is over before
// they return, of a planted fault what it is; and that no program runs for ever.

#include "tests/fuzz/trials.h"

namespace kpksim::fuzz {
namespace {

std::string on_two_cores(const char* policy, const char* core, const char* ops,
                         const Machine& machine = {}) {
  const Program program = program_of(ops, 2, true);
  EXPECT_TRUE(is_workload(program));
  return failures(try_program(program, place_of(policy, core), machine));
}

constexpr const char* kMarksAtOnce = R"([
  {"op":"spawn","task":"t1"},
  {"op":"mmap","task":"t1","region":"r5","size":4096},
  {"op":"vmalloc","region":"r7","pages":3},
  {"op":"touch","task":"t1","region":"r5","access":"read"},
  {"op":"vmalloc","region":"r8","pages":1},
  {"op":"idle"},
  {"op":"syscall","task":"t1","call":"null"}])";

TEST(Trial, AnotherCoreThatChangesStage2IsNotStale) {
  EXPECT_EQ(on_two_cores("hypervisor-window+lock,ppa,contpte", "apple-m1", kMarksAtOnce), "");
}

TEST(Trial, AFlushOfStage2ThatIsForgottenIsFoundOnCoresThatRunAtOnce) {
  const Machine machine{1ull << 30, {kernel::parse_injection("skip:tlbi.stage2-rights")}};
  EXPECT_NE(on_two_cores("hypervisor,per-page,pte", "apple-m1", kMarksAtOnce, machine)
                .find("a translation of stage 2 is stale"),
            std::string::npos);
}

TEST(Trial, ATableInAnotherCoresWindowIsNotWritableAtRest) {
  EXPECT_EQ(on_two_cores("hypervisor-window+lock,ppa,contpte", "apple-m1", R"([
    {"op":"spawn","task":"t1"},
    {"op":"vm_map_ram","region":"r1","pages":1},
    {"op":"mmap","task":"t1","region":"r2","size":8192},
    {"op":"touch","task":"t1","region":"r2","access":"read"},
    {"op":"vmalloc","region":"r3","pages":1}])"),
            "");
}

TEST(Trial, ATableThatAnotherCoreIsJustOpeningIsNotWritableAtRest) {
  EXPECT_EQ(on_two_cores("hypervisor-window+lock,pba,contpte", "neoverse-n1", R"([
    {"op":"spawn","task":"t1"},
    {"op":"clone","task":"t1","child":"t2"},
    {"op":"brk","task":"t1","region":"r9","size":4096},
    {"op":"vm_map_ram","region":"r10","pages":1},
    {"op":"touch","task":"t1","region":"r9"},
    {"op":"touch","task":"t2","region":"r9"}])"),
            "");
}

// What the fuzzer has found, and was mended.
TEST(Trial, APageThatAnotherCorePunchesOutOfAFileIsNotMapped) {
  Program program = program_of(R"([
    {"op":"spawn","task":"t1"},
    {"op":"mmap","task":"t1","region":"r1","size":4096,"shared":true,"file":"f0","in_memory":true},
    {"op":"mprotect","task":"t1","region":"r1","prot":"none"},
    {"op":"mremap","task":"t1","region":"r1","new_size":4096,"new_region":"r2"},
    {"op":"mmap","task":"t1","region":"r3","size":24576,"locked":true},
    {"op":"clone","task":"t1","child":"t2"},
    {"op":"clone","task":"t1","child":"t3"},
    {"op":"mmap","task":"t3","region":"r6","size":4096},
    {"op":"migrate","task":"t1","core":1},
    {"op":"mmap","task":"t2","region":"r8","size":4096,"file":"f0","in_memory":true},
    {"op":"fragment","percent":1},
    {"op":"touch","task":"t2","region":"r8"},
    {"op":"punch_hole","task":"t3","region":"r2"},
    {"op":"touch","task":"t3","region":"r3","access":"execute","refused":true},
    {"op":"touch","task":"t1","region":"r2","refused":true},
    {"op":"mprotect","task":"t1","region":"r3","prot":"none"},
    {"op":"spawn","task":"t5"},
    {"op":"vfork","task":"t1","child":"t6"},
    {"op":"exit","task":"t2"},
    {"op":"exit","task":"t3"},
    {"op":"exit","task":"t6"},
    {"op":"exit","task":"t1"}])",
                               4, true);
  EXPECT_EQ(failures(try_program(program, place_of("hypervisor+lazy,reserve,block", "cortex-a76"),
                                 Machine{})),
            "");
}

TEST(Trial, ATlbiReachesARunWhosePageSizeIsNew) {
  EXPECT_EQ(
      failures(try_program(program_of(R"([
    {"op":"spawn","task":"t1"},
    {"op":"mmap","task":"t1","region":"r7","size":4096},
    {"op":"touch","task":"t1","region":"r7"},
    {"op":"clone","task":"t1","child":"t2"},
    {"op":"vmalloc","region":"r13","pages":510},
    {"op":"vfree","region":"r13"},
    {"op":"exec","task":"t1"},
    {"op":"clone","task":"t1","child":"t3"},
    {"op":"brk","task":"t3","region":"r18","size":1937408},
    {"op":"touch","task":"t3","region":"r18","access":"write"},
    {"op":"exit","task":"t3"},
    {"op":"fork","task":"t1","child":"t4"}])"),
                           place_of("kpkeys-poe+mte+entry,slab,block", "neoverse-v2"), Machine{})),
      "");
}

TEST(Trial, AHugeZeroPageThatNobodyMayReadIsSplitIntoPagesThatNobodyMayRead) {
  EXPECT_EQ(failures(try_program(program_of(R"([
    {"op":"spawn","task":"t1"},
    {"op":"mmap","task":"t1","region":"r1","size":2097152,"prot":"rx","locked":true},
    {"op":"mprotect","task":"t1","region":"r1","prot":"none"},
    {"op":"munlock","task":"t1","region":"r1","size":4096},
    {"op":"touch","task":"t1","region":"r1","refused":true}])"),
                                 place_of("none,buddy,pte", "cortex-x4"), Machine{})),
            "");
}

// The descriptor is there; that its store is published comes a moment later.
TEST(Trial, AWalkMayFindWhatAnotherCoreIsAboutToPublish) {
  Place place = place_of("rodata-toggle+entry,ppa,pte", "neoverse-v2");
  place.leaves_open = true;
  EXPECT_EQ(failures(try_program(program_of(R"([
    {"op":"spawn","task":"t2"},
    {"op":"clone","task":"t2","child":"t3"},
    {"op":"clone","task":"t2","child":"t4"},
    {"op":"brk","task":"t4","region":"r5","size":36864},
    {"op":"touch","task":"t2","region":"r5","access":"execute","refused":true},
    {"op":"touch","task":"t3","region":"r5"}])",
                                            4, true),
                                 place, Machine{})),
            "");
}

constexpr const char* kPurgesAtOnce = R"([
  {"op":"spawn","task":"t1"},
  {"op":"vfork","task":"t1","child":"t2"},
  {"op":"vmalloc","region":"r5","pages":1,"write":true},
  {"op":"fork","task":"t2","child":"t3"},
  {"op":"vfree","region":"r5"},
  {"op":"clone","task":"t2","child":"t6"},
  {"op":"hugepages","size":16384,"enabled":"never"},
  {"op":"vm_unmap_aliases"},
  {"op":"mmap","task":"t6","region":"r9","size":4096},
  {"op":"vmalloc","region":"r8","pages":1},
  {"op":"idle"},
  {"op":"syscall","task":"t6","call":"null"}])";

TEST(Trial, AnotherCoreThatPurgesIsNotStale) {
  EXPECT_EQ(on_two_cores("none,buddy,block", "cortex-a55", kPurgesAtOnce), "");
  EXPECT_EQ(on_two_cores("hypervisor+lock,buddy,contpte", "neoverse-v1", R"([
    {"op":"spawn","task":"t1"},
    {"op":"vmalloc","region":"r4","pages":1,"write":true},
    {"op":"vfree","region":"r4"},
    {"op":"fragment","percent":1},
    {"op":"syscall","task":"t1","call":"null"},
    {"op":"vm_unmap_aliases"},
    {"op":"syscall","task":"t1","call":"null"}])"),
            "");
}

TEST(Trial, APurgeWithoutItsFlushIsFoundOnCoresThatRunAtOnce) {
  const Machine machine{1ull << 30, {kernel::parse_injection("skip:tlbi.vmalloc-purge")}};
  EXPECT_NE(on_two_cores("none,buddy,block", "cortex-a55", kPurgesAtOnce, machine)
                .find("stale-entry: a translation is stale at the return to EL0"),
            std::string::npos);
}

// `hugepages` runs when everything before it has ended; the child has not.
TEST(Trial, AParentStandsStillInVforkWhateverRunsAlone) {
  EXPECT_EQ(on_two_cores("kpkeys-poe,per-page,pte", "cortex-x4", R"([
    {"op":"spawn","task":"t1"},
    {"op":"vfork","task":"t1","child":"t2"},
    {"op":"hugepages","size":16384,"enabled":"never"},
    {"op":"fork","task":"t2","child":"t3"},
    {"op":"mmap","task":"t2","region":"r1","size":4096},
    {"op":"mremap","task":"t2","region":"r1","new_size":4096,"new_region":"r4"},
    {"op":"exit","task":"t2"},
    {"op":"fork","task":"t1","child":"t4"},
    {"op":"syscall","task":"t4","call":"write","size":8,"region":"r4"}])"),
            "");
}

// An interrupt while a program is started comes from the kernel, whose window it closes.
TEST(Trial, ACoreThatStartsAProgramIsInTheKernel) {
  EXPECT_EQ(on_two_cores("kpkeys-poe+mte+entry,reserve,pte", "cortex-x4", R"([
    {"op":"spawn","task":"t1"},
    {"op":"fork","task":"t1","child":"t2"},
    {"op":"clone","task":"t1","child":"t3"},
    {"op":"fragment","percent":1},
    {"op":"spawn","task":"t4"},
    {"op":"migrate","task":"t3","core":0}])"),
            "");
}

TEST(Trial, APageOfAFileThatIsReclaimedIsFreedBehindItsFlush) {
  const Program program = program_of(R"([
    {"op":"spawn","task":"t"},
    {"op":"mmap","task":"t","region":"r","size":4096,"file":"f"},
    {"op":"touch","task":"t","region":"r","access":"read"},
    {"op":"madvise","task":"t","region":"r","advice":"pageout"}])");
  for (const char* core : {"neoverse-v1", "sapphire-rapids"}) {
    EXPECT_EQ(failures(try_program(program, place_of("none,buddy,pte", core), {})), "");
  }
}

TEST(Trial, AProgramThatDoesMoreThanItMayIsEnded) {
  const Program program = program_of(R"([
    {"op":"spawn","task":"t"},
    {"op":"mmap","task":"t","region":"r","size":8388608,"huge":"never"},
    {"op":"touch","task":"t","region":"r","access":"write"}])");
  const Place place = place_of("none,buddy,pte");
  const Outcome whole = try_program(program, place, {});
  EXPECT_EQ(failures(whole), "");
  EXPECT_GT(whole.events, 2000u);
  for (const bool interleave : {false, true}) {
    Program same = program;
    same.interleave = interleave;
    const Outcome cut = try_program(same, place, {}, {.most_events = 1000});
    EXPECT_EQ(failures(cut), "does not end: more than # events\n");
    EXPECT_LT(cut.events, 1100u);
  }
}

TEST(Trial, WhatIsNoWorkloadSaysWhy) {
  const Program program = program_of(R"([{"op":"touch","task":"t","region":"r"}])");
  const Outcome outcome = try_program(program, place_of("none,buddy,pte"), {});
  ASSERT_EQ(outcome.failures.size(), 1u);
  EXPECT_TRUE(outcome.failures[0].kind.starts_with(kNoWorkload));
  EXPECT_NE(outcome.failures[0].text.find("/phases/0/ops/0"), std::string::npos)
      << outcome.failures[0].text;
  EXPECT_FALSE(is_workload(program));
}

}  // namespace
}  // namespace kpksim::fuzz
