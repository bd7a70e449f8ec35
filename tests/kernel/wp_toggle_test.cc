// wp-toggle on x86-64: what a window of CR0.WP opens, for whom, and what it costs.

#include "sim/base/error.h"
#include "sim/kernel/protect/protection.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

Config wp_toggle_with(const char* policy, unsigned cores = 1) {
  Config c;
  c.policy = parse_policy(policy);
  c.memory_bytes = 256ull << 20;
  c.cores = cores;
  return c;
}

// A kernel with a process that has written, in the kernel on core 0, and a word of its leaf table.
struct WpToggleWorld {
  explicit WpToggleWorld(const Config& config) : k(x86_core_profile(), kernel_profile(), config) {
    k.spawn(1);
    const std::uint64_t at = map_and_write(k, 1, 1 << 20);
    word =
        linear_va(mmu::walk(system.machine.memory(), core.mmu().registers(), VirtAddr(at)).address);
    value = core.load64(word).value;
    core.continue_at(1);
  }
  bool refused(cpu::Core& on) const { return static_cast<bool>(on.store64(word, value)); }
  std::uint64_t total(cpu::Event event) const { return core.counters().total(event); }

  Kernel k;
  System& system = k.system();
  Protection& protection = *system.protection;
  cpu::Core& core = system.machine.core(0);
  VirtAddr word;
  std::uint64_t value = 0;
};

TEST(WpToggle, AWindowIsThisCoresAlone_AndClosesAtOnce) {
  WpToggleWorld w(wp_toggle_with("wp-toggle,per-page,pte", 2));
  cpu::Core& other = w.system.machine.core(1);
  EXPECT_TRUE(w.refused(w.core));
  const std::uint64_t before = w.protection.open(w.core, Target());
  // Twice: the second store finds the translation in the L1 TLB.
  EXPECT_FALSE(w.refused(w.core));
  EXPECT_FALSE(w.refused(w.core));
  EXPECT_TRUE(w.refused(other));
  w.protection.close(w.core, Target(), before, false);
  EXPECT_TRUE(w.refused(w.core));
}

TEST(WpToggle, AFaultInAWindowIsAPlainPermissionFaultOutsideIt) {
  WpToggleWorld w(wp_toggle_with("wp-toggle,per-page,pte"));
  const mmu::Fault fault = w.core.store64(w.word, 0);
  EXPECT_EQ(fault.kind, mmu::FaultKind::kPermission);
  EXPECT_FALSE(fault.overlay);
  EXPECT_EQ(w.core.load64(w.word).value, w.value);
}

// Two writes for a window, and none where WP is clear already. What the inner guard reads is in the
// outer window's length.
TEST(WpToggle, AnInnerWindowWritesNoRegister) {
  WpToggleWorld w(wp_toggle_with("wp-toggle,per-page,pte"));
  const std::uint64_t writes = w.total(cpu::Event::kMovToCr0);
  const std::uint64_t reads = w.total(cpu::Event::kMovFromCr0);
  const std::uint64_t outer = w.protection.open(w.core, Target());
  const std::uint64_t inner = w.protection.open(w.core, Target());
  w.protection.close(w.core, Target(), inner, false);
  EXPECT_FALSE(w.refused(w.core));
  w.protection.close(w.core, Target(), outer, false);
  EXPECT_TRUE(w.refused(w.core));
  EXPECT_EQ(w.total(cpu::Event::kMovToCr0) - writes, 2u);
  EXPECT_EQ(w.total(cpu::Event::kMovFromCr0) - reads, 2u);
  EXPECT_EQ(w.core.windows().millicycles, w.core.elapsed().open);
}

TEST(WpToggle, HasTheWindowsOfPks_AndTheirLengthsAddUp) {
  for (const char* window : {"", "+lazy", "+lock"}) {
    WpToggleWorld wp(wp_toggle_with(("wp-toggle" + std::string(window) + ",per-page,pte").c_str()));
    WpToggleWorld pks(
        wp_toggle_with(("kpkeys-pks" + std::string(window) + ",per-page,pte").c_str()));
    for (WpToggleWorld* w : {&wp, &pks}) {
      w->k.fork(1, 2);
      w->k.exit_all();
    }
    EXPECT_EQ(wp.core.windows().count, pks.core.windows().count) << window;
    EXPECT_EQ(wp.core.windows().stores, pks.core.windows().stores) << window;
    EXPECT_EQ(wp.core.windows().millicycles, wp.core.elapsed().open) << window;
    EXPECT_GT(wp.core.windows().millicycles, pks.core.windows().millicycles) << window;
    EXPECT_EQ(wp.total(cpu::Event::kMsrPor), 0u);
  }
}

// WP opens every read-only page: swapper_pg_dir too, which no key opens.
TEST(WpToggle, AWindowExposesAllTables_AndSwapperToo) {
  const auto exposed_in_window = [](const char* policy) {
    WpToggleWorld w(wp_toggle_with(policy));
    const std::uint64_t before = w.protection.open(w.core, Target());
    const ExposureSums then = w.system.exposure.sums();
    const std::uint64_t start = w.core.elapsed().open;
    w.core.execute(1000);
    const ExposureSums d = exposure_since(then, w.system.exposure.sums());
    const std::uint64_t length = w.core.elapsed().open - start;
    w.protection.close(w.core, Target(), before, false);
    const ExposureSums end = w.system.exposure.sums();
    ByteMillicycles in_windows = 0;
    for (std::size_t i = 0; i < kTableOwners; ++i) {
      EXPECT_EQ(static_cast<std::uint64_t>(end.at_rest[i]), 0u) << policy;
      in_windows += d.in_windows[i];
    }
    return static_cast<std::uint64_t>(in_windows / length) / kPageSize -
           w.system.allocator->statistics().live - w.system.linear_map.boot_range().second;
  };
  EXPECT_EQ(exposed_in_window("kpkeys-pks,per-page,pte"), 0u);
  EXPECT_EQ(exposed_in_window("wp-toggle,per-page,pte"), 1u);
}

TEST(WpToggle, AnArmCoreRefusesItWithTheReason) {
  try {
    const Kernel k(core_profile(), kernel_profile(), wp_toggle_with("wp-toggle,per-page,pte"));
    FAIL() << "accepted";
  } catch (const InputError& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with(
        "core 'neoverse-v1' is AArch64: protection 'wp-toggle' is for the other architecture"))
        << e.what();
  }
}

}  // namespace
}  // namespace kpksim::kernel
