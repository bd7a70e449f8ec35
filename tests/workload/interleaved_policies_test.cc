// Claims about policies on cores that run at once: those of x86-64, those whose windows open a page
// for all cores, and credentials.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernel/cores_at_once.h"
#include "tests/workload/interleaved_outcome.h"

namespace kpksim::workload {
namespace {

using cpu::Event;
using kernel::LockKind;

kernel::Config with(const std::string& policy, unsigned cores) {
  kernel::Config config;
  config.policy = kernel::parse_policy(policy);
  config.memory_bytes = 1ull << 30;
  config.cores = cores;
  config.interleave = true;
  return config;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

class OneCorePolicy : public testing::TestWithParam<std::string> {};

TEST_P(OneCorePolicy, DoesTheSameInterleavedAsWhereOperationsTakeTurns) {
  for (const char* name : {"mixed", "fork-exec-server", "thread-churn"}) {
    const Workload workload = shipped(name);
    kernel::Config config = with(GetParam(), 1);
    config.memory_bytes = 8ull << 30;
    config.pressure_every = 50;
    const Outcome at_once = outcome_of(workload, config);
    config.interleave = false;
    EXPECT_TRUE(same(outcome_of(workload, config), at_once, false)) << name;
    for (const kernel::LockWaits& w : at_once.waits) EXPECT_EQ(w.waits, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Interleaved, OneCorePolicy,
                         testing::Values("kpkeys-pks+lazy,pba,block", "kpkeys-pks,per-page,pte",
                                         "wp-toggle,per-page,pte", "none,buddy,block,invlpgb",
                                         "rodata-toggle+lock,per-page,pte",
                                         "unmap-leaf,per-page,block",
                                         "hypervisor-window+lazy,pba,block",
                                         "kpkeys-poe+lazy:cred=on:cred_pages=pool,pba,block",
                                         "kpkeys-poe:cred=on:cred_pages=single,per-page,block",
                                         "kpkeys-poe+lazy,pba,block:collapse=on"),
                         test_name);

// A window opens the page for all cores. The first one changes the mapping, the others wait until
// that has been done, and the last one changes it back.
class OpensForAll : public testing::TestWithParam<std::string> {};

TEST_P(OpensForAll, WindowsOfSeveralCoresOnOnePageOverlap) {
  constexpr unsigned kCores = 4;
  const kernel::Config config = with(GetParam(), kCores);
  kernel::Kernel k(kernel::core_profile_for(config.policy), kernel::kernel_profile(), config);
  k.spawn(1);
  kernel::System& system = k.system();
  const Pfn table = k.root_of(1);
  const VirtAddr va = kernel::linear_va(address_of(table) + 8 * 100);
  ASSERT_TRUE(system.machine.core(0).store64(va, 0)) << "it is not marked";
  unsigned open = 0, most = 0, refused = 0;
  const auto job = [&](cpu::Core& core) {
    for (unsigned i = 0; i < 10; ++i) {
      core.execute(200 * core.id());
      const kernel::Window window(system.tables, core, table);
      most = std::max(most, ++open);
      core.execute(500);
      core.turn();
      if (core.store64(va, 0)) ++refused;
      --open;
    }
  };
  kernel::run_at_once(system, std::vector<std::function<void(cpu::Core&)>>(kCores, job));
  EXPECT_EQ(refused, 0u);
  EXPECT_GT(most, 1u) << "no two of them overlapped";
  EXPECT_TRUE(system.machine.core(0).store64(va, 0)) << "it is still open";
  const auto kind = static_cast<std::size_t>(LockKind::kWindow);
  EXPECT_GT(system.interleaving->locks.waits()[kind].waits, 0u);
  const kernel::AuditResult audit = k.audit();
  EXPECT_EQ(audit.stale_leaves + audit.stale_tables, 0u);
}

INSTANTIATE_TEST_SUITE_P(Interleaved, OpensForAll,
                         testing::Values("rodata-toggle,per-page,pte",
                                         "unmap-leaf:levels=all,per-page,pte",
                                         "hypervisor-window,per-page,pte"),
                         test_name);

// Core 1 is ahead in time, in a window. Core 0's interrupt finds it there: the handler runs with
// the register at rest, and core 0 waits until core 1 has answered.
TEST(InterleavedX86, AShootdownWaitsForACoreThatIsAheadAndPausesItsWindow) {
  const kernel::Config config = with("kpkeys-pks,per-page,pte", 2);
  kernel::Kernel k(kernel::x86_core_profile(), kernel::kernel_profile(), config);
  k.spawn(1);
  kernel::System& system = k.system();
  const Pfn table = k.root_of(1);
  const VirtAddr va = kernel::linear_va(address_of(table) + 8 * 100);
  std::uint64_t sent = 0, answered = 0, ahead = 0;
  std::uint64_t writes = 0, interrupts = 0;
  bool open_again = false;
  const auto flushes = [&](cpu::Core& core) {
    core.execute(10'000);
    core.turn();
    sent = core.time();
    system.flush.all(core, kernel::FlushSite::kSetMemory);
    answered = core.time();
  };
  const auto window = [&](cpu::Core& core) {
    const kernel::Window open(system.tables, core, table);
    const std::uint64_t before = core.happened(Event::kMsrPor);
    core.execute(1'000'000);
    ahead = core.time();
    core.turn();
    writes = core.happened(Event::kMsrPor) - before;
    interrupts = core.happened(Event::kExceptionEl1);
    open_again = !core.store64(va, 0);
  };
  kernel::run_at_once(system, {flushes, window});
  EXPECT_LT(sent, ahead);
  EXPECT_GT(answered, ahead);
  EXPECT_GE(interrupts, 1u);
  EXPECT_GE(writes, 2u) << "the exception neither saved nor restored the register";
  EXPECT_TRUE(open_again);
}

// Threads of one process on four cores unmap: interrupts, and address spaces that they share.
TEST(InterleavedX86, ThreadsThatUnmapInterruptEachOtherAndLeaveNothingStale) {
  std::string start = R"({"op":"spawn","task":"a"})", ops;
  for (const char* t : {"b", "c", "d"}) {
    start += std::string(R"(,{"op":"clone","task":"a","child":")") + t + "\"}";
  }
  for (const char* t : {"a", "b", "c", "d"}) {
    const std::string where = std::string(R"("task":")") + t + R"(","region":")" + t + "r\"";
    ops += std::string(ops.empty() ? "" : ",") + R"({"repeat":40,"ops":[{"op":"mmap",)" + where +
           R"(,"size":"64K","prot":"rw"},{"op":"touch",)" + where +
           R"(,"access":"write"},{"op":"munmap",)" + where + "}]}";
  }
  const Workload workload = of_text(R"({"name":"t","phases":[{"name":"start","ops":[)" + start +
                                    R"(]},{"name":"all","ops":[)" + ops + "]}]}");
  for (const char* policy : {"kpkeys-pks,per-page,pte", "none,buddy,pte,invlpgb"}) {
    kernel::Config config = with(policy, 4);
    kernel::Kernel k(kernel::x86_core_profile(), kernel::kernel_profile(), config);
    Outcome out;
    out.phases = Driver(k).run(workload);
    std::uint64_t sent = 0;
    for (const cpu::Counters& core : out.phases[1].cores) {
      sent += core.total(Event::kIpi) + core.total(Event::kIpiMore);
    }
    EXPECT_GT(sent, policy == std::string("none,buddy,pte,invlpgb") ? 0u : 100u) << policy;
    const kernel::AuditResult& audit = out.phases[1].audit;
    EXPECT_EQ(audit.stale_leaves + audit.stale_tables + audit.bbm_violations, 0u) << policy;
  }
}

// Four threads fault at the same reserved huge pages at once: each page comes once.
TEST(Interleaved, FaultsAtOneReservedHugePageTakeOnePageFromThePool) {
  std::string start = R"({"op":"nr_hugepages","size":"2M","count":16},{"op":"spawn","task":"a"})";
  std::string ops;
  for (const char* t : {"b", "c", "d"}) {
    start += std::string(R"(,{"op":"clone","task":"a","child":")") + t + "\"}";
  }
  start += R"(,{"op":"mmap","task":"a","region":"r","size":"16M","prot":"rw","hugetlb":"2M"})";
  for (const char* t : {"a", "b", "c", "d"}) {
    ops += std::string(ops.empty() ? "" : ",") + R"({"op":"touch","task":")" + t +
           R"(","region":"r","access":"write"})";
  }
  const Workload workload = of_text(R"({"name":"t","phases":[{"name":"start","ops":[)" + start +
                                    R"(]},{"name":"all","ops":[)" + ops + "]}]}");
  kernel::Config config = with("kpkeys-poe,per-page,pte", 4);
  kernel::Kernel k(kernel::core_profile(), kernel::kernel_profile(), config);
  Driver driver(k);
  std::vector<PhaseResult> phases = driver.run(workload);
  const auto kind = static_cast<std::size_t>(LockKind::kHugetlbFault);
  EXPECT_GT(phases[1].interleaved->waits[kind].waits, 3u);
  const kernel::HugetlbSize& size = *kernel::find_hugetlb_size(kPmdSize);
  EXPECT_EQ(k.system().hugetlb.free_pages(size), 8u);
  k.exit_all();
  EXPECT_EQ(k.system().hugetlb.free_pages(size), 16u);
}

}  // namespace
}  // namespace kpksim::workload
