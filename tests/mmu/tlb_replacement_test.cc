// Which entry a fill replaces: the least recently used of its set, found by a list that is kept in
// order of use.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <list>
#include <vector>

#include "sim/mmu/mmu.h"

namespace kpksim::mmu {
namespace {

constexpr Asid kAsid(1);

VirtAddr tlb_replacement_page(std::uint64_t n) { return VirtAddr(n << kPageShift); }
std::uint64_t probe(std::uint64_t n) { return TlbTag::probe(tlb_replacement_page(n), kAsid); }

Leaf leaf() {
  Leaf l;
  l.page_bits = kPageShift;
  l.level = kLastLevel;
  return l;
}

// One TLB as lists of pages, the most recently used first.
class Lists {
 public:
  explicit Lists(TlbGeometry geometry) : geometry_(geometry), sets_(geometry.sets) {}
  bool find(std::uint64_t n) {
    auto& set = sets_[n % geometry_.sets];
    const auto it = std::find(set.begin(), set.end(), n);
    if (it == set.end()) return false;
    set.splice(set.begin(), set, it);
    return true;
  }
  void fill(std::uint64_t n) {
    auto& set = sets_[n % geometry_.sets];
    if (set.size() == geometry_.ways) set.pop_back();
    set.push_front(n);
  }
  void drop(std::uint64_t n) { sets_[n % geometry_.sets].remove(n); }

 private:
  TlbGeometry geometry_;
  std::vector<std::list<std::uint64_t>> sets_;
};

void compare(TlbGeometry geometry) {
  const bool ok = rc::check("replacement", [&] {
    Tlb tlb(geometry);
    Lists lists(geometry);
    const std::uint64_t pages = 2 * geometry.sets * geometry.ways;
    const auto steps = *rc::gen::container<std::vector<std::pair<unsigned, std::uint64_t>>>(
        500, rc::gen::pair(rc::gen::inRange(0u, 16u), rc::gen::inRange<std::uint64_t>(0, pages)));
    for (const auto& [what, n] : steps) {
      const bool there = tlb.find(probe(n)) != Tlb::kMiss;
      RC_ASSERT(there == lists.find(n));
      if (what == 0) {
        tlb.drop(probe(n));
        lists.drop(n);
      } else if (!there) {
        tlb.fill(tlb_replacement_page(n), kAsid, leaf(), FastAccess{});
        lists.fill(n);
      }
    }
  });
  EXPECT_TRUE(ok);
}

TEST(TlbReplacement, OfAFullyAssociativeOne) { compare({1, 48}); }
TEST(TlbReplacement, OfAFullyAssociativeOneWithAnOddNumberOfWays) { compare({1, 21}); }
TEST(TlbReplacement, OfOneWithFewWays) { compare({1, 6}); }
TEST(TlbReplacement, OfOneWithSets) { compare({4, 5}); }
// Eight ways and more are looked at four side by side.
TEST(TlbReplacement, OfOneWithSetsOfManyWays) { compare({4, 8}); }
TEST(TlbReplacement, OfOneWithSetsOfManyWaysAndAnOddNumber) { compare({2, 13}); }

// What the first level has lost the second still has.
TEST(TlbReplacement, TheSecondLevelHoldsWhatTheFirstHasReplaced) {
  PhysicalMemory memory;
  for (std::uint64_t level = 0; level < kLastLevel; ++level) {
    memory.write64(PhysAddr(0x1000 * (level + 1)), (0x1000 * (level + 2)) | 3);
  }
  for (std::uint64_t i = 0; i < 16; ++i) {
    memory.write64(PhysAddr(0x4000 + i * 8),
                   Descriptor{i << kPageShift}.with(field::kAccessFlag, 1).raw | 3);
  }
  Mmu mmu({{1, 2}, {1, 2}, {4, 4}, 6}, memory);
  Registers regs;
  regs.tcr = tcr::kT0Sz.set(tcr::kT1Sz.set(0, 16), 16);
  regs.tcr = tcr::kIps.set(tcr::kTg1.set(regs.tcr, 0b10), 0b101);
  regs.sctlr = sctlr::kM.set(0, 1);
  regs.ttbr0 = regs.ttbr1 = 0x1000;
  mmu.set_registers(regs);
  const poe::Access read{poe::AccessKind::kRead, 1, false};
  for (std::uint64_t i = 0; i < 8; ++i)
    EXPECT_EQ(mmu.translate(tlb_replacement_page(i), read, false).source, Source::kWalk);
  for (std::uint64_t i = 0; i < 8; ++i)
    EXPECT_EQ(mmu.translate(tlb_replacement_page(i), read, false).source, Source::kL2);
}

}  // namespace
}  // namespace kpksim::mmu
