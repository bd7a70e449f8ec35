// TLBIs that pass by an MMU which holds nothing of what they name, and counts that ask the same:
// against the entries themselves.

#include "sim/mmu/presence.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <deque>
#include <tuple>
#include <vector>

#include "sim/mmu/mmu.h"

namespace kpksim::mmu {
namespace {

constexpr std::uint64_t kUpper = ~0ull << 48;

// One root for both halves. Entry 0 of each table leads to the next level; 16 pages, and 16 blocks
// of 2 MB from 32 MB on, every other one of each global.
void map(PhysicalMemory& memory) {
  for (std::uint64_t level = 0; level < kLastLevel; ++level) {
    memory.write64(PhysAddr(0x1000 * (level + 1)), (0x1000 * (level + 2)) | 3);
  }
  for (std::uint64_t i = 0; i < 16; ++i) {
    const Descriptor d = Descriptor{i << kPageShift}.with(field::kAccessFlag, 1);
    memory.write64(PhysAddr(0x4000 + i * 8), d.with(field::kNotGlobal, i % 2).raw | 3);
    const Descriptor block = Descriptor{i << kPmdShift}.with(field::kAccessFlag, 1);
    memory.write64(PhysAddr(0x3000 + (16 + i) * 8), block.with(field::kNotGlobal, i % 2).raw | 1);
  }
}

VirtAddr presence_some_va() {
  const std::uint64_t i = *rc::gen::inRange<std::uint64_t>(0, 32);
  const std::uint64_t va = i < 16 ? i << kPageShift : (i << kPmdShift) + 0x5000;
  return VirtAddr(*rc::gen::arbitrary<bool>() ? va : va | kUpper);
}

Registers registers_of(Asid asid) {
  Registers regs;
  regs.tcr = tcr::kT0Sz.set(tcr::kT1Sz.set(0, 16), 16);
  regs.tcr = tcr::kAs.set(tcr::kIps.set(tcr::kTg1.set(regs.tcr, 0b10), 0b101), 1);
  regs.sctlr = sctlr::kM.set(0, 1);
  regs.ttbr0 = ttbr::kAsid.set(0x1000, asid.value);
  regs.ttbr1 = 0x1000;
  return regs;
}

// Some that share a counter of Presence.
Asid some_asid() { return Asid(*rc::gen::element<std::uint16_t>(1, 2, 3, 1025, 1026, 2049)); }

using Held = std::vector<std::tuple<std::uint64_t, std::uint64_t, unsigned, unsigned>>;

// The entries for which `keep` holds: leaves of the three TLBs, and tables.
template <class KeepLeaf, class KeepTable>
Held held(const Mmu& mmu, KeepLeaf&& keep_leaf, KeepTable&& keep_table) {
  Held out;
  for (const Tlb* tlb : {&mmu.l1i(), &mmu.l1d(), &mmu.l2()}) {
    for (const TlbEntry& e : tlb->entries()) {
      if (e.valid && keep_leaf(e))
        out.emplace_back(e.va().value, e.asid.value, e.leaf.page_bits, 0);
    }
    out.emplace_back();  // the next TLB
  }
  for (const WalkCache::Entry& e : mmu.walk_cache().entries()) {
    if (e.valid && keep_table(e)) out.emplace_back(e.va().value, e.asid.value, e.bits, 1);
  }
  return out;
}

TlbiEffect some_tlbi() {
  const auto kind = static_cast<TlbiKind>(*rc::gen::inRange(0u, 10u));
  const VirtAddr va = presence_some_va();
  const unsigned level = *rc::gen::element(0u, 0u, 2u, 3u);
  const std::uint64_t xt = info(kind).range
                               ? encode_range(va, some_asid(), *rc::gen::inRange(0u, 3u),
                                              *rc::gen::inRange(0u, 32u), level)
                               : encode_va(va, some_asid(), level);
  return decode(kind, xt);
}

TEST(PresenceProperty, ATlbiDropsWhatItNamesAndNothingElseWhetherItIsPassedByOrNot) {
  const bool ok = rc::check("TLBI against the entries", [] {
    PhysicalMemory memory;
    map(memory);
    MmuGeometry geometry{{1, 4}, {1, 4}, {4, 2}, 6};
    Mmu mmu(geometry, memory);
    const unsigned steps = *rc::gen::inRange(1u, 60u);
    for (unsigned i = 0; i < steps; ++i) {
      if (*rc::gen::inRange(0, 3) != 0) {
        mmu.set_registers(registers_of(some_asid()));
        const auto kind = *rc::gen::element(poe::AccessKind::kRead, poe::AccessKind::kExecute);
        mmu.translate(presence_some_va(), {kind, 1, false}, false);
        continue;
      }
      const TlbiEffect effect = some_tlbi();
      const Held expected = held(
          mmu, [&](const TlbEntry& e) { return !effect.drops_leaf(e.range()); },
          [&](const WalkCache::Entry& e) { return !effect.drops_table(e.range()); });
      mmu.invalidate(effect);
      const auto all = [](const auto&) { return true; };
      RC_ASSERT(held(mmu, all, all) == expected);
      if (mmu.empty()) RC_ASSERT(held(mmu, all, all) == Held(3));
    }
  });
  EXPECT_TRUE(ok);
}

// A page shares its counter with a larger one that was there before: the size is a new one all the
// same.
TEST(Holders, KnowAPageSizeWhosePageHasTheCounterOfAnother) {
  Holders holders(1);
  Presence presence;
  presence.report_to(holders, 0);
  const VirtAddr large(kUpper + 0x7fff0000);
  std::uint64_t other = kUpper;
  while (Place::of_page(other, 12) != Place::of_page(large.value, 16)) other += kPageSize;
  presence.add_leaf(VirtAddr(other), Asid(1), true, 12);
  presence.add_leaf(large, Asid(1), true, 16);
  unsigned named = 0;
  holders.for_each(decode(TlbiKind::kVaale1, encode_va(large + kPageSize, Asid(0), 3)),
                   [&](unsigned) { ++named; });
  EXPECT_EQ(named, 1u);
}

// As of a machine: those that Holders names are visited; of the others, all.
TEST(HoldersProperty, ATlbiThatVisitsTheHoldersAloneLeavesWhatOneThatVisitsAllDoes) {
  const bool ok = rc::check("TLBI of the holders against TLBI of all", [] {
    constexpr unsigned kMmus = 70;  // more than a word has bits
    PhysicalMemory memory;
    map(memory);
    const MmuGeometry geometry{{1, 2}, {1, 4}, {4, 2}, 6};
    Holders holders(kMmus);
    std::deque<Mmu> some, all;
    for (unsigned i = 0; i < kMmus; ++i) {
      some.emplace_back(geometry, memory);
      all.emplace_back(geometry, memory);
      some.back().report_to(holders, i);
    }
    const unsigned steps = *rc::gen::inRange(1u, 60u);
    for (unsigned i = 0; i < steps; ++i) {
      if (*rc::gen::inRange(0, 3) != 0) {
        const unsigned at = *rc::gen::element(0u, 1u, 63u, 64u, 69u);
        const Registers regs = registers_of(some_asid());
        const VirtAddr va = presence_some_va();
        for (std::deque<Mmu>* mmus : {&some, &all}) {
          (*mmus)[at].set_registers(regs);
          (*mmus)[at].translate(va, {poe::AccessKind::kRead, 1, false}, false);
        }
        continue;
      }
      const TlbiEffect effect = some_tlbi();
      holders.for_each(effect, [&](unsigned at) { some[at].invalidate(effect); });
      for (Mmu& mmu : all) mmu.invalidate(effect);
    }
    const auto every = [](const auto&) { return true; };
    for (unsigned i = 0; i < kMmus; ++i) {
      RC_ASSERT(held(some[i], every, every) == held(all[i], every, every));
    }
    // Nobody is named who holds nothing, once all has been dropped.
    for (Mmu& mmu : some) mmu.invalidate(decode(TlbiKind::kVmalle1, 0));
    unsigned named = 0;
    for (unsigned i = 0; i < 20; ++i) holders.for_each(some_tlbi(), [&](unsigned) { ++named; });
    RC_ASSERT(named == 0u);
  });
  EXPECT_TRUE(ok);
}

TEST(PresenceProperty, CachedPagesAreCountedAsTheEntriesSay) {
  const bool ok = rc::check("count_cached() against the entries", [] {
    PhysicalMemory memory;
    map(memory);
    Mmu mmu({{1, 4}, {2, 2}, {4, 2}, 6}, memory);
    const unsigned steps = *rc::gen::inRange(1u, 40u);
    for (unsigned i = 0; i < steps; ++i) {
      mmu.set_registers(registers_of(some_asid()));
      mmu.translate(presence_some_va(), {poe::AccessKind::kRead, 1, false}, false);
    }
    const VirtAddr start = presence_some_va();
    const VirtAddr end =
        start + *rc::gen::element(kPageSize, 8 * kPageSize, kPmdSize, 9 * kPmdSize);
    const Asid asid = some_asid();
    unsigned expected = 0;
    for (const Tlb* tlb : {&mmu.l1i(), &mmu.l1d(), &mmu.l2()}) {
      for (const TlbEntry& e : tlb->entries()) {
        const bool own = e.valid && !e.leaf.global && e.asid == asid;
        if (own && e.va() < end && e.va() + (1ull << e.leaf.page_bits) > start) ++expected;
      }
    }
    RC_ASSERT(mmu.count_cached(asid, start, end) == expected);
  });
  EXPECT_TRUE(ok);
}

TEST(Presence, ATlbiOfAnotherAddressSpacePassesByAndOneOfItsOwnDoesNot) {
  Presence presence;
  EXPECT_FALSE(presence.may_hold(decode(TlbiKind::kVmalle1, 0)));
  presence.add_leaf(VirtAddr(0x1000), Asid(1), false, kPageShift);
  EXPECT_TRUE(presence.may_hold(decode(TlbiKind::kVae1, encode_va(VirtAddr(0x9000), Asid(1), 0))));
  EXPECT_FALSE(presence.may_hold(decode(TlbiKind::kVae1, encode_va(VirtAddr(0x1000), Asid(2), 0))));
  EXPECT_FALSE(
      presence.may_hold(decode(TlbiKind::kVaae1, encode_va(VirtAddr(kUpper), Asid(0), 0))));
  presence.add_leaf(VirtAddr(kUpper), Asid(1), true, kPageShift);
  EXPECT_TRUE(presence.may_hold(decode(TlbiKind::kVaae1, encode_va(VirtAddr(kUpper), Asid(0), 0))));
}

TEST(Presence, AFillCountsTheAddressSpaceThatAGlobalLeafDidNotHave) {
  Presence presence;
  Tlb tlb({1, 1}, &presence);
  Leaf leaf;
  leaf.level = kLastLevel;
  leaf.page_bits = kPageShift;
  leaf.global = true;
  tlb.fill(VirtAddr(0x1000), Asid(1), leaf, FastAccess{});
  EXPECT_FALSE(presence.may_hold(Asid(1)));
  leaf.global = false;
  tlb.fill(VirtAddr(0x2000), Asid(1), leaf, FastAccess{});
  EXPECT_TRUE(presence.may_hold(Asid(1)));
  leaf.global = true;
  tlb.fill(VirtAddr(0x3000), Asid(1), leaf, FastAccess{});
  EXPECT_FALSE(presence.may_hold(Asid(1)));
}

TEST(Presence, ATlbiOfAKernelPagePassesByWhoHoldsOtherKernelPages) {
  Presence presence;
  const auto last_level = [](std::uint64_t va) {
    return decode(TlbiKind::kVaale1, encode_va(VirtAddr(va), Asid(0), 0));
  };
  presence.add_leaf(VirtAddr(kUpper), Asid(1), true, kPageShift);
  EXPECT_TRUE(presence.may_hold(last_level(kUpper)));
  EXPECT_FALSE(presence.may_hold(last_level(kUpper + kPageSize)));
  presence.add_leaf(VirtAddr(kUpper + kPmdSize), Asid(1), true, kPmdShift);
  EXPECT_TRUE(presence.may_hold(last_level(kUpper + kPmdSize + 7 * kPageSize)));
  EXPECT_FALSE(presence.may_hold(last_level(kUpper + kPageSize)));
}

}  // namespace
}  // namespace kpksim::mmu
