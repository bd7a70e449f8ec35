// The linear map of x86-64: what a change of a range splits, and what it flushes.

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kBlockPages = kPmdSize >> kPageShift;

struct CpaWorld {
  explicit CpaWorld(const char* policy = "none,buddy,block", unsigned cores = 4)
      : k(x86_core_profile(), kernel_profile(), with(policy, cores)) {}
  static Config with(const char* policy, unsigned cores) {
    Config c;
    c.policy = parse_policy(policy);
    c.memory_bytes = (4ull << 30) + (64ull << 20);
    c.cores = cores;
    return c;
  }
  // All of one event, over all cores.
  std::uint64_t total(cpu::Event event) {
    std::uint64_t sum = 0;
    for (std::size_t c = 0; c < system.machine.core_count(); ++c) {
      sum += system.machine.core(c).happened(event);
    }
    return sum;
  }
  std::uint64_t tlbis(mmu::TlbiKind kind) { return total(cpu::tlbi_event(kind)); }
  unsigned level_of(Pfn pfn) {
    return mmu::walk(system.machine.memory(), core.mmu().registers(), linear_va(address_of(pfn)))
        .level;
  }
  mmu::Descriptor leaf(Pfn pfn) { return map.leaf(system.machine.memory(), pfn); }
  // A frame of the third GB, which nothing has been taken from.
  Pfn third_gb() const { return system.buddy.first() + 2 * (kPudSize >> kPageShift); }

  Kernel k;
  System& system = k.system();
  LinearMap& map = system.linear_map;
  cpu::Core& core = system.machine.core(0);
};

TEST(X86LinearMap, HasBlocksOf1GB_AndNoRuns) {
  CpaWorld w;
  EXPECT_EQ(w.level_of(w.third_gb()), 1u);
  const Pfn behind = w.system.buddy.first() + 4 * (kPudSize >> kPageShift);
  EXPECT_EQ(w.level_of(behind), 2u);
  EXPECT_FALSE(w.leaf(behind).contiguous());
  w.map.set_memory(w.core, w.third_gb(), 1, kSetMemoryRo);
  for (const Pfn pfn : {w.third_gb(), w.third_gb() + 1, w.third_gb() + kBlockPages}) {
    EXPECT_FALSE(w.leaf(pfn).contiguous());
  }
}

// One page of a 1 GB block: two splits, each of which empties the TLBs of all four cores; then the
// page itself is flushed on each.
TEST(X86LinearMap, EverySplitFlushesAllOfEveryCore) {
  CpaWorld w;
  const std::uint64_t ipis = w.total(cpu::Event::kIpi), more = w.total(cpu::Event::kIpiMore);
  const std::uint64_t all = w.tlbis(mmu::TlbiKind::kVmalle1);
  const std::uint64_t page = w.tlbis(mmu::TlbiKind::kVaae1);
  w.map.set_memory(w.core, w.third_gb() + 5, 1, kSetMemoryRo);
  EXPECT_EQ(w.map.statistics().split_pud, 1u);
  EXPECT_EQ(w.map.statistics().split_pmd, 1u);
  EXPECT_EQ(w.tlbis(mmu::TlbiKind::kVmalle1) - all, 2u * 4);
  EXPECT_EQ(w.tlbis(mmu::TlbiKind::kVaae1) - page, 4u);
  EXPECT_EQ(w.total(cpu::Event::kIpi) - ipis, 3u);
  EXPECT_EQ(w.total(cpu::Event::kIpiMore) - more, 3u * 2);
  EXPECT_EQ(w.level_of(w.third_gb() + 5), 3u);
  EXPECT_EQ(w.level_of(w.third_gb() + kBlockPages), 2u);
}

// The block would not change, so it need not be split, whatever part of it is asked for; and where
// no entry has changed nothing is flushed.
TEST(X86LinearMap, WhatIsSoAlreadyIsNeitherSplitNorFlushed) {
  CpaWorld w;
  const std::uint64_t ipis = w.total(cpu::Event::kIpi);
  w.map.set_memory(w.core, w.third_gb() + 5, 1, kSetMemoryRw);
  w.map.set_memory_pkey(w.core, w.third_gb() + 7, 300, kPkeyDefault);
  EXPECT_EQ(w.level_of(w.third_gb() + 5), 1u);
  EXPECT_EQ(w.total(cpu::Event::kIpi), ipis);
}

// A range that begins and ends within blocks of 2 MB, with a whole one between.
TEST(X86LinearMap, BlocksThatTheRangeCoversStayWhole) {
  CpaWorld w;
  w.map.set_memory(w.core, w.third_gb() + kBlockPages - 1, kBlockPages + 2, kSetMemoryRo);
  EXPECT_EQ(w.map.statistics().split_pud, 1u);
  EXPECT_EQ(w.map.statistics().split_pmd, 2u);
  EXPECT_EQ(w.level_of(w.third_gb() + kBlockPages), 2u);
  const auto read_only = [&](std::uint64_t page) {
    return mmu::field::kAp2.get(w.leaf(w.third_gb() + page).raw) != 0;
  };
  EXPECT_FALSE(read_only(kBlockPages - 2));
  EXPECT_TRUE(read_only(kBlockPages - 1));
  EXPECT_TRUE(read_only(kBlockPages));
  EXPECT_TRUE(read_only(2 * kBlockPages));
  EXPECT_FALSE(read_only(2 * kBlockPages + 1));
}

// A range that begins within a block which is so already, and ends within the next, which is not.
TEST(X86LinearMap, WhatFollowsABlockThatIsSoAlreadyIsChangedFromItsBegin) {
  CpaWorld w;
  w.map.set_memory(w.core, w.third_gb(), kBlockPages, kSetMemoryRo);
  w.map.set_memory(w.core, w.third_gb() + kBlockPages - 4, 8, kSetMemoryRo);
  for (std::uint64_t page = kBlockPages - 4; page < kBlockPages + 4; ++page) {
    const mmu::Descriptor d = w.leaf(w.third_gb() + page);
    EXPECT_NE(mmu::field::kAp2.get(d.raw), 0u) << page;
  }
  EXPECT_EQ(mmu::field::kAp2.get(w.leaf(w.third_gb() + kBlockPages + 4).raw), 0u);
}

TEST(X86LinearMap, PagesOfASplitKeepTheKeyAndTheRightsOfTheirBlock) {
  CpaWorld w;
  w.map.set_memory(w.core, w.third_gb(), kBlockPages, kSetMemoryRo);
  w.map.set_memory_pkey(w.core, w.third_gb(), kBlockPages, kPkeyPgtables);
  w.map.set_memory(w.core, w.third_gb() + 9, 1, kSetMemoryRw);
  const mmu::Descriptor other = w.leaf(w.third_gb() + 10);
  EXPECT_EQ(w.level_of(w.third_gb() + 10), 3u);
  EXPECT_EQ(other.po_index(), kPkeyPgtables);
  EXPECT_EQ(other.output(), address_of(w.third_gb() + 10));
  EXPECT_TRUE(w.core.store64(linear_va(address_of(w.third_gb() + 10)), 1));
  EXPECT_FALSE(w.core.store64(linear_va(address_of(w.third_gb() + 9)), 1));
}

TEST(X86LinearMap, NoCoreKeepsTheBlock) {
  CpaWorld w;
  const VirtAddr va = linear_va(address_of(w.third_gb() + 3));
  for (std::size_t c = 0; c < 4; ++c) {
    EXPECT_FALSE(w.system.machine.core(c).store64(va, 1));
  }
  w.map.set_memory(w.core, w.third_gb(), 8, kSetMemoryRo);
  for (std::size_t c = 0; c < 4; ++c) {
    EXPECT_TRUE(w.system.machine.core(c).store64(va, 1)) << c;
  }
  EXPECT_EQ(w.k.audit().stale_leaves + w.k.audit().stale_tables, 0u);
}

// pba keys its runs by whole blocks, as on AArch64, so that nothing but its first 1 GB is split.
TEST(X86LinearMap, PbaSplitsFewBlocks_AndPerPageKeyingMany) {
  const auto splits = [](const char* policy) {
    CpaWorld w(policy, 1);
    w.k.spawn(1);
    w.k.munmap(1, map_and_write(w.k, 1), kBytes);
    EXPECT_EQ(w.k.audit().stale_leaves + w.k.audit().stale_tables, 0u) << policy;
    return w.map.statistics().split_pmd;
  };
  EXPECT_EQ(splits("kpkeys-pks,pba,block"), 0u);
  EXPECT_GT(splits("kpkeys-pks,per-page,block"), 0u);
}

}  // namespace
}  // namespace kpksim::kernel
