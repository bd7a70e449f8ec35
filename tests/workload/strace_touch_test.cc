// Claims about what strace cannot show (touches, images, turns), and that the shipped recordings
// run.

#include "sim/workload/driver.h"
#include "tests/kernel/fixture.h"
#include "tests/workload/strace_fixture.h"

namespace kpksim::workload {
namespace {

kernel::Config keyed() {
  kernel::Config config =
      kernel::config("kpkeys-poe", false, "per-page", kernel::Granularity::kPte);
  config.memory_bytes = 2ull << 30;
  return config;
}

// --- The touching rule ---

// The rule in words, and one part of it at a time.
TEST_F(Strace, TheRuleIsAmongTheAssumptions) {
  const Workload w = read("5 getpid() = 5\n", TouchRule{});
  EXPECT_EQ(w.assumptions.size(), 8u);
  EXPECT_NE(w.assumptions[1].find("50 % (executable) and 25 % (other)"), std::string::npos);
}

TEST_F(Strace, FilesAreReadByAreasAndTheirDataIsReadThenWritten) {
  TouchRule rule = silent();
  rule.text_percent = 50;
  rule.data_percent = 100;
  EXPECT_EQ(
      ops("5 open(\"/a\", O_RDONLY) = 3\n"
          "5 mmap(NULL, 262144, PROT_READ|PROT_EXEC, MAP_PRIVATE, 3, 0) = 0x7f0000000000\n"
          "5 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE, 3, 0) = 0x7f1000000000\n"
          "5 write(1, \"\", 1) = 1\n",
          rule),
      (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x40000 rx file 1",
             "mmap 5 0x7f1000000000+0x2000 rw file 1", "read 5 0x7f0000000000+0x40000 by 0x20000",
             "read 5 0x7f1000000000+0x2000 by 0x10000",
             "write 5 0x7f1000000000+0x2000 by 0x1000"}));
}

TEST_F(Strace, WhatALoaderCutsOffAgainIsNotTouched) {
  TouchRule rule = silent();
  rule.text_percent = 100;
  EXPECT_EQ(ops("5 open(\"/a\", O_RDONLY) = 3\n"
                "5 mmap(NULL, 131072, PROT_READ|PROT_EXEC, MAP_PRIVATE, 3, 0) = 0x7f0000000000\n"
                "5 mprotect(0x7f0000010000, 4096, PROT_NONE) = 0\n"
                "5 munmap(0x7f0000011000, 61440) = 0\n5 close(3) = 0\n5 brk(NULL) = 0x1000\n",
                rule)
                .back(),
            "read 5 0x7f0000000000+0x10000 by 0x10000");
}

TEST_F(Strace, ALargeMappingFillsWhenTheProgramAsksForMore) {
  TouchRule rule = silent();
  rule.open_kb = 64;
  const auto chunk = [](const char* at) {
    return fmt::format(
        "5 mmap(NULL, 1048576, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, "
        "0) = {}\n5 write(1, \"\", 1) = 1\n",
        at);
  };
  EXPECT_EQ(ops(chunk("0x7f0000000000") + chunk("0x7f1000000000"), rule),
            (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x100000 rw",
                   "write 5 0x7f0000000000+0x10000 by 0x1000", "mmap 5 0x7f1000000000+0x100000 rw",
                   "write 5 0x7f0000010000+0xf0000 by 0x1000",
                   "write 5 0x7f1000000000+0x10000 by 0x1000"}));
}

TEST_F(Strace, AForkIsFollowedByWritesToTheLastPagesOfBoth) {
  TouchRule rule = silent();
  rule.small_percent = 100;
  rule.fork_pages = 1;
  rule.store_pages = 1;
  const std::string in = "5 read(0, \"\", 9) = 9\n";
  EXPECT_EQ(ops("5 " + kMmap + in + "5 fork() = 6\n6 exit_group(0) = ?\n" + in, rule),
            (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x2000 rw",
                   "write 5 0x7f0000000000+0x2000 by 0x1000", "fork 5 6",
                   "write 5 0x7f0000001000+0x1000 by 0x1000",
                   "write 6 0x7f0000001000+0x1000 by 0x1000", "exit 6"}));
  EXPECT_EQ(ops("5 " + kMmap + "5 fork() = 6\n" + in, rule).size(), 7u);  // the copy lives
}

TEST_F(Strace, AThreadWritesTheTopOfItsStack) {
  TouchRule rule = silent();
  rule.stack_pages = 2;
  EXPECT_EQ(ops("5 mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_STACK, -1, 0) = "
                "0x7f0000000000\n"
                "5 mprotect(0x7f0000001000, 61440, PROT_READ|PROT_WRITE) = 0\n"
                "5 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f0000000000, stack_size=0xf480}, "
                "88) = 6\n",
                rule)
                .back(),
            "write 6 0x7f000000e000+0x2000 by 0x1000");
}

TEST_F(Strace, HugePagesAreTheKernelsUnlessSwitchedOff) {
  TouchRule rule = silent();
  const std::string large =
      "5 mmap(NULL, 2097152, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n";
  EXPECT_EQ(ops(large, rule).back(), "mmap 5 0x7f0000000000+0x200000 r");
  EXPECT_EQ(
      ops("5 prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) = 0\n5 execve(\"/x\", [], 0x1) = 0\n" + large,
          rule)
          .back(),
      "mmap 5 0x7f0000000000+0x200000 r small pages");
  rule.huge_pages = false;
  EXPECT_EQ(ops(large, rule).back(), "mmap 5 0x7f0000000000+0x200000 r small pages");
}

// What the reader says of huge pages reaches the kernel: 512 faults, or one.
TEST(HugePages, OfAMappingWithoutThem_AreNotUsed) {
  const auto faults = [](Advice advice) {
    Workload w;
    w.phases.push_back({"p", std::vector<Step>(3)});
    std::vector<Step>& steps = w.phases[0].steps;
    for (Step& step : steps) step.op.task = 1;
    steps[0].op.kind = OpKind::kSpawn;
    steps[1].op.kind = OpKind::kMmap;
    steps[1].op.prot = kProtRead | kProtWrite;
    steps[1].op.advice = advice;
    steps[2].op.kind = OpKind::kTouch;
    steps[2].op.write = true;
    for (const std::size_t i : {1u, 2u}) {
      steps[i].op.address = 0x7f0000000000;
      steps[i].op.length = kPmdSize;
    }
    kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), keyed());
    const auto result = Driver(kernel).run(w);
    return result[0].cores[0].total(cpu::Event::kFaultTranslation);
  };
  EXPECT_EQ(faults(Advice::kNoHugepage), 512u);
  EXPECT_EQ(faults(Advice::kOther), 1u);
}

TEST_F(Strace, WhatExecveMapsIsAssumedOrTakenFromAProgramLine) {
  TouchRule rule = silent();
  rule.image_text_kb = 64;
  const std::string run = "5 execve(\"/bin/x\", [], 0x1) = 0\n5 brk(NULL) = 0x80000000\n";
  EXPECT_EQ(ops(run, rule).at(2), "mmap 5 0x7ff90000+0x40000 rx file 1");
  EXPECT_EQ(ops("# program \"/bin/x\" text=655360 data=5 zero=5\n" + run, rule).at(2),
            "mmap 5 0x7ff00000+0xd0000 rx file 1");
}

TEST_F(Strace, ATurnTakesCallsOfATaskTogetherUpToAFork) {
  TouchRule rule = silent();
  rule.turn_calls = 3;
  const auto tasks = [&](const std::string& text) {
    std::string out;
    const Workload workload = read(text, rule);
    for (const Step& step : workload.phases[0].steps) {
      if (step.op.kind == OpKind::kSyscall) out += std::to_string(step.op.task);
      if (step.op.kind == OpKind::kFork) out += "f";
    }
    return out;
  };
  std::string text = "5 fork() = 6\n";
  for (int i = 0; i < 3; ++i) text += "5 getpid() = 5\n6 getpid() = 6\n";
  EXPECT_EQ(tasks(text), "f555666");
  EXPECT_EQ(tasks(text + "6 fork() = 7\n5 getpid() = 5\n"), "f666f5555");
}

// --- The shipped recordings ---

TEST_F(Strace, TheMemoryOfAGroupLivesUntilItsLastThreadEnds) {
  const Workload w = read("5 " + kMmap +
                              "5 clone(child_stack=0, flags=CLONE_VM|CLONE_THREAD) = 6\n"
                              "5 exit(0) = ?\n5 +++ exited with 0 +++\n"
                              "6 mprotect(0x7f0000000000, 8192, PROT_READ) = 0\n"
                              "6 munmap(0x7f0000000000, 8192) = 0\n6 exit_group(0) = ?\n",
                          TouchRule{});
  kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), keyed());
  Driver driver(kernel);
  driver.run(w);
  EXPECT_EQ(driver.ignored(), 0u);
  // Only the tables of the kernel stacks' addresses are left.
  EXPECT_LE(kernel.system().allocator->statistics().live, 4u);
}

class Recording : public testing::TestWithParam<std::string> {};

TEST_P(Recording, IsUnderstoodAndRuns) {
  const Workload w = read_strace(std::string(KPKSIM_SOURCE_DIR) + "/traces/" + GetParam());
  const std::size_t steps = w.phases[0].steps.size();
  EXPECT_GT(steps, 30000u);
  std::uint64_t bad = 0;
  for (const auto& [kind, n] : w.not_understood) bad += n;
  EXPECT_LE(bad, steps / 1000);
  kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), keyed());
  Driver driver(kernel);
  const auto result = driver.run(w);
  // Left over: the read-only tables that each program and its linker protect in the image that
  // only execve maps.
  EXPECT_LE(driver.ignored(), steps / 200);
  EXPECT_EQ(result[0].audit.stale_leaves, 0u);
  EXPECT_EQ(result[0].audit.stale_tables, 0u);
  EXPECT_GT(result[0].cores[0].total(cpu::Event::kMsrPor), 100000u);
}

std::vector<std::string> recordings() {
  std::vector<std::string> names;
  for (const auto& file :
       std::filesystem::directory_iterator(std::string(KPKSIM_SOURCE_DIR) + "/traces")) {
    if (file.path().extension() == ".zst") names.push_back(file.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Shipped, Recording, testing::ValuesIn(recordings()),
                         [](const auto& of) { return of.param.substr(0, of.param.find('.')); });

TEST(Recordings, ThreeAreShipped) { EXPECT_GE(recordings().size(), 3u); }

}  // namespace
}  // namespace kpksim::workload
