// Timer interrupts and what they carry: the key register around them, and RCU's grace periods.

#include "sim/kernel/cause.h"
#include "sim/kernel/rcu.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

std::uint64_t of_timer(Kernel& k, cpu::Event event) {
  return k.system().machine.core(0).counters().count[static_cast<std::size_t>(event)]
                                                    [static_cast<std::size_t>(Cause::kTimer)];
}

cpu::Core& timer_core() {
  static cpu::Machine machine(core_profile(), 1);
  return machine.core(0);
}

TEST(Rcu, TablesComeBackAfterAGracePeriodOfThreeTicks) {
  Rcu rcu;
  EXPECT_EQ(rcu.tick(timer_core()), 0u);  // nothing to wait for
  rcu.call(timer_core(), {Pfn(7)});
  EXPECT_EQ(rcu.tick(timer_core()), 1u);
  rcu.call(timer_core(), {Pfn(8)});       // waits for the next one
  EXPECT_EQ(rcu.tick(timer_core()), 1u);  // ends one and starts the next
  EXPECT_TRUE(rcu.take_ready(timer_core()).empty());
  EXPECT_EQ(rcu.tick(timer_core()), 1u);  // ends the second
  EXPECT_EQ(rcu.take_ready(timer_core()), std::vector<Pfn>{Pfn(7)});
  EXPECT_EQ(rcu.pending(), 1u);
  EXPECT_EQ(rcu.take_all(timer_core()), std::vector<Pfn>{Pfn(8)});
  EXPECT_EQ(rcu.tick(timer_core()), 0u);
}

// Grace periods are for all; who has put something off calls it.
TEST(Rcu, EachCoreCallsItsOwnCallbacks) {
  cpu::Machine machine(core_profile(), 2);
  cpu::Core& here = machine.core(0);
  cpu::Core& there = machine.core(1);
  Rcu rcu;
  rcu.call(here, {Pfn(7)});
  EXPECT_TRUE(rcu.has_callbacks(here));
  EXPECT_FALSE(rcu.has_callbacks(there));
  rcu.call(there, {Pfn(8)});
  EXPECT_EQ(rcu.tick(here), 1u);   // starts
  EXPECT_EQ(rcu.tick(there), 1u);  // ends
  EXPECT_EQ(rcu.tick(here), 0u);
  EXPECT_EQ(rcu.take_ready(there), std::vector<Pfn>{});
  EXPECT_EQ(rcu.take_ready(here), std::vector<Pfn>{Pfn(7)});
  EXPECT_EQ(rcu.tick(there), 0u);
  EXPECT_EQ(rcu.take_ready(there), std::vector<Pfn>{Pfn(8)});
  rcu.call(here, {Pfn(9)});
  rcu.call(there, {Pfn(10)});
  EXPECT_EQ(rcu.take_all(there), std::vector<Pfn>{Pfn(10)});
  EXPECT_EQ(rcu.pending(), 1u);
  EXPECT_EQ(rcu.take_all(here), std::vector<Pfn>{Pfn(9)});
  EXPECT_FALSE(rcu.has_callbacks(here));
  rcu.call(here, {Pfn(11)});
  EXPECT_EQ(rcu.tick(here), 1u);
  EXPECT_EQ(rcu.tick(there), 1u) << "it runs, though this core waits for nothing";
}

TEST(Rcu, ManyCallbacksWakeTheThreadOfTheSoftirq) {
  for (const std::uint64_t callbacks : {100u, 101u}) {  // ten passes of ten
    Rcu rcu;
    rcu.call(timer_core(), callbacks);
    EXPECT_EQ(rcu.tick(timer_core()), 1u);
    EXPECT_EQ(rcu.tick(timer_core()), 1u);
    EXPECT_EQ(rcu.tick(timer_core()), callbacks > 100 ? 1u : 0u);
    EXPECT_EQ(rcu.tick(timer_core()), 0u);
  }
}

TEST(Rcu, OnePassOfTheSoftirq_WhereRcusThreadIsWokenToo) {
  for (const std::uint64_t callbacks : {10u, 11u}) {
    Rcu rcu;
    rcu.call(timer_core(), callbacks);
    EXPECT_EQ(rcu.tick(timer_core()), 1u);
    rcu.call(timer_core());
    EXPECT_EQ(rcu.tick(timer_core()), 1u);
    EXPECT_EQ(rcu.tick(timer_core()), callbacks > 10 ? 2u : 1u);
  }
}

TEST(Rcu, TheSoftirqsThreadEndsTheNextGracePeriodToo) {
  Rcu rcu;
  rcu.call(timer_core(), 25);
  EXPECT_EQ(rcu.tick(timer_core()), 1u);  // starts
  rcu.call(timer_core(), 3);
  EXPECT_EQ(rcu.tick(timer_core()), 1u);  // ends it, starts the next
  rcu.call(timer_core(), 3);
  EXPECT_EQ(rcu.tick(timer_core()),
            3u);  // RCU's thread, the softirq's with the other 15, RCU's again
}

TEST(Rcu, ATaskThatIsFreedHandsOnItsCredentials) {
  for (const bool task : {false, true}) {
    Rcu rcu;
    task ? rcu.call_for_task(timer_core()) : rcu.call(timer_core());
    EXPECT_EQ(rcu.tick(timer_core()), 1u);              // starts
    EXPECT_EQ(rcu.tick(timer_core()), 1u);              // ends
    EXPECT_EQ(rcu.tick(timer_core()), 0u);              // the callback
    EXPECT_EQ(rcu.tick(timer_core()), task ? 1u : 0u);  // starts once more
  }
}

TEST(Timer, KernelThreadsFollowEachOther_OneSwitchEachAndOneBack) {
  Kernel k(core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte));
  k.spawn(1);
  for (int i = 0; i < 25; ++i) k.system().rcu.call_for_task(timer_core());
  const std::uint64_t before = of_timer(k, cpu::Event::kDsbIsh);
  k.clock().set_timer(300);
  for (int i = 0; i < 8; ++i) k.null_syscall(1);
  EXPECT_LT(of_timer(k, cpu::Event::kEret), 30u);  // none by the background
  // RCU's thread twice; it, the softirq's and it again, which starts a period for the last
  // credentials; it and the softirq's once more.
  EXPECT_EQ(of_timer(k, cpu::Event::kDsbIsh) - before, 2u + 2u + 4u + 3u);
}

TEST(Timer, InterruptsSaveAndRestoreTheKeyRegister) {
  Kernel k(core_profile(), kernel_profile(),
           config("kpkeys-poe", false, "buddy", Granularity::kPte));
  k.spawn(1);
  k.clock().set_timer(100000);
  map_and_write(k, 1);
  const std::uint64_t interrupts = of_timer(k, cpu::Event::kExceptionEl1);
  EXPECT_GT(interrupts, 50u);
  // From EL1 one read and one write each; those from EL0 leave the register alone.
  EXPECT_EQ(of_timer(k, cpu::Event::kMrsPor), interrupts);
  EXPECT_EQ(of_timer(k, cpu::Event::kMsrPor), interrupts);
  EXPECT_EQ(of_timer(k, cpu::Event::kEret), interrupts + of_timer(k, cpu::Event::kExceptionEl0));
}

TEST(Timer, TablesOfAMunmapWaitForLaterInterrupts) {
  Kernel k(core_profile(), kernel_profile(),
           config("kpkeys-poe", false, "per-page", Granularity::kPte));
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1);
  k.clock().set_timer(1ull << 40);  // none comes
  const std::uint64_t freed = k.system().allocator->statistics().freed;
  k.munmap(1, at, kBytes);
  EXPECT_EQ(k.system().allocator->statistics().freed, freed);
  const std::size_t waiting = k.system().rcu.pending();
  EXPECT_GE(waiting, kBytes / kPmdSize);
  k.clock().set_timer(300);
  for (int i = 0; i < 20; ++i) k.null_syscall(1);
  EXPECT_EQ(k.system().rcu.pending(), 0u);
  EXPECT_EQ(k.system().allocator->statistics().freed, freed + waiting);
  EXPECT_EQ(k.audit().stale_tables, 0u);
}

TEST(Timer, WithoutInterruptsTablesComeBackAtTheEndOfTheCall) {
  Kernel k(core_profile(), kernel_profile(),
           config("kpkeys-poe", false, "per-page", Granularity::kPte));
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1);
  k.munmap(1, at, kBytes);
  EXPECT_EQ(k.system().rcu.pending(), 0u);
}

TEST(Timer, ByTheClockInterruptsComeOncePerPeriod) {
  Config cfg = config("kpkeys-poe", false, "per-page", Granularity::kPte);
  cfg.hz = 1000;
  Kernel k(core_profile(), kernel_profile(), cfg);
  k.spawn(1);
  for (int i = 0; i < 200; ++i) k.munmap(1, map_and_write(k, 1), kBytes);
  const cpu::Core& core = k.system().machine.core(0);
  const std::uint64_t interrupts =
      of_timer(k, cpu::Event::kExceptionEl0) + of_timer(k, cpu::Event::kExceptionEl1);
  const double period = k.system().machine.profile().clock_ghz * 1e9 / cfg.hz;
  const auto due = static_cast<std::uint64_t>(static_cast<double>(core.clock().value) / period);
  EXPECT_GT(due, 10u);
  EXPECT_NEAR(static_cast<double>(interrupts), static_cast<double>(due), 1);
  // Tables of early rounds have come back, those of the last one wait.
  EXPECT_GT(k.system().allocator->statistics().freed, 100u);
  EXPECT_GE(k.system().rcu.pending(), kBytes / kPmdSize);
}

}  // namespace
}  // namespace kpksim::kernel
