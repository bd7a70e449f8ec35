// Exposure and windows: sums against what registers and tables say, found by another way.

#include "sim/kernel/exposure.h"

#include "sim/kernel/kernel.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

Config policy(const char* text, unsigned cores = 1) {
  Config c;
  c.policy = parse_policy(text);
  c.memory_bytes = 256ull << 20;
  c.cores = cores;
  return c;
}

std::uint64_t exposure_total(const std::array<ByteMillicycles, kTableOwners>& sums) {
  ByteMillicycles sum = 0;
  for (const ByteMillicycles s : sums) sum += s;
  return static_cast<std::uint64_t>(sum / 1'000'000);
}

// Fork, copy and exit, after `text`'s boot.
ExposureSums life(const char* text, unsigned cores = 1) {
  Kernel k(core_profile(), kernel_profile(), policy(text, cores));
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1, 1 << 20);
  k.fork(1, 2);
  for (std::uint64_t i = 0; i < 1 << 20; i += kPageSize)
    k.touch(2, at + i, poe::AccessKind::kWrite);
  k.exit(2);
  return k.system().exposure.sums();
}

// The length of most windows is not measured but known: their sum is still that of the counters.
TEST(Windows, TheirLengthsAddUpToTheTimeThatTheRegisterWasOpen) {
  for (const char* text :
       {"kpkeys-poe,per-page,pte", "kpkeys-poe+lazy,per-page,pte", "kpkeys-poe+lock,per-page,block",
        "kpkeys-poe+lazy,pba,block", "kpkeys-poe+lock:series=v9,per-page,pte",
        "kpkeys-poe+lock:cred=on,pba,block"}) {
    Kernel k(core_profile(), kernel_profile(), policy(text));
    k.spawn(1);
    map_and_write(k, 1);
    k.fork(1, 2);
    k.exit_all();
    const cpu::Core& core = k.system().machine.core(0);
    EXPECT_EQ(core.windows().millicycles, core.elapsed().open) << text;
    EXPECT_GT(core.windows().count, 0u);
    EXPECT_GE(core.windows().most_millicycles * core.windows().count, core.elapsed().open);
  }
}

// A window costs MRS, MSR and ISB, the store, MSR and ISB: half of the register writes open one.
TEST(Windows, AreAsManyAsTheRegisterWasOpenedAndWritten) {
  Kernel k(core_profile(), kernel_profile(), policy("kpkeys-poe,per-page,pte"));
  k.spawn(1);
  map_and_write(k, 1);
  const cpu::Core& core = k.system().machine.core(0);
  EXPECT_EQ(2 * core.windows().count, core.counters().total(cpu::Event::kMsrPor));
  EXPECT_EQ(core.windows().most_stores, 1u);
}

TEST(Exposure, WithoutProtectionAllTablesAreWritableAllTheTime) {
  Kernel k(core_profile(), kernel_profile(), policy("none,buddy,pte"));
  k.spawn(1);
  map_and_write(k, 1, 1 << 20);
  System& s = k.system();
  const ExposureSums before = s.exposure.sums();
  const std::uint64_t then = s.machine.core(0).clock().value;
  k.compute(1, 1'000'000);  // no table comes or goes
  const ExposureSums d = exposure_since(before, s.exposure.sums());
  const std::uint64_t cycles = s.machine.core(0).clock().value - then;
  const std::uint64_t tables = s.allocator->statistics().live + s.linear_map.boot_range().second;
  const double expected = static_cast<double>(tables * kPageSize) * static_cast<double>(cycles);
  EXPECT_NEAR(static_cast<double>(exposure_total(d.at_rest)) * 1000, expected, expected / 1000);
  EXPECT_EQ(exposure_total(d.in_windows), 0u);
}

TEST(Exposure, WithKeysNothingIsWritableAtRest_AndMoreInWiderWindows) {
  const ExposureSums entry = life("kpkeys-poe,per-page,pte"),
                     lazy = life("kpkeys-poe+lazy,per-page,pte"),
                     lock = life("kpkeys-poe+lock,per-page,pte");
  for (const ExposureSums& e : {entry, lazy, lock}) EXPECT_EQ(exposure_total(e.at_rest), 0u);
  EXPECT_GT(exposure_total(entry.in_windows), 0u);
  EXPECT_GT(exposure_total(lazy.in_windows), exposure_total(entry.in_windows));
  EXPECT_GT(lazy.windows.most_stores, 256u);  // a page table's part of the fork
}

TEST(Exposure, AKeyOpensAllTables_AToggledMappingItsOwnAlone) {
  const ExposureSums key = life("kpkeys-poe,per-page,pte"),
                     toggle = life("rodata-toggle,per-page,pte");
  const auto of = [](const ExposureSums& e, TableOwner owner) {
    return static_cast<std::uint64_t>(e.in_windows[static_cast<std::size_t>(owner)] / 1'000'000);
  };
  EXPECT_GT(of(key, TableOwner::kKernel), 10 * of(key, TableOwner::kOwn));
  EXPECT_GT(of(toggle, TableOwner::kOwn), of(toggle, TableOwner::kKernel));
  // The linear map's own tables stay writable.
  EXPECT_GT(toggle.at_rest[static_cast<std::size_t>(TableOwner::kKernel)], 0u);
  EXPECT_EQ(exposure_total({toggle.at_rest[0], 0, toggle.at_rest[2]}), 0u);
}

TEST(Exposure, AnUnmappedTableIsNotWritableAtRest_ThoseAboveItAre) {
  const ExposureSums leaf = life("unmap-leaf,per-page,pte"),
                     all = life("unmap-leaf:levels=all,per-page,pte");
  EXPECT_GT(exposure_total({leaf.at_rest[0], 0, 0}), 0u);
  EXPECT_EQ(exposure_total({all.at_rest[0], 0, all.at_rest[2]}), 0u);
}

// What another core's process has is another's; a core that stands still adds nothing.
TEST(Exposure, TablesOfOtherProcessesAreToldApart) {
  Kernel k(core_profile(), kernel_profile(), policy("none,buddy,pte", 2));
  k.spawn(1);
  k.spawn(2);
  map_and_write(k, 1, 16 << 20);
  const ExposureSums before = k.system().exposure.sums();
  k.compute(2, 1'000'000);
  const ExposureSums d = exposure_since(before, k.system().exposure.sums());
  EXPECT_GT(d.at_rest[static_cast<std::size_t>(TableOwner::kOther)],
            d.at_rest[static_cast<std::size_t>(TableOwner::kOwn)]);
}

}  // namespace
}  // namespace kpksim::kernel
