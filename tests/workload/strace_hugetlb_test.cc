// Mappings of reserved huge pages in recordings and in workload files.

#include "sim/workload/strace_hugetlb.h"

#include <gtest/gtest.h>

#include <fstream>

#include "sim/base/error.h"
#include "sim/mmu/walker.h"
#include "sim/workload/json.h"
#include "tests/scratch.h"
#include "tests/workload/reported.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kGb = 1ull << 30;

TEST(HugetlbFlag, SaysTheSizeInEachOfItsSpellings) {
  EXPECT_EQ(hugetlb_flag("MAP_PRIVATE|MAP_ANONYMOUS", "MAP"), 0u);
  EXPECT_EQ(hugetlb_flag("MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB", "MAP"), 2ull << 20);
  EXPECT_EQ(hugetlb_flag("MAP_PRIVATE|MAP_HUGETLB|30<<MAP_HUGE_SHIFT", "MAP"), kGb);
  EXPECT_EQ(hugetlb_flag("MAP_HUGETLB|16<<MAP_HUGE_SHIFT|MAP_SHARED", "MAP"), 64ull << 10);
  EXPECT_EQ(hugetlb_flag("MAP_HUGETLB|MAP_HUGE_1GB", "MAP"), kGb);
  EXPECT_EQ(hugetlb_flag("MAP_HUGETLB|MAP_HUGE_32MB", "MAP"), 32ull << 20);
  EXPECT_EQ(hugetlb_flag("MFD_CLOEXEC|MFD_HUGETLB|21<<MFD_HUGE_SHIFT", "MFD"), 2ull << 20);
  EXPECT_EQ(hugetlb_flag("IPC_CREAT|SHM_HUGETLB|25<<SHM_HUGE_SHIFT|0600", "SHM"), 32ull << 20);
  EXPECT_EQ(hugetlb_flag("MFD_CLOEXEC|21<<MFD_HUGE_SHIFT", "MFD"), 0u);
}

// A recording of these lines, and the kernel it ran on.
struct Recorded {
  explicit Recorded(const std::string& lines) {
    const std::string path = test::scratch_file("hugetlb.strace");
    std::ofstream(path) << lines;
    workload = read_strace(path);
    run = run_recording(path);
  }
  const Operation* first(OpKind kind) const {
    for (const Phase& phase : workload.phases) {
      for (const Step& step : phase.steps) {
        if (step.op.kind == kind) return &step.op;
      }
    }
    return nullptr;
  }
  Workload workload;
  Reported run;
};

TEST(StraceHugetlb, APopulatedGigabyteIsOneLeafThatNobodyFaultsFor) {
  const std::string path = kpksim::test::source_path("tests/reported/hugetlb-1g.strace");
  const Reported run = run_recording(path);
  EXPECT_EQ(run.error, "");
  EXPECT_TRUE(run.not_understood.empty());
  EXPECT_EQ(run("fault_translation"), 0u);
  EXPECT_EQ(run("fault_permission"), 0u);
  EXPECT_EQ(run("page_zero") / 262144, 1u);
  EXPECT_EQ(run("tlbi_vale1"), 1u);  // hugetlb_wp() makes the fresh page writable
}

// As the walker finds it, before the process ends.
TEST(StraceHugetlb, APopulatedGigabyteIsALeafOfLevelOne) {
  const Recorded r(
      "7 mmap(NULL, 1073741824, PROT_READ|PROT_WRITE, "
      "MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|MAP_POPULATE|30<<MAP_HUGE_SHIFT, -1, 0) = "
      "0x7f2240000000\n7 getpid() = 7\n");
  kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), reported_policy());
  Driver driver(kernel);
  driver.run(r.workload);
  const cpu::Core& core = kernel.system().machine.core(0);
  for (const std::uint64_t va : {0x7f2240000000ull, 0x7f2240000000ull + kGb - kPageSize}) {
    const mmu::WalkResult leaf =
        mmu::walk(kernel.system().machine.memory(), core.mmu().registers(), VirtAddr(va));
    ASSERT_FALSE(leaf.fault);
    EXPECT_EQ(leaf.level, 1u);
    EXPECT_EQ(leaf.page_bits, 30u);
  }
}

TEST(StraceHugetlb, AMemfdOfHugePagesGivesThemToItsMappings) {
  const Recorded r(
      "7 memfd_create(\"x\", MFD_CLOEXEC|MFD_HUGETLB|25<<MFD_HUGE_SHIFT) = 3\n"
      "7 ftruncate(3, 67108864) = 0\n7 dup(3) = 4\n"
      "7 mmap(NULL, 67108864, PROT_READ|PROT_WRITE, MAP_SHARED, 4, 0) = 0x7f2240000000\n"
      "7 munmap(0x7f2240000000, 67108864) = 0\n7 exit_group(0) = ?\n");
  ASSERT_NE(r.first(OpKind::kMmap), nullptr);
  EXPECT_EQ(r.first(OpKind::kMmap)->hugetlb, 32ull << 20);
  EXPECT_TRUE(r.first(OpKind::kMmap)->shared);
  EXPECT_EQ(r.run.error, "");
  EXPECT_LE(r.run("fault_translation"), 2u);
}

TEST(StraceHugetlb, ASegmentOfHugePagesGivesThemToItsMappings) {
  const Recorded r(
      "7 shmget(IPC_PRIVATE, 3145728, IPC_CREAT|SHM_HUGETLB|21<<SHM_HUGE_SHIFT|0600) = 5\n"
      "7 shmat(5, NULL, 0) = 0x7f2240000000\n7 shmdt(0x7f2240000000) = 0\n");
  ASSERT_NE(r.first(OpKind::kMmap), nullptr);
  EXPECT_EQ(r.first(OpKind::kMmap)->hugetlb, 2ull << 20);
  EXPECT_EQ(r.first(OpKind::kMmap)->length, 4ull << 20);
  EXPECT_EQ(r.first(OpKind::kMunmap)->length, 4ull << 20);
  EXPECT_EQ(r.run.error, "");
}

TEST(StraceHugetlb, AFileBelowAMountOfHugetlbfsHasTheMountsPages) {
  const std::string use =
      "7 openat(AT_FDCWD, \"/mnt/pool/a\", O_RDWR|O_CREAT, 0600) = 3\n"
      "7 mmap(NULL, 1073741824, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f2240000000\n";
  const auto page = [&](const std::string& lines) {
    return Recorded(lines + use).first(OpKind::kMmap)->hugetlb;
  };
  EXPECT_EQ(page(""), 0u);
  EXPECT_EQ(
      page("7 mount(\"none\", \"/mnt/pool\", \"hugetlbfs\", 0, \"mode=700,pagesize=1G\") = 0\n"),
      kGb);
  EXPECT_EQ(page("7 mount(\"none\", \"/mnt/pool/\", \"hugetlbfs\", 0, NULL) = 0\n"), 2ull << 20);
  EXPECT_EQ(
      page("7 statfs(\"/mnt/pool\", {f_type=HUGETLBFS_MAGIC, f_bsize=65536, f_blocks=0}) = 0\n"),
      64ull << 10);
  EXPECT_EQ(page("7 mount(\"none\", \"/mnt/poo\", \"hugetlbfs\", 0, NULL) = 0\n"), 0u);
  const Recorded usual(
      "7 openat(AT_FDCWD, \"/dev/hugepages/a\", O_RDWR|O_CREAT, 0600) = 3</dev/hugepages/a>\n"
      "7 mmap(NULL, 4194304, PROT_READ, MAP_SHARED, 3</dev/hugepages/a>, 0) = 0x7f2240000000\n");
  EXPECT_EQ(usual.first(OpKind::kMmap)->hugetlb, 2ull << 20);
}

TEST(StraceHugetlb, ASizeThatArm64HasNotIsCountedAsNotUnderstood) {
  const Recorded r(
      "7 mmap(NULL, 1073741824, PROT_READ|PROT_WRITE, "
      "MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|29<<MAP_HUGE_SHIFT, -1, 0) = 0x7f2240000000\n");
  EXPECT_EQ(r.first(OpKind::kMmap)->hugetlb, 0u);
  EXPECT_EQ(r.run.unclear("huge pages of a size that arm64 has not (64K, 2M, 32M, 1G)"), 1u);
}

// Of a workload file: the message, or "".
std::string error_of(const std::string& ops) {
  const std::string path = test::scratch_file("hugetlb.json");
  std::ofstream(path) << R"({"name": "x", "phases": [{"name": "p", "ops": [
{"op": "spawn", "task": "t"},
)" << ops << "]}]}";
  try {
    const Workload workload = read_json_workload(path);
    kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), reported_policy());
    Driver(kernel).run(workload);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string mmap_op(const std::string& more) {
  return R"({"op": "mmap", "task": "t", "region": "r", )" + more + "}";
}

TEST(JsonHugetlb, SaysSizeFileAndPool) {
  EXPECT_EQ(error_of(mmap_op(R"("size": "64M", "hugetlb": "2M")") +
                     R"(, {"op": "touch", "task": "t", "region": "r", "access": "write"})"),
            "");
  EXPECT_EQ(error_of(mmap_op(R"("size": "1G", "hugetlb": "1G", "populate": true)")), "");
  EXPECT_EQ(error_of(mmap_op(R"("size": "64M", "hugetlb": "32M", "shared": true, "file": "f",
                                "in_memory": true)")),
            "");
  EXPECT_EQ(error_of(R"({"op": "nr_hugepages", "size": "64K", "count": 16}, )" +
                     mmap_op(R"("size": "1M", "hugetlb": "64K")")),
            "");
}

TEST(JsonHugetlb, RefusesWhatNoKernelMaps) {
  const auto refuses = [](const std::string& ops, const std::string& word) {
    const std::string error = error_of(ops);
    EXPECT_NE(error.find(word), std::string::npos) << error;
  };
  refuses(mmap_op(R"("size": "64M", "hugetlb": "4M")"), "64K, 2M, 32M and 1G");
  refuses(mmap_op(R"("size": "1M", "hugetlb": "2M")"), "multiple of the huge pages' size");
  refuses(mmap_op(R"("size": "2M", "hugetlb": "2M", "huge": "never")"), "transparent");
  refuses(mmap_op(R"("size": "2M", "hugetlb": "2M", "file": "f")"), "in_memory");
  refuses(mmap_op(R"("size": "2M", "hugetlb": "2M", "at": "0x7f0000001000")"), "multiple");
  refuses(R"({"op": "nr_hugepages", "size": "2M", "count": 1}, )" +
              mmap_op(R"("size": "4M", "hugetlb": "2M")"),
          "nr_hugepages");
}

}  // namespace
}  // namespace kpksim::workload
