// What the scheme must show without any special case in the code: costs, faults, stale
// translations.

#include <gtest/gtest.h>

#include "sim/base/error.h"
#include "sim/kernel/kernel.h"
#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

const Config kNone = config("none", false, "buddy", Granularity::kPte);
const Config kKeyed = config("kpkeys-poe", false, "per-page", Granularity::kPte);
const Config kBatched = config("kpkeys-poe", true, "per-page", Granularity::kPte);
const Config kPba = config("kpkeys-poe", true, "pba", Granularity::kBlock);

// The MSR POR_EL1 of a fork of kBytes.
std::uint64_t fork_msr(const Config& c) {
  Kernel k(core_profile(), kernel_profile(), c);
  k.spawn(1);
  map_and_write(k, 1);
  const cpu::Counters before = k.system().machine.core(0).counters();
  k.fork(1, 2);
  return (k.system().machine.core(0).counters() - before).total(cpu::Event::kMsrPor);
}

TEST(Policy, NoneNeverWritesPor) { EXPECT_EQ(fork_msr(kNone), 0u); }

TEST(Policy, WithoutBatchingEachEntryCostsTwoMsr) {
  const std::uint64_t entries = 2 * kBytes / kPageSize;  // parent write-protected, child set
  EXPECT_GE(fork_msr(kKeyed), 2 * entries);
  EXPECT_LE(fork_msr(kKeyed), 2 * entries + 400);
}

TEST(Policy, BatchingNeedsAFewMsrPerPageTable) {
  EXPECT_GT(fork_msr(kBatched), 0u);
  EXPECT_LT(fork_msr(kBatched), 400u);
}

TEST(Policy, PerPageKeysEachTableOnceAtAllocationAndOnceAtFree) {
  Kernel k(core_profile(), kernel_profile(), kKeyed);
  k.spawn(1);
  const auto tables = k.system().allocator->statistics();
  const auto before = k.system().linear_map.statistics();
  const std::uint64_t at = map_and_write(k, 1);
  k.munmap(1, at, kBytes);
  const auto after = k.system().allocator->statistics();
  const auto keyed = k.system().linear_map.statistics();
  EXPECT_GE(after.allocated - tables.allocated, kBytes / kPmdSize);
  EXPECT_EQ(keyed.set_memory_pkey - before.set_memory_pkey,
            after.allocated - tables.allocated + after.freed - tables.freed);
}

TEST(Policy, PbaKeysFiveHundredTwelvePagesAtOnceAndKeepsThem) {
  Kernel k(core_profile(), kernel_profile(), kPba);
  k.spawn(1);
  const auto before = k.system().linear_map.statistics();
  const std::uint64_t at = map_and_write(k, 1);
  k.munmap(1, at, kBytes);
  const auto after = k.system().linear_map.statistics();
  EXPECT_EQ(after.set_memory_pkey, before.set_memory_pkey);  // the boot refill suffices
  EXPECT_EQ(after.split_pmd, 0u);
  EXPECT_EQ(k.system().allocator->statistics().own_value("refills_order_9"), 1u);
}

TEST(Policy, PbaFallsBackToSmallRunsWhenMemoryIsFragmented) {
  Kernel k(core_profile(), kernel_profile(), kPba);
  k.spawn(1);
  k.memory().fragment(60, 7);
  for (std::uint64_t i = 0; i < 600; ++i) {
    const std::uint64_t at = k.mmap(1, rw(), kPageSize, 0x100000000 + i * kPmdSize);
    ASSERT_TRUE(k.touch(1, at, poe::AccessKind::kWrite));
  }
  const auto s = k.system().allocator->statistics();
  EXPECT_EQ(s.own_value("refills_order_9"), 1u);
  EXPECT_GT(s.own_value("refills_order_4") + s.own_value("refills_order_2"), 0u);
}

TEST(Policy, ShrinkerLeavesSixteenPages_LessTheOneThatASplitTakes) {
  Kernel k(core_profile(), kernel_profile(), kPba);
  k.spawn(1);
  k.memory().pressure();
  EXPECT_EQ(k.system().linear_map.statistics().split_pmd, 1u);
  EXPECT_EQ(k.system().allocator->statistics().cached, 15u);
}

TEST(Policy, CombinationsThatMakeNoSenseAreRefusedWithTheReason) {
  EXPECT_THROW(check(config("none", false, "pba", Granularity::kBlock)), InputError);
  EXPECT_THROW(check(config("none", true, "buddy", Granularity::kPte)), InputError);
  EXPECT_THROW(check(config("kpkeys-poe", false, "pba", Granularity::kPte)), InputError);
}

// The entry of `va` at `level` below `root`, found as a debugger would.
PhysAddr entry(Kernel& k, Pfn root, std::uint64_t va, unsigned level) {
  Pfn table = root;
  for (unsigned l = 0; l < level; ++l) {
    const PhysAddr e = address_of(table) + ((va >> mmu::level_shift(l)) & 511) * 8;
    table = mmu::Descriptor{k.system().machine.memory().read64(e)}.pfn();
  }
  return address_of(table) + ((va >> mmu::level_shift(level)) & 511) * 8;
}

// The series' KUnit cases: a direct write to a page-table page through the linear map.
mmu::Fault direct_store(const Config& c, bool vmalloc, unsigned level) {
  Kernel k(core_profile(), kernel_profile(), c);
  k.spawn(1);
  Pfn root = k.system().linear_map.root();
  std::uint64_t va;
  if (vmalloc) {
    va = k.memory().vmalloc(1, false);
  } else {
    va = k.mmap(1, rw(), kPageSize, 0x100000000);
    k.touch(1, va, poe::AccessKind::kWrite);
    root = frame_of(PhysAddr(k.system().machine.core(0).mmu().registers().ttbr0 &
                             mmu::field::kOutputAddress.mask()));
  }
  return k.system().machine.core(0).store64(linear_va(entry(k, root, va, level)), 0);
}

TEST(DirectStore, ToAnyTableFaultsWithOverlayUnderKpkeys) {
  for (const Config& c : {kKeyed, kBatched, kPba}) {
    for (const auto& [vmalloc, level] :
         {std::pair{true, 3u}, {false, 3u}, {false, 2u}, {false, 0u}}) {
      const mmu::Fault fault = direct_store(c, vmalloc, level);
      EXPECT_EQ(fault.kind, mmu::FaultKind::kPermission) << text_of(c.policy) << " level " << level;
      EXPECT_TRUE(fault.overlay);
    }
  }
}

// The tables of the linear map itself, where they are pages and where they are blocks.
TEST(DirectStore, ToATableOfTheLinearMapFaultsUnderKpkeys) {
  for (const Config& c : {kNone, kKeyed, kBatched, kPba}) {
    Kernel k(core_profile(), kernel_profile(), c);
    const unsigned level = c.policy.linear_map == Granularity::kPte ? 3 : 2;
    const std::uint64_t va = linear_va(PhysAddr(kPhysOffset + (64 << 20))).value;
    const PhysAddr at = entry(k, k.system().linear_map.root(), va, level);
    cpu::Core& core = k.system().machine.core(0);
    const std::uint64_t now = k.system().machine.memory().read64(at);
    const mmu::Fault fault = core.store64(linear_va(at), now);
    EXPECT_EQ(static_cast<bool>(fault), c.policy.protection.name != "none") << text_of(c.policy);
    EXPECT_EQ(fault.overlay, c.policy.protection.name != "none");
  }
}

TEST(DirectStore, SucceedsUnderNone) {
  EXPECT_FALSE(direct_store(kNone, true, 3));
  EXPECT_FALSE(direct_store(kNone, false, 2));
}

// MADV_FREE leaves clean pages that stay writable: hardware marks them dirty again, without a
// fault.
TEST(HardwareDirty, WriteAfterMadvFreeTakesNoFault) {
  Kernel k(core_profile(), kernel_profile(), kNone);
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1, 64 << 10);
  k.madvise_free(1, at, 64 << 10);
  const cpu::Counters before = k.system().machine.core(0).counters();
  EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kWrite));
  EXPECT_EQ((k.system().machine.core(0).counters() - before).total(cpu::Event::kExceptionEl0), 0u);
  cpu::CoreProfile plain = core_profile();
  plain.hafdbs = false;
  Kernel software(plain, kernel_profile(), kNone);
  software.spawn(1);
  const std::uint64_t there = map_and_write(software, 1, 64 << 10);
  software.madvise_free(1, there, 64 << 10);
  const cpu::Counters earlier = software.system().machine.core(0).counters();
  EXPECT_TRUE(software.touch(1, there, poe::AccessKind::kWrite));
  EXPECT_EQ(
      (software.system().machine.core(0).counters() - earlier).total(cpu::Event::kExceptionEl0),
      1u);
}

TEST(Vfork, ExecWakesTheParent_WhileBothStillShareTheAddressSpace) {
  const auto exec = [](bool parent_runs) {
    Kernel k(core_profile(), kernel_profile(), kNone);
    k.spawn(1);
    k.vfork(1, 2);
    k.exec(2, nullptr, parent_runs);
    return k.system().machine.core(0).counters();
  };
  const cpu::Counters more = exec(true) - exec(false);
  EXPECT_EQ(more.total(cpu::Event::kDsbIsh), 2u);  // there and back
  EXPECT_EQ(more.total(cpu::Event::kMsrTtbr), 0u);
}

}  // namespace
}  // namespace kpksim::kernel
