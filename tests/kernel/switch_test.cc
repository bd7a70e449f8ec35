// What a context switch costs: EEVDF's delayed dequeue, exceptions of cores with mitigations.

#include <gtest/gtest.h>

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

const Config kSwitchNone = config("none", false, "buddy", Granularity::kPte);

struct Cost {
  std::uint64_t instructions, isb, dsb_nsh;
};

template <class Do>
Cost cost(Kernel& k, Do&& what) {
  const cpu::Core& core = k.system().machine.core(0);
  const cpu::Counters before = core.counters();
  what();
  const cpu::Counters used = core.counters() - before;
  Cost sum{0, used.total(cpu::Event::kIsb), used.total(cpu::Event::kDsbNsh)};
  for (const cpu::Event e : cpu::kKernelInstructions) sum.instructions += used.total(e);
  return sum;
}

// Of a thousand switches around `tasks` tasks.
Cost ring(std::uint32_t tasks) {
  Kernel k(core_profile(), kernel_profile(), kSwitchNone);
  for (std::uint32_t id = 1; id <= tasks; ++id) k.spawn(id);
  const auto round = [&](unsigned switches) {
    for (unsigned i = 0; i < switches; ++i) k.switch_to(i % tasks + 1);
  };
  round(tasks);
  return cost(k, [&] { round(1000); });
}

// pipe_ring_of_2_x1000 and pipe_ring_of_4_x1000 of tools/kernel-truth: who is woken soon is still
// in the run queue.
TEST(DelayedDequeue, AmongMoreThanTwoTasksEachSwitchHasAnEnqueueAndMoreReadsOfTheClock) {
  const Cost two = ring(2), three = ring(3), four = ring(4);
  const std::uint64_t more = 1000 * kernel_profile().path.wake_dequeued;
  EXPECT_EQ(four.instructions - two.instructions, more);
  EXPECT_EQ(three.instructions, four.instructions);
  EXPECT_NEAR(static_cast<double>(four.isb - two.isb),
              static_cast<double>(kernel_profile().dequeued_milli_isb), 2);
}

Cost system_calls(const cpu::CoreProfile& core) {
  Kernel k(core, kernel_profile(), kSwitchNone);
  k.spawn(1);
  k.null_syscall(1);  // the first use of SVE is behind it
  return cost(k, [&] {
    for (int i = 0; i < 1000; ++i) k.null_syscall(1);
  });
}

TEST(Exceptions, ACoreThatNeedsItClearsItsBranchHistoryAtEachOneFromEl0) {
  cpu::CoreProfile with = core_profile();
  with.pauth = with.sve = false;
  with.entry_instructions = 0;
  const Cost without = system_calls(with);
  with.entry_instructions = 87;
  with.entry_barriers = true;
  const Cost more = system_calls(with);
  EXPECT_EQ(more.instructions - without.instructions, 87'000u);
  EXPECT_EQ(more.dsb_nsh - without.dsb_nsh, 1000u);
  EXPECT_EQ(more.isb - without.isb, 1000u);
  EXPECT_EQ(without.isb, 0u) << "no pointer authentication, no keys";
}

TEST(Exceptions, OneFromEl1HasNone) {
  cpu::CoreProfile core = core_profile();
  core.entry_barriers = true;
  Kernel k(core, kernel_profile(), kSwitchNone);
  k.spawn(1);
  const std::uint64_t at = k.mmap(1, rw(), kPageSize, 0);
  EXPECT_EQ(cost(k, [&] { k.touch_by_kernel(1, at, poe::AccessKind::kWrite); }).dsb_nsh, 0u);
  const std::uint64_t other = k.mmap(1, rw(), kPageSize, 0);
  EXPECT_EQ(cost(k, [&] { k.touch(1, other, poe::AccessKind::kWrite); }).dsb_nsh, 1u);
}

TEST(Exceptions, ASystemCallOfATaskThatUsesSveDiscardsIts) {
  cpu::CoreProfile core = core_profile();
  core.sve = true;
  const std::uint64_t with = system_calls(core).instructions;
  core.sve = false;
  EXPECT_EQ(with - system_calls(core).instructions, 1000 * kernel_profile().path.sve_discard);
}

}  // namespace
}  // namespace kpksim::kernel
