// flush_tlb_kernel_range(): up to 6.12 page by page, from 6.13 on as ranges of user memory are.

#include <gtest/gtest.h>

#include "sim/kernel/cause.h"
#include "sim/workload/driver.h"
#include "sim/workload/json.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

using mmu::TlbiKind;

struct KernelRangeFlushes {
  std::uint64_t pages, ranges, all;
  bool operator==(const KernelRangeFlushes&) const = default;
};
std::ostream& operator<<(std::ostream& out, const KernelRangeFlushes& f) {
  return out << f.pages << " VAALE1, " << f.ranges << " RVAALE1, " << f.all << " VMALLE1";
}

KernelRangeFlushes flushes(const cpu::Counters& counters) {
  const auto of = [&](TlbiKind kind) { return counters.total(cpu::tlbi_event(kind)); };
  return {of(TlbiKind::kVaale1), of(TlbiKind::kRvaale1), of(TlbiKind::kVmalle1)};
}

KernelProfile kernel(const std::string& name) {
  return read_kernel_profile(kpksim::test::source_path("profiles/kernels/" + name + ".json"));
}

cpu::CoreProfile core(const std::string& name) {
  return cpu::read_core_profile(kpksim::test::source_path("profiles/cores/" + name + ".json"));
}

const Config kConfig = config("none", false, "buddy", Granularity::kPte);

// What the purge of one area of vmalloc executes; `pages` with the guard.
KernelRangeFlushes purge_of(const char* core_name, const char* kernel_name, std::uint64_t pages) {
  Kernel k(core(core_name), kernel(kernel_name), kConfig);
  k.memory().vm_unmap_aliases();
  const std::uint64_t area = k.memory().vmalloc(pages - 1, false);
  k.memory().vfree(area);
  cpu::Core& first = k.system().machine.core(0);
  const cpu::Counters before = first.counters();
  k.memory().vm_unmap_aliases();
  return flushes(first.counters() - before);
}

TEST(KernelRange, From613On_RangeOperationsFlushIt) {
  EXPECT_EQ(purge_of("neoverse-v1", "linux-6.17", 601), (KernelRangeFlushes{1, 2, 0}));
  EXPECT_EQ(purge_of("neoverse-v1", "linux-6.17", 101), (KernelRangeFlushes{1, 2, 0}));
  EXPECT_EQ(purge_of("neoverse-v1", "linux-6.12", 601), (KernelRangeFlushes{0, 0, 1}));
  EXPECT_EQ(purge_of("neoverse-v1", "linux-6.12", 101), (KernelRangeFlushes{101, 0, 0}));
}

TEST(KernelRange, WithoutRangeOperationsTheLimitIsOnePageLowerFrom613On) {
  EXPECT_EQ(purge_of("cortex-a76", "linux-6.17", 511), (KernelRangeFlushes{511, 0, 0}));
  EXPECT_EQ(purge_of("cortex-a76", "linux-6.17", 512), (KernelRangeFlushes{0, 0, 1}));
  EXPECT_EQ(purge_of("cortex-a76", "linux-6.12", 512), (KernelRangeFlushes{512, 0, 0}));
  EXPECT_EQ(purge_of("cortex-a76", "linux-6.12", 513), (KernelRangeFlushes{0, 0, 1}));
}

TEST(KernelRange, SetMemoryPkeyOfABlockIsOneRangeOperation) {
  for (const auto& [name, expected] : {std::pair{"linux-6.17", KernelRangeFlushes{0, 1, 0}},
                                       {"linux-6.12", KernelRangeFlushes{512, 0, 0}}}) {
    Kernel k(core_profile(), kernel(name), config("kpkeys-poe", false, "pba", Granularity::kBlock));
    cpu::Core& first = k.system().machine.core(0);
    const cpu::Counters before = first.counters();
    k.system().linear_map.set_memory_pkey(first, *k.system().buddy.allocate(9, Mobility::kMovable),
                                          512, kPkeyPgtables);
    EXPECT_EQ(flushes(first.counters() - before), expected) << name;
  }
}

// tests/reported/README.md
TEST(KernelRange, TheReportedWorkload) {
  const auto workload = workload::read_json_workload(
      kpksim::test::source_path("tests/reported/kernel-range-6.17.json"));
  Kernel k(core("neoverse-v1"), kernel("linux-6.17"), kConfig);
  const auto phases = workload::Driver(k).run(workload);
  EXPECT_EQ(flushes(phases.at(1).cores.at(0)), (KernelRangeFlushes{1, 2, 0}));
}

}  // namespace
}  // namespace kpksim::kernel
