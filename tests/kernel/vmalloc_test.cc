// Which addresses vmalloc gives: they decide how many areas cross from one page table into the
// next.

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/kernel/kernel.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

struct VmallocTest : testing::Test {
  Kernel k{core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte)};

  static std::uint64_t page(std::uint64_t address) { return (address - kVmallocStart) / kPageSize; }
};

TEST_F(VmallocTest, SmallAreasFillTheHolesBetweenStacks_LargerOnesDoNot) {
  // A stack of four pages and its guard, aligned to eight, leaves three.
  const std::uint64_t large = page(k.memory().vmalloc(4, false));
  for (unsigned i = 0; i + 1 < kernel_profile().kernel_threads; ++i) {
    const std::uint64_t small = page(k.memory().vmalloc(1, false));
    EXPECT_EQ(small % 8, 5u);
    EXPECT_LT(small, large);
  }
  EXPECT_GT(page(k.memory().vmalloc(1, false)), large);
}

TEST_F(VmallocTest, AddressesComeBackWithThePurge_NotBefore) {
  const std::uint64_t first = k.memory().vmalloc(100, false);
  k.memory().vfree(first);
  const std::uint64_t second = k.memory().vmalloc(100, false);
  EXPECT_EQ(second, first + 101 * kPageSize);
  k.memory().vfree(second);
  k.memory().vm_unmap_aliases();
  EXPECT_EQ(k.memory().vmalloc(100, false), first);
}

// split_page(), also of what was allocated as one run.
TEST_F(VmallocTest, PagesGoBackOneByOne) {
  constexpr std::uint64_t kBlockPages = kPmdSize / kPageSize;
  k.memory().vfree(k.memory().vmalloc(kBlockPages, true));
  System& s = k.system();
  const auto page = s.buddy.allocate(s.machine.core(0), 0, Mobility::kUnmovable);
  EXPECT_EQ(page->value % kBlockPages, kBlockPages - 1);
}

TEST_F(VmallocTest, NothingIsGivenWhereDevicesAre) {
  // The GIC's redistributors lie at the first multiple of 16 MB behind what boot has taken.
  const std::uint64_t devices = align_up(kernel_profile().vmalloc_boot_pages, 4096);
  std::uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t area = page(k.memory().vmalloc(100, false));
    EXPECT_TRUE(area + 101 <= devices || area >= devices + 3937) << area;
    last = std::max(last, area);
  }
  EXPECT_GT(last, devices);
}

TEST_F(VmallocTest, UnmapAliases_GivesBackABlockOfWhichNothingIsInUse) {
  const std::uint64_t first = k.memory().vm_map_ram(1);
  k.memory().vm_unmap_ram(first);
  EXPECT_NE(k.memory().vm_map_ram(1), first);
  k.memory().vm_unmap_aliases();  // in use
  EXPECT_NE(k.memory().vm_map_ram(1), first);
  k.memory().vm_unmap_ram(first + kPageSize);
  k.memory().vm_unmap_ram(first + 2 * kPageSize);
  k.memory().vm_unmap_aliases();
  EXPECT_EQ(k.memory().vm_map_ram(1), first);
}

}  // namespace
}  // namespace kpksim::kernel
