#include "sim/workload/execution.h"

#include <gtest/gtest.h>

#include <map>

#include "sim/base/error.h"
#include "sim/workload/driver.h"
#include "tests/kernel/fixture.h"

namespace kpksim::workload {
namespace {

// A kind without one would be found by the first workload that has it; of two, one never runs.
TEST(Execution, EveryKindOfOperationIsInOneTable) {
  std::map<OpKind, int> times;
  for (const auto& table : {task_executors(), memory_executors(), file_executors(),
                            access_executors(), kernel_memory_executors()}) {
    for (const Executor& e : table) ++times[e.kind];
  }
  for (unsigned i = 0; i < static_cast<unsigned>(OpKind::kCount); ++i) {
    const auto kind = static_cast<OpKind>(i);
    EXPECT_EQ(times[kind], 1) << "kind " << i;
    ASSERT_NE(executor_of(kind), nullptr) << "kind " << i;
    EXPECT_EQ(executor_of(kind)->kind, kind) << "kind " << i;
  }
}

Operation munmap_of_nothing() {
  Operation op;
  op.kind = OpKind::kMunmap;
  op.task = 1;
  op.address = 64ull << 30;
  op.length = kPageSize;
  return op;
}

TEST(Execution, WhatTheKernelRefusesIsAnErrorUnlessItMayFail) {
  kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(),
                        kernel::config("none", false, "buddy", kernel::Granularity::kPte));
  kernel.spawn(1);
  Execution x(kernel);
  Operation op = munmap_of_nothing();
  EXPECT_THROW(x.execute(op), InputError);
  EXPECT_EQ(x.ignored, 0u);
  op.may_fail = true;
  x.execute(op);
  EXPECT_EQ(x.ignored, 1u);
}

TEST(Execution, ARegionIsWhereTheKernelPutIt) {
  kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(),
                        kernel::config("none", false, "buddy", kernel::Granularity::kPte));
  kernel.spawn(1);
  Execution x(kernel);
  Operation map;
  map.kind = OpKind::kMmap;
  map.task = 1;
  map.region = 7;
  map.length = 4 * kPageSize;
  map.prot = kProtRead | kProtWrite;
  Operation touch = map;
  touch.kind = OpKind::kTouch;
  touch.write = true;
  EXPECT_EQ(x.place_of(touch), std::nullopt);
  EXPECT_THROW(x.execute(touch), InputError);
  x.execute(map);
  ASSERT_TRUE(x.place_of(touch));
  x.execute(touch);
  EXPECT_EQ(kernel.missing_pages(1, x.place_of(touch)->value, map.length), 0u);
}

// Whatever the source: a recording has no operation for it.
TEST(Execution, PressureComesAfterEachSoManyOperations_BesideWhatTheSourceSays) {
  const auto shrunk = [](unsigned every) {
    kernel::Config config = kernel::config("kpkeys-poe", false, "pba", kernel::Granularity::kBlock);
    config.pressure_every = every;
    kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), config);
    kernel.spawn(1);
    // With a run more than it had at boot there is a whole block that pressure gives back.
    std::vector<Pfn> pages;
    kernel::PageTableAllocator& pba = *kernel.system().allocator;
    cpu::Core& core = kernel.system().machine.core(0);
    for (unsigned i = 0; i < 600; ++i) {
      pages.push_back(pba.allocate(core, kernel::TableKind::kUserLeaf));
    }
    for (const Pfn pfn : pages) pba.free(core, pfn);
    Workload workload;
    Operation syscall;
    syscall.kind = OpKind::kSyscall;
    syscall.task = 1;
    Step once, twice;
    once.op = syscall;
    twice.repeat = 2;
    twice.body = {once};
    workload.phases.push_back({"p", {twice, once}});
    Driver(kernel).run(workload);
    return kernel.system().allocator->statistics().own_value("shrunk_blocks");
  };
  EXPECT_EQ(shrunk(0), 0u);
  EXPECT_EQ(shrunk(4), 0u);
  EXPECT_EQ(shrunk(3), 1u);
  EXPECT_EQ(shrunk(1), 1u);
}

}  // namespace
}  // namespace kpksim::workload
