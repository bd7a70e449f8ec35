// Random programs on interleaved cores leave no stale translation and lose nothing, and come out
// alike each time.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cctype>

#include "sim/fuzz/trial.h"
#include "sim/workload/driver.h"
#include "tests/kernel/fixture.h"

namespace kpksim::workload {
namespace {

struct Left {
  std::uint64_t lost = 0, stale = 0, cycles = 0, time = 0;
  auto operator<=>(const Left&) const = default;
};

Left run(const Workload& workload, const kernel::Config& config) {
  kernel::Kernel k(kernel::core_profile_for(config.policy), kernel::kernel_profile(), config);
  // Where pages are that nobody uses: tables of stacks' addresses stay, stacks that wait for the
  // next task, and tables that splits of the linear map have taken.
  const auto pages = [&] {
    k.exit_all();
    k.clock().wait_for_rcu();
    const kernel::AllocatorStatistics tables = k.system().allocator->statistics();
    const kernel::LinearMapStatistics map = k.system().linear_map.statistics();
    return k.system().buddy.free_pages() + tables.cached + tables.live +
           4 * k.memory().kept_stacks() + map.split_pud + map.split_pmd - map.joined;
  };
  // The page of zeros that read faults map is there from its first use on, and the pages of a
  // program's file, which tasks share, from the first mlockall().
  k.spawn(900);
  kernel::Vma vma;
  vma.read = true;
  k.touch(900, k.mmap(900, vma, kPmdSize, 0x600000000000), poe::AccessKind::kRead);
  k.mlock_all(900, kernel::Lock::kNow, true, false);
  const std::uint64_t before = pages();
  Left left;
  for (const PhaseResult& phase : Driver(k).run(workload)) {
    left.stale += phase.audit.stale_leaves + phase.audit.stale_tables + phase.audit.bbm_violations;
    left.time += phase.interleaved->millicycles;
    for (const cpu::Counters& core : phase.cores) left.cycles += core.total_millicycles();
  }
  left.lost = before - pages();
  return left;
}

fuzz::Program interleaved_program(std::uint64_t number) {
  fuzz::Dice dice(1, number);
  fuzz::Bounds bounds{.cores = 8, .interleave = true, .leaves_nothing = true};
  fuzz::Program program;
  while (!program.interleave) program = fuzz::random_program(dice, bounds);
  return program;
}

class Random : public testing::TestWithParam<std::string> {};

TEST_P(Random, ProgramsLeaveNothingStaleAndLoseNothing) {
  EXPECT_TRUE(rc::check([&] {
    const fuzz::Program program = interleaved_program(*rc::gen::arbitrary<std::uint64_t>());
    RC_LOG() << fuzz::workload_text(program, "random", "");
    const Workload workload = fuzz::read(program);
    kernel::Config config;
    config.policy = kernel::parse_policy(GetParam());
    config.memory_bytes = 512ull << 20;
    config.cores = program.cores;
    config.hz = program.hz;
    config.interleave = true;
    const Left left = run(workload, config);
    RC_ASSERT(left.stale == 0u);
    RC_ASSERT(left.lost == 0u);
    RC_ASSERT(left == run(workload, config));
  }));
}

INSTANTIATE_TEST_SUITE_P(
    Interleaved, Random,
    testing::Values("none,buddy,pte", "kpkeys-poe,per-page,pte", "kpkeys-poe+lazy,pba,block",
                    "kpkeys-poe+lock,pba,block", "mte,per-page,pte", "hypervisor+lazy,pba,block",
                    "kpkeys-poe,per-page,block", "kpkeys-poe+lazy,ppa,pte",
                    "kpkeys-poe+lazy,cached,block", "kpkeys-poe,slab,pte",
                    "kpkeys-poe,pageblock,block", "kpkeys-poe,reserve,pte",
                    "kpkeys-poe,per-page,pte,local-if-alone", "kpkeys-poe,per-page,pte,domain",
                    "kpkeys-poe,per-page,pte,ipi", "kpkeys-pks+lazy,per-page,pte",
                    "rodata-toggle+lock,per-page,pte", "unmap-leaf:levels=all,per-page,pte",
                    "hypervisor-window+lock,pba,contpte"),
    [](const auto& param) {
      std::string name = param.param;
      std::replace_if(
          name.begin(), name.end(),
          [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
      return name;
    });

}  // namespace
}  // namespace kpksim::workload
