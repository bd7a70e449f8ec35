// TLB maintenance: every form against a naive reference, a list of entries filtered by the words of
// the architecture, and the claims that matter one by one.

#include "sim/mmu/tlbi.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "sim/mmu/tlb.h"
#include "sim/mmu/walk_cache.h"

namespace kpksim::mmu {
namespace {

constexpr unsigned kShifts[] = {12, 14, 16};

// What the reference keeps of an entry: nothing of the TLB's own representation.
struct Entry {
  std::uint64_t first = 0, last = 0;  // VA[55:0]
  unsigned asid = 0, level = 0, granule_shift = 0;
  bool global = false, table = false;

  auto key() const { return std::tie(first, last, asid, level, granule_shift, global, table); }
  bool operator==(const Entry& o) const { return key() == o.key(); }
  bool operator<(const Entry& o) const { return key() < o.key(); }
};

constexpr std::uint64_t kVa56 = (1ull << 56) - 1;

// Must an operation drop the entry? Written from the manual's text for each form, not from
// decode().
bool must_go(TlbiKind kind, std::uint64_t xt, const Entry& e) {
  const unsigned asid = static_cast<unsigned>(xt >> 48);
  const bool own_asid = e.asid == asid || e.global;
  const bool last_only = kind == TlbiKind::kVale1 || kind == TlbiKind::kVaale1 ||
                         kind == TlbiKind::kRvale1 || kind == TlbiKind::kRvaale1;
  if (last_only && e.table) return false;
  std::uint64_t first = 0, last = 0;
  unsigned hint_granule = 0, hint_level = 0;
  switch (kind) {
    case TlbiKind::kVmalle1:
      return true;
    case TlbiKind::kAside1:
      return e.asid == asid && !e.global;
    case TlbiKind::kVae1:
    case TlbiKind::kVaae1:
    case TlbiKind::kVale1:
    case TlbiKind::kVaale1: {
      first = last = (xt & 0xfff'ffff'ffff) << 12;
      const unsigned ttl = (xt >> 44) & 15;
      if (ttl >> 2 != 0 && (ttl & 3) != 0 && ttl != 0b1001) {
        hint_granule = kShifts[(ttl >> 2) - 1];
        hint_level = ttl & 3;
      }
      break;
    }
    default: {
      const unsigned tg = (xt >> 46) & 3;
      if (tg == 0) return false;
      if (kShifts[tg - 1] != e.granule_shift) return false;
      const std::uint64_t pages = (((xt >> 39) & 31) + 1) << (5 * ((xt >> 44) & 3) + 1);
      std::uint64_t base = xt & 0x1f'ffff'ffff;
      if ((base >> 36) != 0) base |= ~0x1f'ffff'ffffull;
      first = base << kShifts[tg - 1];
      last = first + (pages << kShifts[tg - 1]) - 1;
      if (((first ^ (last + 1)) >> 52 & 1) != 0) last = first | ((1ull << 52) - 1);
      first &= kVa56;
      last &= kVa56;
      const unsigned ttl = (xt >> 37) & 3;
      if (ttl != 0 && !(tg == 2 && ttl == 1)) hint_level = ttl;
      break;
    }
  }
  const bool any_asid = kind == TlbiKind::kVaae1 || kind == TlbiKind::kVaale1 ||
                        kind == TlbiKind::kRvaae1 || kind == TlbiKind::kRvaale1;
  if (!any_asid && !own_asid) return false;
  // A hint speaks of leaves of one level (and granule); only those need to go, with the tables.
  if (hint_granule != 0 && e.granule_shift != hint_granule) return false;
  if (hint_level != 0 && !e.table && e.level != hint_level) return false;
  return e.first <= last && first <= e.last;
}

Leaf leaf_of(const Granule& granule, unsigned level, bool run, bool global) {
  Leaf leaf;
  leaf.level = static_cast<std::uint8_t>(level);
  leaf.granule_shift = granule.shift;
  leaf.page_bits =
      static_cast<std::uint8_t>(granule.level_shift(level) + (run ? granule.run_bits[level] : 0));
  leaf.global = global;
  return leaf;
}

// Addresses near each other and near the ends of both halves, so that entries and operands meet.
std::uint64_t tlbi_some_va() {
  const std::uint64_t base = *rc::gen::element<std::uint64_t>(
      0, 0x0000'1234'4000'0000, 0x0000'ffff'ffe0'0000, 0xffff'0000'0000'0000, 0xffff'8000'1000'0000,
      0xffff'ffff'ffe0'0000);
  return base + *rc::gen::inRange<std::uint64_t>(0, 64) *
                    *rc::gen::element<std::uint64_t>(0x1000, 0x4000, 0x10000, 0x8000);
}

// An operand of `kind` that is likely to meet the entries.
std::uint64_t some_operand(TlbiKind kind, std::uint64_t va) {
  const std::uint64_t asid = *rc::gen::inRange<std::uint64_t>(1, 4) << 48;
  if (!info(kind).range) {
    return asid | *rc::gen::element<std::uint64_t>(0, 0, 5, 6, 7, 9, 10, 11, 13, 14, 15) << 44 |
           ((va >> 12) & 0xfff'ffff'ffff);
  }
  const std::uint64_t tg = *rc::gen::inRange<std::uint64_t>(0, 4);
  const std::uint64_t base = (va >> kShifts[tg == 0 ? 0 : tg - 1]) & 0x1f'ffff'ffff;
  return asid | tg << 46 | *rc::gen::inRange<std::uint64_t>(0, 4) << 44 |
         *rc::gen::inRange<std::uint64_t>(0, 32) << 39 |
         *rc::gen::element<std::uint64_t>(0, 0, 1, 2, 3) << 37 | base;
}

std::vector<Entry> contents(const Tlb& tlb, const WalkCache& cache) {
  std::vector<Entry> out;
  for (const TlbEntry& e : tlb.entries()) {
    if (!e.valid) continue;
    const std::uint64_t first = e.va().value & kVa56;
    out.push_back({first, first + ((1ull << e.leaf.page_bits) - 1), e.asid.value, e.leaf.level,
                   e.leaf.granule_shift, e.leaf.global, false});
  }
  for (const WalkCache::Entry& e : cache.entries()) {
    if (!e.valid) continue;
    const std::uint64_t first = e.va().value & kVa56;
    out.push_back({first, first + ((1ull << e.bits) - 1), e.asid.value, e.next.level,
                   e.granule_shift, false, true});
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(TlbiProperty, EveryFormDropsExactlyWhatTheReferenceDrops) {
  const bool ok = rc::check("TLBI against a filtered list", [] {
    Tlb tlb(*rc::gen::element(TlbGeometry{1, 16}, TlbGeometry{4, 4}, TlbGeometry{3, 5}));
    WalkCache cache(16);
    const auto fills = *rc::gen::inRange(4, 24);
    for (int i = 0; i < fills; ++i) {
      const VirtAddr va(tlbi_some_va());
      const Asid asid(*rc::gen::inRange<std::uint16_t>(1, 4));
      const Granule& granule = kGranules[*rc::gen::inRange<std::size_t>(0, 3)];
      const unsigned level = *rc::gen::inRange<unsigned>(granule.first_block_level, 4);
      if (*rc::gen::arbitrary<bool>()) {
        WalkState next;
        next.level = static_cast<std::uint8_t>(*rc::gen::inRange<unsigned>(2, 4));
        cache.fill(va, asid, granule, next);
      } else if (tlb.locate(TlbTag::probe(va, asid)) == Tlb::kMiss) {
        tlb.fill(va, asid,
                 leaf_of(granule, level, *rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()),
                 {});
      }
    }
    for (int i = 0; i < 8; ++i) {
      const auto kind = static_cast<TlbiKind>(*rc::gen::inRange(0, 10));
      const std::uint64_t xt = some_operand(kind, tlbi_some_va());
      std::vector<Entry> expected = contents(tlb, cache);
      std::erase_if(expected, [&](const Entry& e) { return must_go(kind, xt, e); });
      tlb.invalidate(decode(kind, xt));
      cache.invalidate(decode(kind, xt));
      RC_ASSERT(contents(tlb, cache) == expected);
    }
  });
  EXPECT_TRUE(ok);
}

class Tlbi : public testing::Test {
 protected:
  void fill(std::uint64_t va, unsigned asid, unsigned level, bool run = false,
            bool global = false) {
    tlb_.fill(VirtAddr(va), Asid(static_cast<std::uint16_t>(asid)),
              leaf_of(kGranules[0], level, run, global), {});
  }
  bool holds(std::uint64_t va, unsigned asid) const {
    return tlb_.locate(TlbTag::probe(VirtAddr(va), Asid(static_cast<std::uint16_t>(asid)))) !=
           Tlb::kMiss;
  }
  void tlbi(TlbiKind kind, std::uint64_t xt) { tlb_.invalidate(decode(kind, xt)); }

  Tlb tlb_{TlbGeometry{4, 4}};
};

TEST_F(Tlbi, ByVa_DropsBlockThatContainsIt) {
  fill(0x200000, 1, 2);
  tlbi(TlbiKind::kVae1, encode_va(VirtAddr(0x234000), Asid(1), 0));
  EXPECT_FALSE(holds(0x200000, 1));
}

TEST_F(Tlbi, ByVa_DropsContiguousRunThatContainsIt) {
  fill(0x210000, 1, 3, true);
  tlbi(TlbiKind::kVale1, encode_va(VirtAddr(0x21f000), Asid(1), 0));
  EXPECT_FALSE(holds(0x210000, 1));
}

TEST_F(Tlbi, ByVa_LeavesOtherAsidsButDropsGlobal) {
  fill(0x1000, 1, 3);
  fill(0x1000, 2, 3);
  fill(0x3000, 3, 3, false, true);
  tlbi(TlbiKind::kVae1, encode_va(VirtAddr(0x1000), Asid(1), 0));
  tlbi(TlbiKind::kVae1, encode_va(VirtAddr(0x3000), Asid(1), 0));
  EXPECT_FALSE(holds(0x1000, 1));
  EXPECT_TRUE(holds(0x1000, 2));
  EXPECT_FALSE(holds(0x3000, 3));
}

TEST_F(Tlbi, ByAsid_LeavesGlobalEntries) {
  fill(0x1000, 1, 3);
  fill(0x3000, 1, 3, false, true);
  tlbi(TlbiKind::kAside1, encode_va(VirtAddr(0), Asid(1), 0));
  EXPECT_FALSE(holds(0x1000, 1));
  EXPECT_TRUE(holds(0x3000, 1));
}

// AMD's INVLPGB with neither address nor PCID, and without the bit that includes global entries.
TEST_F(Tlbi, OfAllAddressSpacesButNotGlobal_LeavesGlobalEntries) {
  fill(0x1000, 1, 3);
  fill(0x2000, 2, 3);
  fill(0x3000, 1, 3, false, true);
  tlb_.invalidate(all_but_global());
  EXPECT_FALSE(holds(0x1000, 1));
  EXPECT_FALSE(holds(0x2000, 2));
  EXPECT_TRUE(holds(0x3000, 1));
}

TEST_F(Tlbi, WrongTtlHint_KeepsTheEntry) {
  fill(0x200000, 1, 2);
  tlbi(TlbiKind::kVale1, encode_va(VirtAddr(0x200000), Asid(1), 3));
  EXPECT_TRUE(holds(0x200000, 1));
  tlbi(TlbiKind::kVale1, encode_va(VirtAddr(0x200000), Asid(1), 2));
  EXPECT_FALSE(holds(0x200000, 1));
}

TEST_F(Tlbi, RangeOfAnotherGranule_MatchesNothing) {
  fill(0x10000, 1, 3);
  std::uint64_t xt = encode_range(VirtAddr(0x10000), Asid(1), 0, 3, 0);
  tlbi(TlbiKind::kRvae1, tlbi_range::kBaseAddr.set(tlbi_range::kTg.set(xt, 0b11), 1));
  EXPECT_TRUE(holds(0x10000, 1));
  tlbi(TlbiKind::kRvae1, xt);
  EXPECT_FALSE(holds(0x10000, 1));
}

TEST(WalkCacheTlbi, ByAsid_DropsTablesOfTheUpperHalfToo) {
  WalkCache cache(4);
  WalkState next;
  next.level = 3;
  cache.fill(VirtAddr(0xffff'8000'0000'0000), Asid(1), kGranules[0], next);
  Half half;
  const std::uint64_t probe = TlbTag::probe(VirtAddr(0xffff'8000'0000'1000), Asid(1));
  ASSERT_NE(cache.find(probe, half), nullptr);
  cache.invalidate(
      decode(TlbiKind::kVale1, encode_va(VirtAddr(0xffff'8000'0000'0000), Asid(1), 0)));
  EXPECT_NE(cache.find(probe, half), nullptr);  // last level only
  cache.invalidate(decode(TlbiKind::kAside1, encode_va(VirtAddr(0), Asid(1), 0)));
  EXPECT_EQ(cache.find(probe, half), nullptr);
}

}  // namespace
}  // namespace kpksim::mmu
