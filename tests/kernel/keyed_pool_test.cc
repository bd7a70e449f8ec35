// One pool of keyed pages with two clients that have a key each: whose page is whose, who may lend,
// what a split needs, and that nothing is lost in any life.

#include "sim/kernel/keyed_pool.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr PkeyIndex kKeyedPoolOther{2};
constexpr std::uint64_t kReserve = 4, kKeep = 16;

class Keyed final : public PoolClient {
 public:
  Keyed(LinearMap& map, PkeyIndex key) : map_(map), key_(key) {}
  void mark_run(cpu::Core& core, Pfn first, std::uint64_t count) override {
    map_.set_memory_pkey(core, first, count, key_);
    calls.push_back(count);
  }
  void unmark_run(cpu::Core& core, Pfn first, std::uint64_t count) override {
    map_.set_memory_pkey(core, first, count, kPkeyDefault);
    calls.push_back(count);
  }
  std::vector<std::uint64_t> calls;  // pages of each

 private:
  LinearMap& map_;
  PkeyIndex key_;
};

// The page tables of the machine are pba's, whose pool the second client joins.
class KeyedPoolWorld {
 public:
  explicit KeyedPoolWorld(Granularity map = Granularity::kBlock)
      : k_(core_profile(), kernel_profile(), small(map)),
        other_(k_.system().linear_map, kKeyedPoolOther),
        share_(tables().pool()->join(other_, {0, kKeep, 64})) {}

  PageTableAllocator& tables() { return *k_.system().allocator; }
  KeyedPool::Share& share() { return share_; }
  Keyed& other() { return other_; }
  cpu::Core& core() { return k_.system().machine.core(0); }
  Kernel& kernel() { return k_; }
  PkeyIndex key_of(Pfn pfn) {
    return k_.system().linear_map.key_of(k_.system().machine.memory(), pfn);
  }
  LinearMapStatistics map() const { return k_.system().linear_map.statistics(); }
  std::uint64_t keyed(PkeyIndex key) {
    const Buddy& buddy = k_.system().buddy;
    std::uint64_t n = 0;
    for (std::uint64_t i = 0; i < buddy.size(); ++i) n += key_of(buddy.first() + i) == key ? 1 : 0;
    return n;
  }
  std::uint64_t boot_tables() {
    std::uint64_t pages = 0;
    for (const auto& [first, count] : k_.system().linear_map.boot_tables()) pages += count;
    return pages;
  }
  // Pages that nothing has, and those that the pool keeps.
  std::uint64_t unused() {
    return k_.system().buddy.free_pages() + tables().statistics().cached + share_.cached();
  }

 private:
  static Config small(Granularity map) {
    Config c = config("kpkeys-poe", false, "pba", map);
    c.memory_bytes = 256ull << 20;
    return c;
  }

  Kernel k_;
  Keyed other_;
  KeyedPool::Share& share_;
};

TEST(KeyedPoolTest, APageHasItsClientsKey_AlsoOneThatTheOtherClientHadBefore) {
  KeyedPoolWorld w;
  ASSERT_GT(w.tables().statistics().cached, kKeep);
  const Pfn lent = w.share().take(w.core());
  EXPECT_EQ(w.share().borrowed(), 1u);
  EXPECT_EQ(w.share().refills(0), 0u);
  EXPECT_EQ(w.key_of(lent), kKeyedPoolOther);
  EXPECT_EQ(w.key_of(lent + 1), kPkeyPgtables);
  // It costs what a run of its own would not: a call for one page, and a split of the block.
  EXPECT_EQ(w.other().calls, std::vector<std::uint64_t>{1});
  EXPECT_EQ(w.map().split_pmd, 1u);
}

TEST(KeyedPoolTest, WithoutAPageToSpareARunIsKeyedByOneCall) {
  KeyedPoolWorld w;
  while (w.tables().statistics().cached > kKeep) {
    w.tables().allocate(w.core(), TableKind::kUserLeaf);
  }
  const Pfn first = w.share().take(w.core());
  EXPECT_EQ(w.share().borrowed(), 0u);
  EXPECT_EQ(w.other().calls, std::vector<std::uint64_t>{KeyedPool::kBlockPages});
  EXPECT_EQ(w.share().cached(), KeyedPool::kBlockPages - 1);
  for (std::uint64_t i = 0; i < KeyedPool::kBlockPages; ++i)
    EXPECT_EQ(w.key_of(first + i), kKeyedPoolOther);
}

// A split inside a refill cannot refill: the reserve must have been filled before.
TEST(KeyedPoolTest, ABlockOfWhichAPageIsLentIsNeverReleasedWhole) {
  KeyedPoolWorld w;
  std::vector<Pfn> tables;
  for (unsigned i = 0; i < 600; ++i) {
    tables.push_back(w.tables().allocate(w.core(), TableKind::kUserLeaf));
  }
  for (const Pfn pfn : tables) w.tables().free(w.core(), pfn);
  const Pfn lent = w.share().take(w.core());
  ASSERT_EQ(w.share().borrowed(), 1u);
  w.kernel().memory().pressure();
  EXPECT_GT(w.tables().statistics().own_value("shrunk_pages"), 0u);
  EXPECT_EQ(w.key_of(lent), kKeyedPoolOther);
}

// Inside a refill a split cannot refill, for the mutex is held: the reserve is filled before.
TEST(KeyedPoolTest, TheReserveOfPageTablesIsFullBeforeAnotherClientsPagesAreKeyed) {
  KeyedPoolWorld w;
  w.kernel().memory().fragment(60, 1);  // no run of 512: what is keyed has to be split off
  while (w.tables().statistics().cached > kReserve) {
    w.tables().allocate(w.core(), TableKind::kUserLeaf);
  }
  for (unsigned i = 0; i < kReserve / 2; ++i) w.tables().allocate_for_split(w.core());
  ASSERT_EQ(w.tables().statistics().own_value("replenished"), 0u);
  w.share().take(w.core());
  EXPECT_EQ(w.tables().statistics().own_value("replenished"), 1u);
  EXPECT_GT(w.map().split_pmd, 0u);
}

TEST(KeyedPoolTest, WhoMustNotSleepGetsWhatIsCachedAndNoMore) {
  KeyedPoolWorld w;
  w.share().give_back(w.share().take(w.core()));
  const std::size_t calls = w.other().calls.size();
  w.share().take_reserved();
  EXPECT_THROW(w.share().take_reserved(), InputError);
  EXPECT_EQ(w.other().calls.size(), calls);
}

RC_GTEST_PROP(KeyedPoolTest, ARandomLifeLosesNoPage_AndLeavesEachKeyWhereItWas, ()) {
  KeyedPoolWorld w(*rc::gen::element(Granularity::kBlock, Granularity::kContPte));
  const std::uint64_t unused = w.unused();
  std::vector<Pfn> tables, objects;
  // Tables that splits of the linear map took are the kernel's for good.
  const auto split_tables = [&] { return w.map().split_pud + w.map().split_pmd; };
  const auto steps = *rc::gen::container<std::vector<std::pair<unsigned, unsigned>>>(
      40, rc::gen::pair(rc::gen::inRange(0u, 5u), rc::gen::inRange(1u, 400u)));
  for (const auto& [what, n] : steps) {
    for (unsigned i = 0; i < n; ++i) {
      if (what == 0) tables.push_back(w.tables().allocate(w.core(), TableKind::kUserLeaf));
      if (what == 1) objects.push_back(w.share().take(w.core()));
      if (what == 2 && !tables.empty()) {
        std::swap(tables[i * 7 % tables.size()], tables.back());
        w.tables().free(w.core(), tables.back());
        tables.pop_back();
      }
      if (what == 3 && !objects.empty()) {
        std::swap(objects[i * 7 % objects.size()], objects.back());
        w.share().give_back(objects.back());
        objects.pop_back();
      }
    }
    if (what == 4) {
      w.kernel().memory().pressure();
      w.share().scan(w.core(), n);
    }
    for (const Pfn pfn : tables) RC_ASSERT(w.key_of(pfn) == kPkeyPgtables);
    for (const Pfn pfn : objects) RC_ASSERT(w.key_of(pfn) == kKeyedPoolOther);
    RC_ASSERT(w.unused() + tables.size() + objects.size() + split_tables() == unused);
  }
  for (const Pfn pfn : tables) w.tables().free(w.core(), pfn);
  for (const Pfn pfn : objects) w.share().give_back(pfn);
  RC_ASSERT(w.unused() + split_tables() == unused);
  RC_ASSERT(w.keyed(kKeyedPoolOther) == w.share().cached());
  // What the two no longer hold has the key of ordinary memory again.
  RC_ASSERT(w.keyed(kPkeyPgtables) ==
            w.boot_tables() + split_tables() + w.tables().statistics().cached);
}

}  // namespace
}  // namespace kpksim::kernel
