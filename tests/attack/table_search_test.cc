// Which pages are tables, without a walk of all of the linear map: what such a walk says.

#include "sim/attack/table_search.h"

#include <gtest/gtest.h>

#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"

namespace kpksim::attack {
namespace {

using mmu::Descriptor;

constexpr std::uint64_t kEntries = 512;

void add_below(const mmu::PhysicalMemory& memory, Pfn table, unsigned level, std::set<Pfn>& found) {
  found.insert(table);
  if (level == mmu::kLastLevel) return;
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    const Descriptor d{memory.read64(address_of(table) + i * 8)};
    if (d.valid() && !d.block()) add_below(memory, d.pfn(), level + 1, found);
  }
}

class TableSearch : public testing::TestWithParam<const char*> {
 protected:
  TableSearch() : k_(kernel::core_profile(), kernel::kernel_profile(), config()) {
    k_.spawn(1);
    k_.fork(1, 2);
    k_.memory().vmalloc(3, false);
  }
  static kernel::Config config() {
    kernel::Config c;
    c.policy = kernel::parse_policy(GetParam());
    c.memory_bytes = 64ull << 20;
    return c;
  }
  mmu::PhysicalMemory& memory() { return k_.system().machine.memory(); }
  const kernel::LinearMap& map() { return k_.system().linear_map; }
  PhysAddr entry(Pfn table, VirtAddr va, unsigned level) {
    return address_of(table) + (va.value >> mmu::level_shift(level) & (kEntries - 1)) * 8;
  }
  // A strike that nobody refuses.
  void forge(PhysAddr at, Descriptor d) {
    memory().write64(at, d.raw);
    forged_.insert(frame_of(at));
  }
  // Pages that a full walk and the search disagree about: of all tables and some of the others,
  // because each question walks the trees of all processes.
  std::uint64_t disagree() {
    std::set<Pfn> tables;
    for (const std::uint32_t task : k_.alive_tasks()) {
      add_below(memory(), k_.root_of(task), 0, tables);
    }
    add_below(memory(), map().root(), 0, tables);
    const kernel::Buddy& buddy = k_.system().buddy;
    constexpr std::uint64_t kSome = 61;
    std::uint64_t n = 0, found = 0;
    for (std::uint64_t i = 0; i < buddy.size(); ++i) {
      const Pfn page = buddy.first() + i;
      found += tables.contains(page) ? 1 : 0;
      if (i % kSome != 0 && !tables.contains(page) && !forged_.contains(page)) continue;
      n += is_table(k_, forged_, page) != tables.contains(page) ? 1 : 0;
    }
    EXPECT_EQ(found, tables.size());
    return n;
  }

  kernel::Kernel k_;
  std::set<Pfn> forged_;
};

TEST_P(TableSearch, FindsWhatAFullWalkFinds_AlsoWhatWasForged) {
  EXPECT_EQ(disagree(), 0u);
  // A page of ordinary memory is hung into the linear map, and one below it.
  const Pfn first = *k_.system().buddy.allocate(0, kernel::Mobility::kMovable);
  const Pfn second = *k_.system().buddy.allocate(0, kernel::Mobility::kMovable);
  const VirtAddr va = kernel::linear_va(address_of(first));
  Pfn table = map().root();
  for (unsigned level = 0; level < 2; ++level) {
    const Descriptor d{memory().read64(entry(table, va, level))};
    if (!d.valid() || d.block()) break;
    table = d.pfn();
  }
  forge(entry(table, va, 2), kernel::table_descriptor(first));
  EXPECT_EQ(disagree(), 0u);
  forge(address_of(map().root()) + 200 * 8, kernel::table_descriptor(second));
  forge(address_of(second) + 7 * 8, kernel::table_descriptor(first));
  EXPECT_EQ(disagree(), 0u);
}

// A copy of a table that nothing leads to looks like one; a table whose first entry was made to
// lead elsewhere still is one.
TEST_P(TableSearch, IsNotTakenInByWhatATableSays) {
  const VirtAddr va = kernel::linear_va(address_of(k_.system().buddy.first()));
  const mmu::Registers& regs = k_.system().machine.core(0).mmu().registers();
  const Pfn table = frame_of(mmu::walk(memory(), regs, va).address);
  const Pfn copy = *k_.system().buddy.allocate(0, kernel::Mobility::kMovable);
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    memory().write64(address_of(copy) + i * 8, memory().read64(address_of(table) + i * 8));
  }
  EXPECT_FALSE(is_table(k_, forged_, copy));
  EXPECT_TRUE(is_table(k_, forged_, table));
  std::uint64_t first = 0;
  while (memory().read64(address_of(table) + first * 8) == 0) ++first;
  ASSERT_LT(first, kEntries - 1);
  const std::uint64_t word = memory().read64(address_of(table) + first * 8);
  forge(address_of(table) + first * 8, {word + (1ull << 30)});  // what this memory does not have
  EXPECT_TRUE(is_table(k_, forged_, table));
  EXPECT_FALSE(is_table(k_, forged_, copy));
}

INSTANTIATE_TEST_SUITE_P(Maps, TableSearch,
                         testing::Values("kpkeys-poe,per-page,pte", "kpkeys-poe,per-page,contpte",
                                         "kpkeys-poe,pba,block", "kpkeys-poe,per-page,block",
                                         "unmap-leaf,per-page,pte", "none,buddy,block"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace kpksim::attack
