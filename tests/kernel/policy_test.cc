// What the scheme must show without any special case in the code: costs, faults, stale
// translations.

#include <gtest/gtest.h>

#include "sim/base/error.h"
#include "sim/kernel/kernel.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {
namespace {

const cpu::CoreProfile& profile() {
  static const cpu::CoreProfile p =
      cpu::read_core_profile(std::string(KPKSIM_SOURCE_DIR) + "/profiles/cores/neoverse-v1.json");
  return p;
}

Config config(const std::string& protection, bool batching, const std::string& allocator,
              Granularity map, unsigned cores = 1) {
  Config c;
  c.protection = protection;
  c.batching = batching;
  c.allocator = allocator;
  c.linear_map = map;
  c.memory_bytes = 1ull << 30;
  c.cores = cores;
  return c;
}

const Config kNone = config("none", false, "buddy", Granularity::kPte);
const Config kKeyed = config("kpkeys-poe", false, "per-page", Granularity::kPte);
const Config kBatched = config("kpkeys-poe", true, "per-page", Granularity::kPte);
const Config kPba = config("kpkeys-poe", true, "pba", Granularity::kBlock);

Vma rw() {
  Vma vma;
  vma.read = vma.write = true;
  return vma;
}

constexpr std::uint64_t kBytes = 16ull << 20;

std::uint64_t map_and_write(Kernel& k, std::uint32_t task, std::uint64_t bytes = kBytes) {
  const std::uint64_t at = k.mmap(task, rw(), bytes, 0);
  for (std::uint64_t i = 0; i < bytes; i += kPageSize) {
    EXPECT_TRUE(k.touch(task, at + i, poe::AccessKind::kWrite));
  }
  return at;
}

// The MSR POR_EL1 of a fork of kBytes.
std::uint64_t fork_msr(const Config& c) {
  Kernel k(profile(), c);
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
  Kernel k(profile(), kKeyed);
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
  Kernel k(profile(), kPba);
  k.spawn(1);
  const auto before = k.system().linear_map.statistics();
  const std::uint64_t at = map_and_write(k, 1);
  k.munmap(1, at, kBytes);
  const auto after = k.system().linear_map.statistics();
  EXPECT_EQ(after.set_memory_pkey, before.set_memory_pkey);  // the boot refill suffices
  EXPECT_EQ(after.split_pmd, 0u);
  EXPECT_EQ(k.system().allocator->statistics().refill9, 1u);
}

TEST(Policy, PbaFallsBackToSmallRunsWhenMemoryIsFragmented) {
  Kernel k(profile(), kPba);
  k.spawn(1);
  k.fragment(60, 7);
  for (std::uint64_t i = 0; i < 600; ++i) {
    const std::uint64_t at = k.mmap(1, rw(), kPageSize, 0x100000000 + i * kPmdSize);
    ASSERT_TRUE(k.touch(1, at, poe::AccessKind::kWrite));
  }
  const auto s = k.system().allocator->statistics();
  EXPECT_EQ(s.refill9, 1u);
  EXPECT_GT(s.refill4 + s.refill2, 0u);
}

TEST(Policy, ShrinkerLeavesSixteenPages) {
  Kernel k(profile(), kPba);
  k.spawn(1);
  k.pressure();
  EXPECT_EQ(k.system().allocator->statistics().cached, 16u);
}

TEST(Policy, CombinationsThatMakeNoSenseAreRefusedWithTheReason) {
  EXPECT_THROW(check(config("none", false, "pba", Granularity::kBlock)), InputError);
  EXPECT_THROW(check(config("kpkeys-poe", false, "buddy", Granularity::kPte)), InputError);
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
  Kernel k(profile(), c);
  k.spawn(1);
  Pfn root = k.system().linear_map.root();
  std::uint64_t va;
  if (vmalloc) {
    va = k.vmalloc(1);
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
      EXPECT_EQ(fault.kind, mmu::FaultKind::kPermission) << c.allocator << " level " << level;
      EXPECT_TRUE(fault.overlay);
    }
  }
}

TEST(DirectStore, SucceedsUnderNone) {
  EXPECT_FALSE(direct_store(kNone, true, 3));
  EXPECT_FALSE(direct_store(kNone, false, 2));
}

// A life that executes every flush of the kernel; returns the stale translations seen.
std::uint64_t stale_after_life(FlushSite left_out) {
  Config c = config("kpkeys-poe", true, "per-page", Granularity::kPte, 2);
  c.left_out_tlbi = left_out;
  Kernel k(profile(), c);
  std::uint64_t stale = 0;
  const auto audit = [&] {
    const AuditResult a = k.audit();
    stale += a.stale_leaves + a.stale_tables;
  };
  constexpr std::uint64_t kSmall = 64 << 10;
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1, kSmall);
  audit();
  k.fork(1, 2);
  audit();
  EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kRead));
  k.touch(1, at, poe::AccessKind::kWrite);  // copied
  audit();
  for (std::uint64_t i = 0; i < kSmall; i += kPageSize) k.touch(2, at + i, poe::AccessKind::kRead);
  k.exit(2);
  audit();
  k.wait(1, 2);
  k.mprotect(1, at, kSmall, true, false, false);
  audit();
  k.mprotect(1, at, kSmall, true, true, false);
  map_and_write(k, 1, kSmall);
  const std::uint64_t lazy = map_and_write(k, 1, kSmall);
  k.madvise_free(1, lazy, kSmall);
  audit();
  const std::uint64_t moving = map_and_write(k, 1, kSmall);
  k.mremap(1, moving, kSmall, kSmall, 0x200000000);
  audit();
  const std::uint64_t huge = k.mmap(1, rw(), 2 * kPmdSize, 0x300000000);
  k.madvise_huge(1, huge, 2 * kPmdSize, true);
  k.touch(1, huge + kPmdSize, poe::AccessKind::kWrite);
  k.touch(1, huge + kPmdSize, poe::AccessKind::kWrite);
  k.madvise_huge(1, huge + kPmdSize + kPageSize, kPageSize, false);  // splits VMA and block
  audit();
  k.touch(1, at, poe::AccessKind::kWrite);
  k.munmap(1, at, kSmall);
  audit();
  const std::uint64_t v = k.vmalloc(8);
  k.system().machine.core(0).load64(VirtAddr(v));
  k.vfree(v);
  k.pressure();
  audit();
  return stale;
}

TEST(Flush, NothingIsStaleWhenEveryFlushIsDone) {
  EXPECT_EQ(stale_after_life(FlushSite::kNone), 0u);
}

class LeftOut : public testing::TestWithParam<FlushSite> {};
TEST_P(LeftOut, LeavesAStaleTranslation) { EXPECT_GT(stale_after_life(GetParam()), 0u); }
INSTANTIATE_TEST_SUITE_P(Sites, LeftOut,
                         testing::Values(FlushSite::kForkParent, FlushSite::kCowBreak,
                                         FlushSite::kUnmap, FlushSite::kMprotect,
                                         FlushSite::kMremap, FlushSite::kExitMm,
                                         FlushSite::kVmallocPurge, FlushSite::kSetMemoryPkey,
                                         FlushSite::kThpSplit, FlushSite::kMadviseFree),
                         [](const auto& site) {
                           std::string name(kFlushSiteNames[static_cast<unsigned>(site.param)]);
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace kpksim::kernel
