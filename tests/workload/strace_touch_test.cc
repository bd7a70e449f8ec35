// Claims about what strace cannot show (touches, images, turns), and that the shipped recordings
// run.

#include "sim/workload/driver.h"
#include "tests/kernel/fixture.h"
#include "tests/paths.h"
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
  EXPECT_EQ(w.assumptions.size(), 11u);
  EXPECT_NE(w.assumptions[1].find("1. of a program's own text 68 %"), std::string::npos);
  EXPECT_NE(w.assumptions[6].find("6. and with each call 80 %"), std::string::npos);
}

TEST_F(Strace, FilesAreReadByAreasAndTheirDataIsReadThenWritten) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.used_percent = 50;
  EXPECT_EQ(
      ops("5 open(\"/a\", O_RDONLY) = 3\n"
          "5 mmap(NULL, 262144, PROT_READ|PROT_EXEC, MAP_PRIVATE, 3, 0) = 0x7f0000000000\n"
          "5 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE, 3, 0) = 0x7f1000000000\n"
          "5 write(1, \"\", 1) = 1\n",
          rule),
      (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x40000 rx file 1",
             "mmap 5 0x7f1000000000+0x2000 rw file 1", "read 5 0x7f0000000000+0x40000 by 0x20000",
             "read 5 0x7f1000001000+0x1000 by 0x1000", "write 5 0x7f1000000000+0x2000 by 0x1000"}));
}

TEST_F(Strace, WhatALoaderCutsOffAgainIsNotTouched) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.used_percent = 100;
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
  rule.touch = true;
  rule.open_kb = 32;
  const auto chunk = [](const char* at) {
    return fmt::format(
        "5 mmap(NULL, 1048576, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, "
        "0) = {}\n5 write(1, \"\", 1) = 1\n",
        at);
  };
  EXPECT_EQ(ops(chunk("0x7f0000000000") + chunk("0x7f1000000000"), rule),
            (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x100000 rw",
                   "write 5 0x7f0000000000+0x8000 by 0x1000", "mmap 5 0x7f1000000000+0x100000 rw",
                   "write 5 0x7f0000008000+0xf8000 by 0x1000",
                   "write 5 0x7f1000000000+0x8000 by 0x1000"}));
}

TEST_F(Strace, ALargerMappingIsThePlaceOfAnOutgrownTable) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.own_percent = 50;
  const auto chunk = [](const char* bytes, const char* at) {
    return fmt::format(
        "5 mmap(NULL, {}, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = {}\n"
        "5 write(1, \"\", 1) = 1\n",
        bytes, at);
  };
  // A smaller one says nothing of the first.
  const Texts all = ops(chunk("262144", "0x7f0000000000") + chunk("131072", "0x7f1000000000") +
                            chunk("524288", "0x7f2000000000"),
                        rule);
  EXPECT_EQ(Texts(all.end() - 3, all.end()),
            (Texts{"write 5 0x7f1000000000+0x20000 by 0x1000", "mmap 5 0x7f2000000000+0x80000 rw",
                   "write 5 0x7f0000000000+0x20000 by 0x1000"}));
}

TEST_F(Strace, DataThatIsReadIntoALargeMappingIsAllThatIsWrittenThere) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.own_percent = 100;
  const Texts all = ops(
      "5 mmap(NULL, 262144, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
      "0x7f0000000000\n5 read(3, \"\"..., 262144) = 5000\n5 munmap(0x7f0000000000, 262144) = 0\n",
      rule);
  EXPECT_EQ(std::count_if(all.begin(), all.end(),
                          [](const std::string& t) { return t.starts_with("write"); }),
            2);
  EXPECT_EQ(all.at(3), "write 5 0x7f0000000000+0x2000 by 0x1000");
}

// 33 pages are what a small request lets the heap grow by; 40 are for a large one.
TEST_F(Strace, AHeapThatGrowsBySmallRequestsIsUsedUp) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.used_percent = 50;
  const std::string start = "5 brk(NULL) = 0x1000000\n5 brk(0x1021000) = 0x1021000\n";
  const Texts small = ops(start + "5 brk(0x1042000) = 0x1042000\n5 exit_group(0) = ?\n", rule);
  EXPECT_EQ(Texts(small.end() - 3, small.end()),
            (Texts{"write 5 0x1000000+0x21000 by 0x1000",
                   "write 5 0x1021000+0x11000 by 0x1000",  // of the newest piece half
                   "exit 5"}));
  const Texts large = ops(start + "5 brk(0x1049000) = 0x1049000\n5 exit_group(0) = ?\n", rule);
  EXPECT_EQ(Texts(large.end() - 4, large.end()),
            (Texts{"write 5 0x1000000+0x11000 by 0x1000",
                   "write 5 0x1021000+0x7000 by 0x1000",  // what the request was for
                   "write 5 0x1028000+0x11000 by 0x1000", "exit 5"}));
}

// The first piece is for its thread-local data; malloc's has not been outgrown.
TEST_F(Strace, AStaticProgramsFirstPieceOfHeapIsNotMallocs) {
  TouchRule rule = silent();
  rule.touch = true;
  const Texts all =
      ops("5 brk(NULL) = 0x1000000\n5 brk(0x1000b28) = 0x1000b28\n5 brk(0x1021b28) = 0x1021b28\n"
          "5 brk(0x1022000) = 0x1022000\n5 exit_group(0) = ?\n",
          rule);
  EXPECT_EQ(Texts(all.end() - 2, all.end()),
            (Texts{"write 5 0x1000000+0x1000 by 0x1000", "exit 5"}));
}

TEST_F(Strace, WhatIsGivenBackHadBeenUsed) {
  TouchRule rule = silent();
  rule.touch = true;
  const Texts all = ops("5 " + kMmap + "5 madvise(0x7f0000000000, 8192, MADV_DONTNEED) = 0\n" +
                            "5 madvise(0x7f0000001000, 4096, MADV_DONTNEED) = 0\n",
                        rule);
  EXPECT_EQ(Texts(all.end() - 3, all.end()), (Texts{"madvise 5 0x7f0000000000+0x2000 dontneed",
                                                    "write 5 0x7f0000001000+0x1000 by 0x1000",
                                                    "madvise 5 0x7f0000001000+0x1000 dontneed"}));
}

TEST_F(Strace, OfAThreadsStackThatIsGivenBackLittleHadBeenUsed) {
  TouchRule rule = silent();
  rule.touch = true;
  const Texts all =
      ops("5 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_STACK, -1, 0) = "
          "0x7f0000000000\n5 madvise(0x7f0000000000, 8192, MADV_DONTNEED) = 0\n",
          rule);
  EXPECT_EQ(all, (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x2000 rw",
                        "madvise 5 0x7f0000000000+0x2000 dontneed"}));
}

// Eight pages.
const std::string kMap8 =
    "5 mmap(NULL, 32768, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
    "0x7f0000000000\n";

TEST_F(Strace, AForkIsFollowedByWritesToTheLastPagesOfBoth) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.fork_pages = 1;
  rule.store_pages = 1;
  const std::string in = "5 read(0, \"\", 9) = 9\n", exec = "6 execve(\"/x\", [], 0x1) = 0\n";
  EXPECT_EQ(ops(kMap8 + in + "5 fork() = 6\n" + exec + in, rule),
            (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x8000 rw",
                   "write 5 0x7f0000000000+0x8000 by 0x1000", "fork 5 6",
                   "write 5 0x7f0000007000+0x1000 by 0x1000",
                   "write 6 0x7f0000007000+0x1000 by 0x1000", "exec 6"}));
  EXPECT_EQ(ops(kMap8 + "5 fork() = 6\n" + in, rule).size(), 7u);  // the copy lives
  rule.fork_pages = 100;  // at most a quarter of what was written
  EXPECT_EQ(ops(kMap8 + in + "5 fork() = 6\n" + exec + in, rule).size(), 9u);
}

TEST_F(Strace, AForkedChildReadsAThirdOfTheTextAgain) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.used_percent = 100;
  rule.fork_pages = 100;
  const Texts all =
      ops("5 mmap(NULL, 589824, PROT_READ|PROT_EXEC, MAP_PRIVATE, 3, 0) = 0x7f0000000000\n"
          "5 fork() = 6\n",
          rule);
  EXPECT_EQ(
      Texts(all.end() - 4, all.end()),
      (Texts{"fork 5 6", "read 6 0x7f0000080000+0x1000 by 0x1000",
             "read 6 0x7f0000070000+0x1000 by 0x1000", "read 6 0x7f0000060000+0x1000 by 0x1000"}));
}

TEST_F(Strace, AChildThatEndsByItselfTouchesMoreThanOneThatExecutesAnother) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.fork_pages = 1;
  const Texts all = ops(kMap8 + "5 fork() = 6\n6 exit_group(0) = ?\n5 exit_group(0) = ?\n", rule);
  EXPECT_EQ(Texts(all.end() - 4, all.end()),
            (Texts{"write 6 0x7f0000007000+0x1000 by 0x1000",
                   "write 6 0x7f0000006000+0x1000 by 0x1000", "exit 6", "exit 5"}));
}

TEST_F(Strace, WhoMakesCallsAfterAForkTouchesMore) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.fork_call_percent = 50;
  const std::string call = "6 getpid() = 6\n";
  const Texts before = ops("5 " + kMmap + "5 fork() = 6\n" + call, rule);
  Texts after = ops("5 " + kMmap + "5 fork() = 6\n" + call + call, rule);
  ASSERT_EQ(after.size(), before.size() + 1);
  EXPECT_EQ(after.back(), "write 6 0x7f0000001000+0x1000 by 0x1000");
}

// free() of the last block of a program that frees all it has.
TEST_F(Strace, AChildThatFreesItsMemoryAtItsEndWalksOverIt) {
  TouchRule rule = silent();
  rule.touch = true;
  const std::string second =
      "5 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
      "0x7f1000000000\n";
  const std::string start = "5 " + kMmap + second + "5 fork() = 6\n";
  const Texts freed =
      ops(start + "6 munmap(0x7f1000000000, 4096) = 0\n6 exit_group(0) = ?\n", rule);
  EXPECT_EQ(Texts(freed.end() - 4, freed.end()),
            (Texts{"write 6 0x7f1000000000+0x1000 by 0x1000", "munmap 6 0x7f1000000000+0x1000",
                   "write 6 0x7f0000000000+0x2000 by 0x1000", "exit 6"}));
  const Texts left = ops(start + "6 getpid() = 6\n6 exit_group(0) = ?\n", rule);
  EXPECT_EQ(left.back(), "exit 6");
  EXPECT_FALSE(left.at(left.size() - 2).starts_with("write 6"));
}

TEST_F(Strace, AThreadWritesTheTopOfItsStack) {
  TouchRule rule = silent();
  rule.thread_pages = 2;
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

// --- What execve maps ---

// A position-independent program of Debian's for arm64, as its calls show it.
const std::string kStart =
    "5 execve(\"/bin/x\", [], 0x1) = 0\n"
    "5 brk(NULL) = 0xaaaafe6aa000\n"
    "5 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0xffffb3d88000\n"
    "5 mprotect(0xaaaada3bb000, 20480, PROT_READ) = 0\n"
    "5 mprotect(0xffffb3d8e000, 8192, PROT_READ) = 0\n"
    "5 newfstatat(3, \"\", 0xfffff5e36418, 0) = 0\n";

Texts segments(const Workload& workload) {
  Texts out;
  for (const kernel::Vma& vma : workload.images.at(0).segments) {
    out.push_back(fmt::format("{:#x}+{:#x} {}{}", vma.start, vma.length(), vma.exec ? "x" : "",
                              vma.file ? fmt::format("file {}", vma.file_id) : "zero"));
  }
  return out;
}

TEST_F(Strace, WhatExecveMapsHasItsSizeFromAProgramLineAndItsPlaceFromLaterCalls) {
  const Workload w = read("# program \"/bin/x\" text=1251016 data=51388 zero=45140\n" + kStart);
  ASSERT_EQ(w.images.size(), 1u);
  EXPECT_EQ(segments(w), (Texts{"0xaaaada280000+0x132000 xfile 1", "0xaaaada3bb000+0xe000 file 1",
                                "0xaaaada3c9000+0xb000 zero", "0xffffb3d50000+0x27000 xfile 2",
                                "0xffffb3d8e000+0x4000 file 2"}));
  EXPECT_EQ(w.images[0].heap, 0xaaaafe6aa000u);
  EXPECT_EQ(w.images[0].vdso, 0xffffb3d8c000u);
  EXPECT_EQ(w.images[0].stack_top, 0xfffff5e39000u);
}

TEST_F(Strace, AProgramWithoutALineHasTheAssumedSize) {
  TouchRule rule = silent();
  rule.image_text_kb = 64;
  EXPECT_EQ(segments(read(kStart, rule)).front(), "0xaaaada3a0000+0x10000 xfile 1");
  EXPECT_TRUE(read(kStart).images.empty());  // no size at all: nothing is known
}

TEST_F(Strace, AProgramAtAFixedAddressBeginsThere) {
  std::string text = "# program \"/bin/x\" text=1264282 data=18744 zero=18344\n" + kStart;
  text.replace(text.find("0xaaaada3bb000"), 14, "0x54c000");
  EXPECT_EQ(segments(read(text)).front(), "0x400000+0x135000 xfile 1");
}

// The linker looks into data before it relocates them, and a program at a fixed address reads
// first.
TEST_F(Strace, AStaticProgramWritesItsDataWithoutLookingFirst) {
  TouchRule rule = silent();
  rule.touch = true;
  rule.used_percent = 100;
  std::string fixed =
      "# program \"/bin/x\" text=1264282 data=18744 zero=81920\n" + kStart + "5 getpid() = 5\n";
  fixed.replace(fixed.find("0xaaaada3bb000"), 14, "0x54c000");
  std::string alone = fixed;
  alone.erase(alone.find("5 mprotect(0xffff"),
              alone.find("5 newfstatat") - alone.find("5 mprotect(0xffff"));
  const auto reads = [&](const std::string& text) {
    Texts out;
    for (const std::string& op : ops(text, rule)) {
      if (op.starts_with("read 5 0x5")) out.push_back(op);
    }
    return out;
  };
  // Of zeroed memory the first page and one in five.
  const Texts zero = {"read 5 0x552000+0x1000 by 0x1000", "read 5 0x556000+0x10000 by 0x5000"};
  EXPECT_EQ(reads(alone), zero);
  EXPECT_EQ(reads(fixed).size(), 3u);
}

TEST_F(Strace, AnExecOfWhichNothingIsSeenIsCounted) {
  const Workload w = read(
      "# program \"/bin/x\" text=9 data=9 zero=9\n"
      "5 execve(\"/bin/x\", [], 0x1) = 0\n5 mremap(0x7f, 1, 2, 0) = -1 EINVAL (Invalid "
      "argument)\n");
  EXPECT_TRUE(w.images.empty());
  ASSERT_EQ(w.not_understood.size(), 1u);
  EXPECT_EQ(w.not_understood[0].first, "execve of which no later call shows the place");
}

TEST_F(Strace, SizesOfProgramsComeFromAFileToo) {
  const std::string sizes = path_.string() + ".sizes";
  std::ofstream(sizes) << "# program \"/usr/bin/x\" text=65536 data=4096 zero=0\n";
  std::ofstream(path_, std::ios::binary) << kStart;
  // /bin and /usr/bin are the same.
  EXPECT_EQ(segments(read_strace(path_.string(), silent(), {sizes})).front(),
            "0xaaaada3a0000+0x10000 xfile 1");
  std::ofstream(sizes) << "# program \"/usr/bin/x\" text=65536\n";
  try {
    read_strace(path_.string(), silent(), {sizes});
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find(".sizes:1: expected a line like"), std::string::npos)
        << error.what();
  }
  std::filesystem::remove(sizes);
}

// A program's image is used as far as the rule says, and what becomes read-only is written before.
TEST_F(Strace, TheRealRuleLeavesNoTouchOutsideOfTheMappings) {
  const Workload w = read("# program \"/bin/x\" text=1251016 data=51388 zero=45140\n" + kStart +
                              "5 exit_group(0) = ?\n",
                          TouchRule{});
  kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), keyed());
  Driver driver(kernel);
  const auto result = driver.run(w);
  EXPECT_EQ(driver.ignored(), 0u);
  EXPECT_EQ(kernel.segv_count(), 0u);
  EXPECT_EQ(result[0].audit.stale_leaves, 0u);
  // 14 pages of data, of which 5 share the window that the linker looks into first, and two of
  // three of the linker's own (its last page is written before): each of these is copied.
  EXPECT_GE(result[0].cores[0].total(cpu::Event::kFaultPermission), 5u + 2u);
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
  const Workload w = read_strace(kpksim::test::source_path("traces/") + GetParam());
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
       std::filesystem::directory_iterator(kpksim::test::source_path("traces"))) {
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
