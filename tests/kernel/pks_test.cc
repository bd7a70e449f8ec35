// kpkeys on x86-64: the register acts at once, and TLBs are shot down by interrupts.

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

Config pks(bool batching, unsigned cores = 1) {
  return config("kpkeys-pks", batching, "per-page", Granularity::kPte, cores);
}

std::uint64_t pks_total(Kernel& k, unsigned core, cpu::Event event) {
  return k.system().machine.core(core).counters().total(event);
}

TEST(Pks, WritesOfPageTablesNeedTheRegister) {
  Kernel k(x86_core_profile(), kernel_profile(), pks(false));
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1);
  cpu::Core& core = k.system().machine.core(0);
  const mmu::WalkResult leaf =
      mmu::walk(k.system().machine.memory(), core.mmu().registers(), VirtAddr(at));
  core.continue_at(1);
  const mmu::Fault fault = core.store64(linear_va(leaf.address), 0);
  EXPECT_EQ(fault.kind, mmu::FaultKind::kPermission);
  EXPECT_TRUE(fault.overlay);
  // Opened, it is writable at once, without a barrier.
  Protection& protection = *k.system().protection;
  const std::uint64_t before = protection.open(core, Target());
  EXPECT_FALSE(core.store64(linear_va(leaf.address), leaf.descriptor.raw));
  protection.close(core, Target(), before, false);
  EXPECT_TRUE(core.store64(linear_va(leaf.address), 0));
}

TEST(Pks, HasAsManyRegisterWritesAsPoeAndNoBarriers) {
  Kernel x86(x86_core_profile(), kernel_profile(), pks(true));
  Kernel arm(core_profile(), kernel_profile(),
             config("kpkeys-poe", true, "per-page", Granularity::kPte));
  for (Kernel* k : {&x86, &arm}) {
    k->spawn(1);
    k->munmap(1, map_and_write(*k, 1), kBytes);
  }
  EXPECT_EQ(pks_total(x86, 0, cpu::Event::kMsrPor), pks_total(arm, 0, cpu::Event::kMsrPor));
  for (const cpu::Event e : {cpu::Event::kIsb, cpu::Event::kDsbIsh, cpu::Event::kDsbIshst,
                             cpu::Event::kDvmSync, cpu::Event::kMrsPor}) {
    EXPECT_EQ(pks_total(x86, 0, e), 0u);
    EXPECT_GT(pks_total(arm, 0, e), 0u);
  }
}

TEST(Pks, ShootsDownTheCoresThatRunTheAddressSpace) {
  Kernel k(x86_core_profile(), kernel_profile(),
           config("none", false, "buddy", Granularity::kPte, 4));
  k.spawn(1);
  k.clone_thread(1, 2);
  k.spawn(3);
  const std::uint64_t at = map_and_write(k, 1);
  EXPECT_TRUE(k.touch(2, at, poe::AccessKind::kRead));  // on another core, which caches it
  EXPECT_EQ(k.audit().stale_leaves, 0u);
  const std::uint64_t before = pks_total(k, 0, cpu::Event::kIpi);
  k.munmap(1, at, 20 * kPageSize);  // INVLPG of each page
  EXPECT_EQ(pks_total(k, 0, cpu::Event::kIpi) - before, 1u);
  EXPECT_EQ(pks_total(k, 1, cpu::tlbi_event(mmu::TlbiKind::kVae1)), 20u);
  EXPECT_EQ(k.audit().stale_leaves, 0u);
  EXPECT_FALSE(k.touch(2, at, poe::AccessKind::kRead));
  k.munmap(1, at, kBytes);  // too many: all of the address space
  EXPECT_EQ(k.audit().stale_leaves + k.audit().stale_tables, 0u);
}

TEST(Pks, KeyingReachesEveryCore) {
  Kernel k(x86_core_profile(), kernel_profile(), pks(false, 4));
  k.spawn(1);
  const std::uint64_t calls = k.system().linear_map.statistics().set_memory_pkey;
  const std::uint64_t before = pks_total(k, 0, cpu::Event::kIpi);
  map_and_write(k, 1);
  const std::uint64_t more = k.system().linear_map.statistics().set_memory_pkey - calls;
  EXPECT_GT(more, 0u);
  EXPECT_EQ(pks_total(k, 0, cpu::Event::kIpi) - before, more);  // one for each call, to three cores
  EXPECT_EQ(pks_total(k, 0, cpu::Event::kIpiMore), 2 * pks_total(k, 0, cpu::Event::kIpi));
}

TEST(Pks, AForgottenFlushLeavesStaleEntries) {
  Config cfg = pks(false, 2);
  cfg.injections = without_tlbis(FlushSite::kUnmap);
  Kernel k(x86_core_profile(), kernel_profile(), cfg);
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1);
  k.munmap(1, at, kBytes);
  EXPECT_GT(k.audit().stale_leaves, 0u);
}

TEST(Pks, OtherCombinationsAreRefused) {
  const auto refusal = [](const cpu::CoreProfile& core, const Config& cfg) -> std::string {
    try {
      Kernel k(core, kernel_profile(), cfg);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  };
  const std::string on_arm = refusal(core_profile(), pks(false));
  EXPECT_TRUE(
      on_arm.starts_with("core 'neoverse-v1' is AArch64: protection 'kpkeys-pks' is for "
                         "the other architecture; use one of none, kpkeys-poe"))
      << on_arm;
  EXPECT_EQ(on_arm.find("mte"), std::string::npos) << "which this core lacks";
  const std::string on_x86 =
      refusal(x86_core_profile(), config("kpkeys-poe", false, "buddy", Granularity::kPte));
  EXPECT_TRUE(
      on_x86.starts_with("core 'sapphire-rapids' is x86-64: protection 'kpkeys-poe' is for "
                         "the other architecture; use one of none, kpkeys-pks"))
      << on_x86;
  EXPECT_EQ(refusal(x86_core_profile(), config("none", false, "buddy", Granularity::kContPte)),
            "core 'sapphire-rapids' is x86-64, which has no contiguous bit: use 'pte' or 'block'");
}

}  // namespace
}  // namespace kpksim::kernel
