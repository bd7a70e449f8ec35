// Splits and joins of the linear map against a naive one, which has the rights of each page in a
// std::map and knows nothing of blocks; and what boot leaves of it.

#include <rapidcheck.h>

#include <map>

#include "sim/kernel/boot_tables.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr unsigned kOrder = 13;  // 32 MB: a contiguous run of blocks
constexpr std::uint64_t kPages = 1ull << kOrder;

struct Rights {
  PkeyIndex key{0};
  bool read_only = false;
  bool operator==(const Rights&) const = default;
};

Config block_map_of(const char* policy) {
  Config c;
  c.policy = parse_policy(policy);
  c.memory_bytes = (1ull << 30) + (64ull << 20);  // a block of 1 GB, and smaller ones
  return c;
}

class LinearMapLifeWorld {
 public:
  explicit LinearMapLifeWorld(const char* policy)
      : k_(core_profile(), kernel_profile(), block_map_of(policy)) {
    first_ = *s_.buddy.allocate_contiguous(kOrder);
  }
  std::uint64_t splits() const {
    const LinearMapStatistics& s = map().statistics();
    return s.split_pud + s.split_contpmd + s.split_pmd + s.split_contpte;
  }
  mmu::WalkResult leaf(std::uint64_t page) {
    return mmu::walk(s_.machine.memory(), core().mmu().registers(), va(page));
  }
  Rights rights(std::uint64_t page) {
    const mmu::Descriptor d = leaf(page).descriptor;
    return {d.po_index(), mmu::field::kAp2.get(d.raw) != 0};
  }
  VirtAddr va(std::uint64_t page) const { return linear_va(address_of(first_ + page)); }
  Pfn frame(std::uint64_t page) const { return first_ + page; }
  cpu::Core& core() { return s_.machine.core(0); }
  System& system() { return s_; }
  LinearMap& map() { return s_.linear_map; }
  const LinearMap& map() const { return s_.linear_map; }
  Kernel& kernel() { return k_; }

 private:
  Kernel k_;
  System& s_ = k_.system();
  Pfn first_;
};

// The shape of the map: of each page the size of what a TLB would hold of it.
std::vector<unsigned> shape(LinearMapLifeWorld& w) {
  std::vector<unsigned> bits;
  for (std::uint64_t p = 0; p < kPages; ++p) bits.push_back(w.leaf(p).page_bits);
  return bits;
}

// Leaves in the TLBs that map less than `bits` of these pages.
std::uint64_t smaller_leaves(LinearMapLifeWorld& w, std::uint64_t first, std::uint64_t count,
                             unsigned bits) {
  std::uint64_t found = 0;
  const mmu::Mmu& mmu = w.core().mmu();
  for (const mmu::Tlb* tlb : {&mmu.l1d(), &mmu.l2()}) {
    for (const mmu::TlbEntry& e : tlb->entries()) {
      if (!e.valid || e.va() < w.va(first) || !(e.va() < w.va(first + count))) continue;
      found += e.leaf.page_bits < bits ? 1 : 0;
    }
  }
  return found;
}

struct MapChange {
  std::uint64_t first = 0, count = 1;
  unsigned change = 0;  // one of the keys, or of the rights
};
// Ranges end on odd pages as often as where runs and blocks do.
MapChange any_step() {
  const std::uint64_t unit = *rc::gen::element<std::uint64_t>(1, 1, 16, 512);
  const std::uint64_t most = kPages / unit;
  const std::uint64_t first = *rc::gen::inRange<std::uint64_t>(0, most);
  const std::uint64_t count =
      *rc::gen::inRange<std::uint64_t>(1, std::min<std::uint64_t>(most - first, 40) + 1);
  return {first * unit, count * unit, *rc::gen::inRange(0u, 4u)};
}

void apply(LinearMapLifeWorld& w, const MapChange& step, std::map<std::uint64_t, Rights>& naive) {
  switch (step.change) {
    case 0:
    case 1: {
      const PkeyIndex key = step.change == 0 ? kPkeyDefault : kPkeyPgtables;
      w.map().set_memory_pkey(w.core(), w.frame(step.first), step.count, key);
      for (std::uint64_t p = step.first; p < step.first + step.count; ++p) naive[p].key = key;
      return;
    }
    default:
      w.map().set_memory(w.core(), w.frame(step.first), step.count,
                         step.change == 2 ? kSetMemoryRo : kSetMemoryRw);
      for (std::uint64_t p = step.first; p < step.first + step.count; ++p) {
        naive[p].read_only = step.change == 2;
      }
  }
}

void check_against(LinearMapLifeWorld& w, const std::map<std::uint64_t, Rights>& naive) {
  for (const auto& [page, rights] : naive) {
    const mmu::WalkResult leaf = w.leaf(page);
    RC_ASSERT(w.rights(page) == rights);
    // The frame that the leaf, or its run, gives this page.
    const std::uint64_t within = w.va(page).value & ((1ull << leaf.page_bits) - 1);
    RC_ASSERT(leaf.base + within == address_of(w.frame(page)));
    // What a TLB would hold of one page of a run, each of its pages gives.
    const VirtAddr next = w.va(page + 1);
    if (page + 1 < kPages && !is_aligned(next.value, 1ull << leaf.page_bits)) {
      RC_ASSERT(w.leaf(page + 1).page_bits == leaf.page_bits);
    }
  }
}

// What the TLBs hold is asked too: a store meets what the map says now.
void check_stores(LinearMapLifeWorld& w, const std::map<std::uint64_t, Rights>& naive,
                  std::uint64_t page) {
  const auto it = naive.find(page);
  const bool refused =
      it != naive.end() && (it->second.read_only || it->second.key == kPkeyPgtables);
  RC_ASSERT(static_cast<bool>(w.core().store64(w.va(page), 0)) == refused);
}

void random_map_life(const char* policy, bool joins) {
  EXPECT_TRUE(rc::check([&] {
    LinearMapLifeWorld w(policy);
    const std::vector<unsigned> at_first = shape(w);
    const std::uint64_t free = w.system().buddy.free_pages();
    std::map<std::uint64_t, Rights> naive;
    for (std::uint64_t p = 0; p < kPages; ++p) naive[p] = {};
    for (unsigned steps = *rc::gen::inRange(1u, 12u); steps > 0; --steps) {
      const MapChange step = any_step();
      const std::uint64_t near = std::min(step.first + step.count, kPages - 1);
      for (const std::uint64_t p : {step.first, near}) check_stores(w, naive, p);
      apply(w, step, naive);
      check_against(w, naive);
      for (const std::uint64_t p : {step.first, near}) check_stores(w, naive, p);
    }
    // All as it was: joined, the map is too, and all its tables are back.
    apply(w, {0, kPages, 0}, naive);
    apply(w, {0, kPages, 3}, naive);
    check_against(w, naive);
    if (joins) {
      RC_ASSERT(shape(w) == at_first);
      RC_ASSERT(w.system().buddy.free_pages() == free);
    } else {
      RC_ASSERT(w.map().statistics().joined == 0u);
      const bool split = w.splits() != 0;
      RC_ASSERT((shape(w) != at_first) == split);
    }
    const AuditResult audit = w.kernel().audit();
    RC_ASSERT(audit.stale_leaves == 0u);
    RC_ASSERT(audit.stale_tables == 0u);
  }));
}

TEST(LinearMapLife, BlocksHaveTheRightsOfEachPageThroughAllSplits) {
  random_map_life("kpkeys-poe,buddy,block", false);
}
TEST(LinearMapLife, RunsHaveTheRightsOfEachPageThroughAllSplits) {
  random_map_life("kpkeys-poe,buddy,contpte", false);
}
TEST(LinearMapLife, JoinedBlocksHaveTheRightsOfEachPageAndComeBackWhole) {
  random_map_life("kpkeys-poe,buddy,block:collapse=on", true);
}

// One page of a block of 1 GB, and back: each step of the split is undone, and counted.
TEST(LinearMapJoin, UndoesEachStepOfASplit) {
  LinearMapLifeWorld w("kpkeys-poe,buddy,block:collapse=on");
  const std::uint64_t free = w.system().buddy.free_pages();
  w.map().set_memory_pkey(w.core(), w.frame(100), 1, kPkeyPgtables);
  EXPECT_EQ(w.leaf(100).page_bits, kPageShift);
  EXPECT_EQ(w.leaf(4096).page_bits, kPmdShift) << "the run of its neighbours of 2 MB is split too";
  w.map().set_memory_pkey(w.core(), w.frame(100), 1, kPkeyDefault);
  EXPECT_EQ(w.leaf(100).page_bits, kPudShift);
  EXPECT_EQ(w.map().statistics().joined, 2u);
  EXPECT_EQ(w.system().buddy.free_pages(), free);
}

// A walk cache that still knew the table would let the walker read what has become another page.
TEST(LinearMapJoin, FlushesTheTableOutOfTheWalkCachesBeforeItGoesBack) {
  LinearMapLifeWorld w("kpkeys-poe,buddy,block:collapse=on");
  // The block of 1 GB stays split, as the flush of so much would be one of everything.
  w.map().set_memory_pkey(w.core(), w.frame(700), 1, kPkeyPgtables);
  w.map().set_memory_pkey(w.core(), w.frame(100), 1, kPkeyPgtables);
  for (std::uint64_t p = 0; p < 100; ++p) EXPECT_FALSE(w.core().store64(w.va(p), 0));
  ASSERT_GT(smaller_leaves(w, 0, 512, kPmdShift), 0u);
  w.map().set_memory_pkey(w.core(), w.frame(100), 1, kPkeyDefault);
  EXPECT_EQ(w.leaf(100).page_bits, kPmdShift);
  EXPECT_EQ(smaller_leaves(w, 0, 512, kPmdShift), 0u) << "a TLB has the block or nothing";
  EXPECT_EQ(w.kernel().audit().stale_tables, 0u);
  EXPECT_EQ(w.kernel().audit().stale_leaves, 0u);
}

// Two runs of a table have a page of another key each. One gets its key back: its run is joined and
// flushed, and the table stays for the other's sake.
TEST(LinearMapJoin, ARunIsJoinedWhereItsTableIsNot) {
  LinearMapLifeWorld w("kpkeys-poe,buddy,block:collapse=on");
  for (const std::uint64_t page : {100, 200}) {
    w.map().set_memory_pkey(w.core(), w.frame(page), 1, kPkeyPgtables);
  }
  for (std::uint64_t p = 96; p < 100; ++p) EXPECT_FALSE(w.core().store64(w.va(p), 0));
  ASSERT_GT(smaller_leaves(w, 96, 16, kPageShift + 4), 0u);
  w.map().set_memory_pkey(w.core(), w.frame(100), 1, kPkeyDefault);
  for (std::uint64_t p = 96; p < 112; ++p) EXPECT_EQ(w.leaf(p).page_bits, kPageShift + 4) << p;
  EXPECT_EQ(w.leaf(192).page_bits, kPageShift);
  EXPECT_EQ(smaller_leaves(w, 96, 16, kPageShift + 4), 0u);
  EXPECT_EQ(w.map().statistics().joined, 0u);
}

TEST(LinearMapStart, RepaintedIsPagesAloneAndNothingIsSplitLater) {
  LinearMapLifeWorld w("kpkeys-poe,per-page,block:start=repainted");
  for (const unsigned bits : shape(w)) ASSERT_EQ(bits, kPageShift);
  const std::uint64_t before = w.splits();
  EXPECT_GT(before, 0u);
  w.kernel().spawn(1);
  map_and_write(w.kernel(), 1);
  w.kernel().fork(1, 2);
  w.kernel().exit_all();
  EXPECT_GT(w.map().statistics().set_memory_pkey, 0u);
  EXPECT_EQ(w.splits(), before);
}

// Its tables come from the page allocator after all, and are page tables like those of memblock.
TEST(LinearMapStart, TheTablesOfARepaintedMapAreProtectedToo) {
  LinearMapLifeWorld w("kpkeys-poe,per-page,block:start=repainted");
  const mmu::WalkResult leaf = w.leaf(0);
  EXPECT_TRUE(w.core().store64(linear_va(leaf.address), 0)) << "the table that maps page 0";
  const std::uint64_t pages = w.system().buddy.size();
  std::uint64_t tables = 0;
  for (const auto& [first, count] : w.map().boot_tables()) {
    for (std::uint64_t i = 0; i < count; ++i) {
      tables += w.map().key_of(w.system().machine.memory(), first + i) == kPkeyPgtables ? 1 : 0;
    }
  }
  EXPECT_GE(tables, BootTables::count(pages) - 1);
}

TEST(LinearMapStart, BlocksStayBlocksAsMapped) {
  LinearMapLifeWorld w("none,buddy,block:start=as-mapped");
  EXPECT_EQ(w.leaf(0).page_bits, kPudShift);
  EXPECT_EQ(w.splits(), 0u);
}

}  // namespace
}  // namespace kpksim::kernel
