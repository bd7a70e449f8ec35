#include "sim/kernel/task.h"

#include <gtest/gtest.h>

#include <memory>

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

struct TasksOfASystem : testing::Test {
  System system{core_profile(), kernel_profile(),
                config("none", false, "buddy", Granularity::kPte)};
  PageCache cache;
  Tasks tasks;
  std::shared_ptr<Mm> space() {
    return std::make_shared<Mm>(system, cache, system.machine.core(0));
  }
};

// Else a file's pages would be unmapped, and paid for, once for each thread.
TEST_F(TasksOfASystem, ListAnAddressSpaceThatThreadsShareOnce) {
  const std::shared_ptr<Mm> shared = space(), other = space();
  tasks.add(1, shared, 0);
  tasks.add(2, other, 0);
  tasks.add(3, shared, 0);
  EXPECT_EQ(tasks.spaces(), (std::vector<Mm*>{shared.get(), other.get()}));
}

TEST_F(TasksOfASystem, KeepOneThatHasExitedUntilItIsReaped) {
  tasks.add(1, space(), 0);
  Task& child = tasks.add(2, space(), 0);
  EXPECT_THROW(tasks.reap(1, 2), InputError);
  child.dead = true;
  EXPECT_FALSE(tasks.alive(2));
  EXPECT_THROW(tasks.get(2), InputError);
  EXPECT_NE(tasks.find(2), nullptr);
  EXPECT_EQ(tasks.all_alive(), std::vector<std::uint32_t>{1});
  tasks.reap(1, 2);
  EXPECT_EQ(tasks.find(2), nullptr);
}

TEST_F(TasksOfASystem, GiveANumberOnlyToOneAtATime) {
  Task& first = tasks.add(1, space(), 0);
  first.in_proc = true;
  EXPECT_THROW(tasks.add(1, space(), 0), InputError);
  first.dead = true;
  EXPECT_FALSE(tasks.add(1, space(), 0).in_proc);
}

}  // namespace
}  // namespace kpksim::kernel
