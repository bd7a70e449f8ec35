// How far a TLBI reaches: to every core whose TLB may hold the translation under each reach, and to
// no more than the reach says.

#include <vector>

#include "tests/kernel/random_calls.h"

namespace kpksim::kernel {
namespace {

using cpu::Event;

Config reaching(Reach reach, unsigned cores) {
  Config c = config("none", false, "buddy", Granularity::kPte, cores);
  c.memory_bytes = 256ull << 20;
  c.policy.reach = reach;
  return c;
}

const cpu::CoreProfile& core_for(Reach reach) {
  return core_profile_for(reaching(reach, 1).policy);
}

// A kernel whose task 1 is on core 0, and what happens on each of its cores.
class ReachMachine {
 public:
  ReachMachine(Reach reach, unsigned cores) : ReachMachine(reach, cores, core_for(reach)) {}
  ReachMachine(Reach reach, unsigned cores, const cpu::CoreProfile& core)
      : k(core, kernel_profile(), reaching(reach, cores)) {
    k.spawn(1);
    k.migrate(1, 0);
    k.null_syscall(1);
  }
  // How often `event` happens on each core while task 1 makes a page read-only.
  std::vector<std::uint64_t> flush(Event event) {
    const std::uint64_t at = map_and_write(k, 1, kPageSize);
    const auto counts = [&] {
      std::vector<std::uint64_t> out;
      for (unsigned c = 0; c < k.system().machine.core_count(); ++c) {
        out.push_back(k.system().machine.core(c).happened(event));
      }
      return out;
    };
    const std::vector<std::uint64_t> before = counts();
    k.mprotect(1, at, kPageSize, true, false, false);
    std::vector<std::uint64_t> after = counts();
    for (std::size_t c = 0; c < after.size(); ++c) after[c] -= before[c];
    EXPECT_FALSE(k.touch(1, at, poe::AccessKind::kWrite));
    const AuditResult audit = k.audit();
    EXPECT_EQ(audit.stale_leaves + audit.stale_tables, 0u);
    return after;
  }

  Kernel k;
};

using Counts = std::vector<std::uint64_t>;

TEST(Reach, LocalIfAlone_NoOtherCoreIsAskedUntilASecondOneHasRunTheAddressSpace) {
  ReachMachine m(Reach::kLocalIfAlone, 4);
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{0, 0, 0, 0}));
  EXPECT_EQ(m.flush(Event::kDsbNsh), (Counts{1, 0, 0, 0}));
  m.k.migrate(1, 2);
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{0, 0, 1, 0}));
  m.k.migrate(1, 0);  // core 2 may still have entries
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{1, 0, 0, 0}));
}

TEST(Reach, LocalIfAlone_AThreadOnAnotherCoreEndsIt) {
  ReachMachine m(Reach::kLocalIfAlone, 2);
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{0, 0}));
  m.k.clone_thread(1, 2);  // to the next core
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{0, 0}));
  m.k.null_syscall(2);
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{1, 0}));
}

TEST(Reach, LocalIfAlone_AFlushByAnotherCoreIsBroadcast) {
  ReachMachine m(Reach::kLocalIfAlone, 2);
  m.k.fork(1, 2);  // pages are shared now
  m.k.migrate(2, 1);
  m.k.null_syscall(2);
  Vma shared = rw();
  shared.shared = shared.file = true;
  shared.file_id = 7;
  const std::uint64_t at = m.k.mmap(1, shared, kPageSize, 0);
  ASSERT_TRUE(m.k.touch(1, at, poe::AccessKind::kWrite));
  m.k.truncate(2, 7, 0);  // takes it out of task 1's tables, which only core 0 has run
  const AuditResult audit = m.k.audit();
  EXPECT_EQ(audit.stale_leaves + audit.stale_tables, 0u);
}

TEST(Reach, LocalIfAlone_ANewAsidHasRunNowhere) {
  cpu::CoreProfile core = core_profile();
  core.asid_bits = 8;
  ReachMachine m(Reach::kLocalIfAlone, 2, core);
  m.k.migrate(1, 1);
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{0, 1}));
  m.k.spawn(2);
  m.k.migrate(2, 1);  // task 1's core runs another, so that its ASID is not reserved
  m.k.null_syscall(2);
  for (std::uint32_t id = 3; id < 300; ++id) {
    m.k.spawn(id);
    m.k.null_syscall(id);
    m.k.exit(id);
  }
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{0, 0}));
}

TEST(Reach, AnAsidThatOutlivesItsGenerationHasRunWhereItRan) {
  AsidAllocator asids(8, 3);
  AddressSpace threads;
  asids.switch_to(threads, 0);
  asids.switch_to(threads, 1);
  const Asid before = threads.asid;
  while (asids.valid(threads)) {
    AddressSpace other;
    asids.switch_to(other, 2);
  }
  asids.switch_to(threads, 0);
  EXPECT_EQ(threads.asid, before);
  EXPECT_TRUE(threads.ran_on.has(1));
  EXPECT_EQ(threads.alone_on, std::nullopt);
}

TEST(Reach, KernelMemoryIsFlushedOnEveryCore) {
  for (std::size_t reach = 0; reach < kReaches.size(); ++reach) {
    ReachMachine m(static_cast<Reach>(reach), 3);
    const VirtAddr at(m.k.memory().vmalloc(1, false));
    ASSERT_FALSE(m.k.system().machine.core(2).load64(at).fault);
    m.k.memory().vfree(at.value);
    m.k.memory().vm_unmap_aliases();
    EXPECT_TRUE(m.k.system().machine.core(2).load64(at).fault) << kReaches[reach].name;
  }
}

TEST(Reach, LocalIfAlone_IsADsbIshBeforeAndAMoveCostsADsbIshst) {
  ReachMachine local(Reach::kLocalIfAlone, 2), broadcast(Reach::kBroadcast, 2);
  EXPECT_EQ(local.flush(Event::kDsbIsh)[0], broadcast.flush(Event::kDsbIsh)[0]);
  EXPECT_EQ(local.flush(Event::kStoreDrain)[0], broadcast.flush(Event::kDsbIshst)[0]);
  const auto barriers = [](ReachMachine& m) {
    const cpu::Core& to = m.k.system().machine.core(1);
    const std::uint64_t before = to.happened(Event::kDsbIshst);
    m.k.migrate(1, 1);
    m.k.null_syscall(1);
    return to.happened(Event::kDsbIshst) - before;
  };
  EXPECT_EQ(barriers(local), barriers(broadcast) + 1);
}

TEST(Reach, Ipi_InterruptsExactlyTheOtherCoresThatHaveRunTheAddressSpace) {
  ReachMachine m(Reach::kIpi, 4);
  EXPECT_EQ(m.flush(Event::kIpi), (Counts{0, 0, 0, 0}));
  m.k.migrate(1, 3);
  EXPECT_EQ(m.flush(Event::kIpi), (Counts{0, 0, 0, 1}));
  EXPECT_EQ(m.flush(Event::kDsbNsh), (Counts{1, 0, 0, 1}));
  EXPECT_EQ(m.flush(Event::kDvmSync), (Counts{0, 0, 0, 0}));
}

TEST(Reach, Domain_TheCoresThatHaveRunTheAddressSpaceAnswer) {
  ReachMachine m(Reach::kDomain, 8), all(Reach::kBroadcast, 8);
  for (ReachMachine* machine : {&m, &all}) machine->k.migrate(1, 5);
  EXPECT_EQ(m.flush(Event::kDvmCore), (Counts{0, 0, 0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(all.flush(Event::kDvmCore), (Counts{0, 0, 0, 0, 0, 7, 0, 0}));
}

TEST(Reach, RandomCallsOnSeveralCoresLeaveNothingStale) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = 25;
  for (std::size_t reach = 0; reach < kReaches.size(); ++reach) {
    for (const unsigned cores : {1u, 2u, 8u}) {
      const auto result = rc::detail::checkTestable(
          [&] {
            const auto steps = *rc::gen::container<std::vector<Step>>(step());
            World world(reaching(static_cast<Reach>(reach), cores));
            for (const Step& s : steps) world.execute(s);
            world.end();
          },
          rc::detail::TestMetadata(), params);
      std::ostringstream message;
      rc::detail::printResultMessage(result, message);
      EXPECT_TRUE(result.template is<rc::detail::SuccessResult>())
          << kReaches[reach].name << " on " << cores << " cores: " << message.str();
    }
  }
}

}  // namespace
}  // namespace kpksim::kernel
