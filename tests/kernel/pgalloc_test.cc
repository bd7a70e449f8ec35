// What each page-table allocator promises: how many marks, of which runs, what is kept and for how
// long, and what happens when there is no more.

#include <algorithm>
#include <set>
#include <vector>

#include "sim/base/error.h"
#include "sim/kernel/boot_tables.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"
#include "tests/kernel/random_calls.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kPgallocBlock = 512;

class PgallocTables {
 public:
  explicit PgallocTables(const std::string& allocator, const std::string& map = "pte",
                         unsigned cores = 1)
      : k_(core_profile(), kernel_profile(), config_of(allocator, map, cores)) {
    start_ = system().linear_map.statistics();
  }

  System& system() { return k_.system(); }
  Kernel& kernel() { return k_; }
  PageTableAllocator& allocator() { return *system().allocator; }
  Pfn take(unsigned core = 0) {
    return allocator().allocate(system().machine.core(core), TableKind::kUserLeaf);
  }
  std::vector<Pfn> take_all(std::uint64_t n) {
    std::vector<Pfn> pages;
    for (std::uint64_t i = 0; i < n; ++i) pages.push_back(take());
    return pages;
  }
  void give(Pfn page) { allocator().free(system().machine.core(0), page); }
  void give(const std::vector<Pfn>& pages) {
    for (const Pfn page : pages) give(page);
  }
  std::uint64_t own(const std::string& name) { return allocator().statistics().own_value(name); }
  std::uint64_t cached() { return allocator().statistics().cached; }
  std::uint64_t free_pages() { return system().buddy.free_pages(); }
  bool marked(Pfn page) {
    return system().linear_map.key_of(system().machine.memory(), page) == kPkeyPgtables;
  }
  std::size_t marked(const std::vector<Pfn>& pages) {
    return static_cast<std::size_t>(
        std::count_if(pages.begin(), pages.end(), [&](Pfn page) { return marked(page); }));
  }
  // Calls that marked or unmarked, and of how many pages, since boot.
  std::pair<std::uint64_t, std::uint64_t> calls() {
    const LinearMapStatistics now = system().linear_map.statistics();
    return {now.set_memory_pkey - start_.set_memory_pkey, now.pages - start_.pages};
  }
  std::pair<std::uint64_t, std::uint64_t> boot_calls() const {
    return {start_.set_memory_pkey, start_.pages};
  }

 private:
  static Config config_of(const std::string& allocator, const std::string& map, unsigned cores) {
    Config c;
    c.policy = parse_policy("kpkeys-poe," + allocator + "," + map);
    c.memory_bytes = 1ull << 30;
    c.cores = cores;
    return c;
  }

  Kernel k_;
  LinearMapStatistics start_;
};

using Calls = std::pair<std::uint64_t, std::uint64_t>;

std::vector<Pfn> run(Pfn first, std::uint64_t count) {
  std::vector<Pfn> pages;
  for (std::uint64_t i = 0; i < count; ++i) pages.push_back(first + i);
  return pages;
}

void pgalloc_tables_below(const mmu::PhysicalMemory& memory, Pfn root, unsigned level,
                          std::set<Pfn>& found) {
  if (level == mmu::kLastLevel) return;
  for (unsigned i = 0; i < kEntriesPerTable; ++i) {
    const mmu::Descriptor d{memory.read64(address_of(root) + i * 8)};
    if (!d.valid() || !d.table_or_page()) continue;
    found.insert(d.pfn());
    pgalloc_tables_below(memory, d.pfn(), level + 1, found);
  }
}

std::vector<Pfn> kernel_tables(System& s) {
  std::set<Pfn> found;
  pgalloc_tables_below(s.machine.memory(), s.linear_map.root(), 0, found);
  return {found.begin(), found.end()};
}

// Those of boot, and those that splits needed, whatever these were for.
TEST(Allocators, AllTablesOfTheKernelAreMarked) {
  for (const char* allocator : {"pba", "ppa", "ppa:form=v7", "cached", "slab", "slab:order=0",
                                "pageblock", "reserve", "reserve:size=1:fallback=per-page"}) {
    for (const char* map : {"block", "contpte", "pte"}) {
      if (allocator[1] == 'b' && map == std::string("pte")) continue;
      PgallocTables t(allocator, map);
      const std::vector<Pfn> pages = t.take_all(1100);
      EXPECT_EQ(t.marked(pages), pages.size());
      t.give(pages);
      t.kernel().memory().vmalloc(1, false);
      const std::vector<Pfn> tables = kernel_tables(t.system());
      ASSERT_GT(tables.size(), 3u);
      EXPECT_EQ(t.marked(tables), tables.size()) << allocator << " " << map;
    }
  }
}

// What docs/policies.md says of `per-page` on blocks: the tables that splits need stay unmarked,
// and nothing else does. Whoever writes to one gives any page below it the default key.
TEST(PerPage, OnBlocksTheTablesOfSplitsStayWritable_AndSoIsWhatTheyMap) {
  for (const char* map : {"block", "contpte", "pte"}) {
    PgallocTables t("per-page", map);
    System& s = t.system();
    cpu::Core& core = s.machine.core(0);
    t.take_all(1100);
    const LinearMapStatistics splits = s.linear_map.statistics();
    std::vector<Pfn> exposed;
    for (const Pfn table : kernel_tables(s)) {
      const VirtAddr word = linear_va(address_of(table)) + 511 * 8;
      const std::uint64_t before = s.machine.memory().read64(address_of(table) + 511 * 8);
      const mmu::Fault fault = core.store64(word, before);
      EXPECT_EQ(static_cast<bool>(fault), t.marked(table));
      if (!fault) exposed.push_back(table);
    }
    EXPECT_EQ(exposed.size(), splits.split_pud + splits.split_pmd) << map;
    EXPECT_EQ(exposed.empty(), map != std::string("block"));
  }
}

TEST(PerPage, AStrayStoreToTheTableOfASplitOpensAPageTable) {
  PgallocTables t("per-page", "block");
  System& s = t.system();
  cpu::Core& core = s.machine.core(0);
  const Pfn victim = t.take();
  const PhysAddr entry =
      mmu::walk(s.machine.memory(), core.mmu().registers(), linear_va(address_of(victim))).address;
  ASSERT_FALSE(t.marked(frame_of(entry)));
  EXPECT_TRUE(core.store64(linear_va(address_of(victim)), 0).overlay);
  const mmu::Descriptor d{s.machine.memory().read64(entry)};
  EXPECT_FALSE(core.store64(linear_va(entry), d.with(mmu::field::kPoIndex, 0).raw));
  // The old entry leaves the TLB sooner or later by itself.
  s.flush.local_all(core, FlushSite::kSetMemory);
  EXPECT_FALSE(core.store64(linear_va(address_of(victim)), 0));
}

// As EveryPolicy has it for the defaults.
TEST(Allocators, RandomCallsLeaveNothingBehind_WithTightParameters) {
  for (const char* allocator :
       {"pba:orders=4/2:reserve=16", "pba:ppa=on", "ppa:form=v7", "cached:bound=1:keep=0",
        "slab:order=0:keep=0", "slab:order=5:keep=1", "slab:order=10",
        "pageblock:fallback=per-page", "reserve:size=20:fallback=per-page"}) {
    for (const char* map : {"block", "contpte", "pte"}) {
      if (allocator[1] == 'b' && map == std::string("pte")) continue;
      EXPECT_TRUE(rc::check(std::string(allocator) + " " + map, [&] {
        const auto steps = *rc::gen::resize(20, rc::gen::container<std::vector<Step>>(step()));
        Config c;
        c.policy = parse_policy(std::string("kpkeys-poe+lazy,") + allocator + "," + map);
        c.memory_bytes = 256ull << 20;
        World world(c);
        for (const Step& s : steps) world.execute(s);
        world.end();
      }));
    }
  }
}

// The tables of 1 GB: one of level 1, one of level 2, 512 of level 3.
constexpr std::uint64_t kBootTables = 514;

TEST(Ppa, V7MergesNeighbouringPages_SoThatOneCallMarksAll) {
  EXPECT_EQ(PgallocTables("ppa:form=v7").boot_calls(), (Calls{1, kBootTables}));
  EXPECT_EQ(PgallocTables("per-page").boot_calls(), (Calls{kBootTables, kBootTables}));
}

TEST(Ppa, V6MarksFullRangesInOneCall_AndWhatIsUsedOfTheLast) {
  PgallocTables t("ppa:form=v6");
  EXPECT_EQ(t.boot_calls(), (Calls{2, kBootTables}));
  const Pfn first = t.system().linear_map.root() + 1;
  EXPECT_EQ(first.value % kPgallocBlock, 0u);
  EXPECT_EQ(t.marked(run(first, 2 * kPgallocBlock)), kBootTables);
  EXPECT_EQ(t.own("ranges"), 2u);
}

TEST(Ppa, V6GivesTheRestOfItsLastRangeBack) {
  EXPECT_EQ(PgallocTables("ppa:form=v6").free_pages(), PgallocTables("ppa:form=v7").free_pages());
  // On a map of blocks each split takes a table besides.
  const auto free = [](const char* form) {
    PgallocTables t(form, "block");
    const auto map = t.system().linear_map.statistics();
    return t.free_pages() + map.split_pud + map.split_pmd;
  };
  EXPECT_EQ(free("ppa:form=v6"), free("ppa:form=v7"));
}

TEST(Ppa, ASplitsTableIsMarkedLate) {
  PgallocTables t("ppa", "block");
  const auto map = t.system().linear_map.statistics();
  EXPECT_EQ(t.own("late"), map.split_pud + map.split_pmd);
  EXPECT_GT(t.own("late"), 0u);
}

TEST(Ppa, WhatIsAllocatedBeforePagesCanBeMarkedIsMarkedThen) {
  PgallocTables t("per-page");
  System& s = t.system();
  cpu::Core& core = s.machine.core(0);
  const auto ppa = Allocators::find("ppa", "").make(
      {s.buddy, s.linear_map, s.tables, s.machine.memory(), *s.protection}, {});
  const Pfn stays = ppa->allocate(core, TableKind::kKernel);
  const Pfn goes = ppa->allocate(core, TableKind::kKernel);
  ppa->free(core, goes);
  EXPECT_FALSE(t.marked(stays));
  ppa->boot(core);
  EXPECT_TRUE(t.marked(stays));
  EXPECT_FALSE(t.marked(goes));
  EXPECT_EQ(ppa->statistics().own_value("early"), 1u);
  ppa->free(core, stays);
  EXPECT_FALSE(t.marked(stays));
}

TEST(Cached, FreedPagesStayMarkedUpToTheBound) {
  PgallocTables t("cached:bound=3");
  const std::vector<Pfn> pages = t.take_all(5);
  EXPECT_EQ(t.calls(), (Calls{5, 5}));
  t.give(pages);
  EXPECT_EQ(t.cached(), 3u);
  EXPECT_EQ(t.own("overflowed"), 2u);
  EXPECT_EQ(t.calls(), (Calls{7, 7}));
  EXPECT_EQ(t.marked(run(pages[0], 1)) + t.marked(run(pages[2], 1)), 2u);
  EXPECT_FALSE(t.marked(pages[3]));
}

TEST(Cached, WhatCameBackLastIsHandedOutFirst_WithoutAMark) {
  PgallocTables t("cached");
  const std::vector<Pfn> pages = t.take_all(3);
  const Calls before = t.calls();
  t.give(pages);
  EXPECT_EQ(t.take_all(3), (std::vector<Pfn>{pages[2], pages[1], pages[0]}));
  EXPECT_EQ(t.calls(), before);
  EXPECT_EQ(t.own("reused"), 3u);
}

TEST(Cached, ShrinkerReturnsTheOldestOneByOne_ButForThoseToKeep) {
  PgallocTables t("cached:keep=2");
  const std::vector<Pfn> pages = t.take_all(6);
  t.give(pages);
  const Calls before = t.calls();
  EXPECT_EQ(t.kernel().memory().pressure(), 4u);
  EXPECT_EQ(t.calls(), (Calls{before.first + 4, before.second + 4}));
  EXPECT_EQ(t.cached(), 2u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(t.marked(pages[i]), i >= 4) << i;
}

TEST(Slab, IsMarkedAsAWholeAndHandsOutItsPagesInOrder) {
  PgallocTables t("slab:order=2");
  const std::vector<Pfn> pages = t.take_all(4);
  EXPECT_EQ(pages, run(pages[0], 4));
  EXPECT_EQ(pages[0].value % 4, 0u);
  EXPECT_EQ(t.calls(), (Calls{1, 4}));
  t.take();
  EXPECT_EQ(t.calls(), (Calls{2, 8}));
  EXPECT_EQ(t.cached(), 3u);
}

TEST(Slab, IsUnmarkedAsAWholeWhenItIsEmptyAndEnoughOthersAreThere) {
  PgallocTables t("slab:order=2:keep=2");
  const std::vector<Pfn> pages = t.take_all(13);  // three full slabs, and a current one
  const std::uint64_t free = t.free_pages();
  t.give(pages[0]);
  t.give(run(pages[4], 4));  // the second on the list
  EXPECT_EQ(t.own("slabs_destroyed"), 1u);
  EXPECT_EQ(t.marked(run(pages[4], 4)), 0u);
  EXPECT_EQ(t.calls(), (Calls{5, 20}));
  EXPECT_EQ(t.free_pages(), free + 4);
  t.give(run(pages[1], 3));  // the only one on the list: it stays
  EXPECT_EQ(t.own("slabs_destroyed"), 1u);
  EXPECT_EQ(t.marked(run(pages[0], 4)), 4u);
  EXPECT_EQ(t.cached(), 7u);
}

TEST(Slab, PartialSlabsComeBeforeNewOnes_TheOneThatBecamePartialFirst) {
  PgallocTables t("slab:order=2");
  const std::vector<Pfn> pages = t.take_all(12);
  t.give({pages[6], pages[1], pages[2]});
  EXPECT_EQ(t.take_all(3), (std::vector<Pfn>{pages[6], pages[2], pages[1]}));
  EXPECT_EQ(t.own("slabs_made"), 3u);
}

TEST(Slab, ShrinkerDestroysEmptySlabs_AndPutsTheFullestFirst) {
  PgallocTables t("slab:order=2");
  const std::vector<Pfn> pages = t.take_all(16);  // the last slab is current
  t.give({pages[0], pages[1]});
  t.give(pages[4]);
  t.give(run(pages[8], 4));
  EXPECT_EQ(t.own("slabs_destroyed"), 0u);
  EXPECT_EQ(t.kernel().memory().pressure(), 4u);
  EXPECT_EQ(t.own("slabs_destroyed"), 1u);
  EXPECT_EQ(t.marked(run(pages[8], 4)), 0u);
  EXPECT_EQ(t.take(), pages[4]);
}

TEST(Slab, EachCoreHasACurrentOne) {
  PgallocTables t("slab:order=2", "pte", 2);
  const Pfn a = t.take(0), b = t.take(1);
  EXPECT_NE(align_down(a.value, 4), align_down(b.value, 4));
  EXPECT_EQ(t.take(0), a + 1);
  EXPECT_EQ(t.take(1), b + 1);
}

TEST(Slab, OfOnePageWhereThereIsNoRun) {
  PgallocTables t("slab:order=9");
  t.kernel().memory().fragment(60, 7);
  const Pfn page = t.take();
  EXPECT_EQ(t.own("slabs_small"), 1u);
  EXPECT_EQ(t.calls(), (Calls{1, 1}));
  EXPECT_TRUE(t.marked(page));
}

TEST(PageBlock, IsMarkedWhenItIsClaimed_AndGoesBackWhenAllOfItIsFree) {
  PgallocTables t("pageblock");
  ASSERT_EQ(t.cached(), kPgallocBlock);  // boot's
  const std::vector<Pfn> boot = t.take_all(kPgallocBlock);
  EXPECT_EQ(t.calls(), (Calls{0, 0}));
  const std::uint64_t free = t.free_pages();
  const std::vector<Pfn> next = t.take_all(2);
  const Pfn block(align_down(next[0].value, kPgallocBlock));
  EXPECT_EQ(t.calls(), (Calls{1, kPgallocBlock}));
  EXPECT_EQ(t.free_pages(), free - kPgallocBlock);
  EXPECT_EQ(t.marked(run(block, kPgallocBlock)), kPgallocBlock);
  t.give(next[0]);
  EXPECT_EQ(t.own("released"), 0u);
  t.give(next[1]);
  EXPECT_EQ(t.own("released"), 1u);
  EXPECT_EQ(t.calls(), (Calls{2, 2 * kPgallocBlock}));
  EXPECT_EQ(t.marked(run(block, kPgallocBlock)), 0u);
  EXPECT_EQ(t.free_pages(), free);
  EXPECT_EQ(t.cached(), 0u);
  EXPECT_EQ(t.marked(boot), kPgallocBlock);
}

TEST(PageBlock, NothingElseGetsAPageOfIt) {
  PgallocTables t("pageblock");
  const Pfn block(align_down(t.take().value, kPgallocBlock));
  for (const Mobility other : {Mobility::kMovable, Mobility::kUnmovable}) {
    while (const auto page = t.system().buddy.allocate(0, other)) {
      ASSERT_NE(align_down(page->value, kPgallocBlock), block.value);
    }
  }
  EXPECT_EQ(t.free_pages(), 0u);
  t.take_all(kPgallocBlock - 1);
  EXPECT_EQ(t.cached(), 0u);
  EXPECT_THROW(t.take(), InputError);
}

TEST(PageBlock, WhereNoBlockIsFree_AnErrorOrSinglePages) {
  PgallocTables error("pageblock"), single("pageblock:fallback=per-page");
  for (PgallocTables* t : {&error, &single}) {
    t->take_all(kPgallocBlock);
    t->kernel().memory().fragment(60, 7);
  }
  EXPECT_THROW(error.take(), InputError);
  const std::uint64_t free = single.free_pages();
  const std::vector<Pfn> pages = single.take_all(3);
  EXPECT_EQ(single.calls(), (Calls{3, 3}));
  EXPECT_EQ(single.own("single"), 3u);
  EXPECT_EQ(single.marked(pages), 3u);
  single.give(pages);
  EXPECT_EQ(single.marked(pages), 0u);
  EXPECT_EQ(single.free_pages(), free);
}

TEST(Reserve, IsMarkedAtBootByOneCall_AndNeverAgain) {
  PgallocTables t("reserve:size=1000");
  EXPECT_EQ(t.boot_calls(), (Calls{1 + kBootTables, 1000 + kBootTables}));
  const std::vector<Pfn> pages = t.take_all(1000);
  EXPECT_EQ(pages, run(pages[0], 1000));
  EXPECT_EQ(t.marked(run(pages[0], 1001)), 1000u);
  t.give(pages);
  EXPECT_EQ(t.kernel().memory().pressure(), 0u);
  EXPECT_EQ(t.cached(), 1000u);
  EXPECT_EQ(t.calls(), (Calls{0, 0}));
}

TEST(Reserve, TakesNoMoreThanItsSize) {
  const std::uint64_t free = PgallocTables("per-page").free_pages();
  for (const std::uint64_t size : {1u, 2u, 3u, 1000u, 1024u, 1025u, 5000u}) {
    EXPECT_EQ(PgallocTables("reserve:size=" + std::to_string(size)).free_pages(), free - size)
        << size;
  }
  EXPECT_THROW(PgallocTables("reserve:size=400000"), InputError);
}

TEST(Reserve, WhenItIsUsedUp_AnErrorOrSinglePages) {
  PgallocTables error("reserve:size=5"), single("reserve:size=5:fallback=per-page");
  error.take_all(5);
  const std::vector<Pfn> region = single.take_all(5);
  EXPECT_THROW(error.take(), InputError);
  const Pfn page = single.take();
  ASSERT_EQ(page, region[4] + 1);  // the region's neighbour is none of its pages
  EXPECT_EQ(single.own("single"), 1u);
  EXPECT_TRUE(single.marked(page));
  single.give(page);
  EXPECT_FALSE(single.marked(page));
  single.give(region[4]);
  EXPECT_EQ(single.cached(), 1u);
  EXPECT_TRUE(single.marked(region[4]));
}

// set_memory_pkey() of some page, which is none of the allocator's, in a block of its own.
void split_elsewhere(PgallocTables& t) {
  const Pfn block = *t.system().buddy.allocate(9, Mobility::kMovable);
  t.system().linear_map.set_memory_pkey(t.system().machine.core(0), block + 3, 1, kPkeyDefault);
}

TEST(Pba, ASplitFindsTheReserveFull) {
  PgallocTables t("pba", "block");
  t.take_all(t.cached() - 4);
  split_elsewhere(t);  // takes a page of the reserve
  EXPECT_EQ(t.own("replenished"), 0u);
  EXPECT_EQ(t.cached(), 3u);
  split_elsewhere(t);
  EXPECT_EQ(t.own("replenished"), 1u);
  EXPECT_EQ(t.own("refills_order_9"), 2u);
  EXPECT_EQ(t.cached(), 3 + kPgallocBlock - 1);
}

TEST(Pba, ARefillWithLessThanTheReserveDoesNotReplenishItFirst) {
  PgallocTables t("pba", "block");
  t.take_all(t.cached() - 4);
  split_elsewhere(t);
  ASSERT_EQ(t.cached(), 3u);
  // The refill's block is from a contiguous 32 MB run that is whole.
  for (int i = 0; i < 33; ++i) {
    (void)t.system().buddy.allocate(t.system().machine.core(0), 9, Mobility::kUnmovable);
  }
  const auto runs = [&] { return t.system().linear_map.statistics().split_contpmd; };
  const std::uint64_t before = runs();
  t.take();
  EXPECT_EQ(runs(), before + 1);
  EXPECT_EQ(t.own("replenished"), 0u);
  EXPECT_EQ(t.own("refills_order_9"), 2u);
}

TEST(Pba, TheSplitsOfARefillUseTheReserve) {
  PgallocTables t("pba:orders=2", "block");
  const auto splits = [&] {
    const auto map = t.system().linear_map.statistics();
    return map.split_pud + map.split_pmd;
  };
  const std::uint64_t boot = t.own("replenished"), before = splits();
  t.take_all(5000);  // each 2 MB block that a run comes from is split first
  EXPECT_GE(splits() - before, 9u);
  EXPECT_EQ(t.own("replenished"), boot);
  EXPECT_GE(t.cached(), 3u);
}

TEST(Pba, BootsTablesAsPpaHasThem_SplitTheirBlockByTheCache) {
  PgallocTables whole("pba", "block"), ranges("pba:ppa=on", "block");
  EXPECT_EQ(whole.system().linear_map.statistics().split_pmd, 0u);
  EXPECT_EQ(ranges.system().linear_map.statistics().split_pmd, 1u);
  EXPECT_EQ(ranges.cached() + 1, whole.cached());
  EXPECT_EQ(ranges.free_pages(), whole.free_pages() + kPgallocBlock - 1);  // of one table
}

TEST(Pba, WithoutARunTheAllocationFails_AndTheReserveStays) {
  PgallocTables t("pba", "block");
  t.take_all(t.cached() - 4);
  while (t.system().buddy.allocate(0, Mobility::kMovable)) {
  }
  EXPECT_THROW(t.take(), InputError);
  EXPECT_EQ(t.cached(), 4u);
}

}  // namespace
}  // namespace kpksim::kernel
