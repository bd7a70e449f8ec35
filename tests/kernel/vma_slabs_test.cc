// Slabs of VMAs, against the numbers of a real kernel (vma_slabs.h), and when RCU gets them.

#include "sim/kernel/vma_slabs.h"

#include <gtest/gtest.h>

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

TEST(VmaSlabs, AForkOfManyMappingsNeedsNewOnes_AndItsExitGivesThemBack) {
  struct Case {
    std::uint64_t vmas, least, most, least_back, most_back;
  };
  for (const Case& c : {Case{4005, 409, 424, 91, 93}, {1000, 64, 75, 14, 15}, {200, 0, 3, 0, 0}}) {
    VmaSlabs slabs;
    for (int i = 0; i < 3; ++i) {  // the same each time
      const std::uint64_t fresh = slabs.take(c.vmas);
      EXPECT_GE(fresh, c.least) << c.vmas;
      EXPECT_LE(fresh, c.most) << c.vmas;
      std::uint64_t back = 0;
      for (std::uint64_t n = 0; n < c.vmas; ++n) back += slabs.give(1);
      EXPECT_GE(back, c.least_back) << c.vmas;
      EXPECT_LE(back, c.most_back) << c.vmas;
    }
  }
}

// unlink_anon_vmas() gives them to RCU one after the other, so that interrupts within a long exit
// find something to do.
TEST(VmaSlabs, GracePeriodsPassWhileAnExitOfManyMappingsRuns) {
  const auto threads_within_exit = [](std::uint64_t vmas) {
    Kernel k(core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte));
    k.spawn(1);
    for (std::uint64_t i = 0; i < vmas; ++i) {
      const std::uint64_t at = k.mmap(1, rw(), kPageSize, 0x100000000 + i * 2 * kPageSize);
      EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kWrite));
    }
    k.fork(1, 2);
    k.switch_to(2);
    k.clock().idle();
    const cpu::Core& core = k.system().machine.core(0);
    k.clock().set_timer(500'000);
    const std::uint64_t before = core.counters().total(cpu::Event::kDsbIsh);
    k.exit(2);
    return core.counters().total(cpu::Event::kDsbIsh) - before;
  };
  EXPECT_GT(threads_within_exit(4000), threads_within_exit(400) + 10);
}

}  // namespace
}  // namespace kpksim::kernel
