// Stage 2: the walk in two dimensions, rights that belong to the frame, faults with their IPA, and
// what each TLBI drops.

#include <gtest/gtest.h>

#include "sim/mmu/at.h"
#include "sim/mmu/mmu.h"

namespace kpksim::mmu {
namespace {

constexpr poe::Access kRead{poe::AccessKind::kRead, 1, false};
constexpr poe::Access kWrite{poe::AccessKind::kWrite, 1, false};

// An IPA lies this far below its physical address, so that no mistake between them goes unseen.
constexpr std::uint64_t kDistance = 1ull << 32;
constexpr std::uint64_t kIpa = 0x40000000;  // where the virtual machine's memory starts
// Stage 1 tables, by level, in pages that stage 2 maps one by one.
constexpr std::uint64_t kTable[] = {kIpa, kIpa + 0x1000, kIpa + 0x2000, kIpa + 0x3000};
constexpr std::uint64_t kData = kIpa + 0x200000;     // under blocks of 2 MB at stage 2
constexpr std::uint64_t kSealed = kIpa + 0x400000;   // such a block, read-only
constexpr std::uint64_t kNothing = kIpa + 0x600000;  // unmapped at stage 2
// Stage 2 tables (physical): two of level 1 side by side, one each of the levels 0, 2 and 3.
constexpr std::uint64_t kRoot = 0x10000000, kSecond = 0x10002000, kThird = 0x10003000,
                        kAbove = 0x10004000;
// Virtual addresses: pages, and a stage 1 block over the tables' pages.
constexpr VirtAddr kPage{0x5000}, kNextPage{0x6000}, kAlias{0x7000}, kAliasOfTable{0x8000},
    kInSealed{0x9000}, kInNothing{0xa000}, kReadOnlyInSealed{0xb000}, kOld{0xc000};
constexpr VirtAddr kBlock{0x200000};

constexpr std::uint64_t kBoth = s2_field::kRead.mask() | s2_field::kWrite.mask();
constexpr std::uint64_t kValidPage = 3, kValidBlock = 1;

class Stage2Test : public testing::Test {
 protected:
  Stage2Test() {
    // Stage 2.
    write(kRoot + 8, kSecond | kValidPage);
    write(kSecond, kThird | kValidPage);
    for (std::uint64_t i = 0; i < 512; ++i) set_page(kIpa + i * kPageSize, kBoth);
    write(kSecond + 8, second(kData, kValidBlock, kBoth));
    write(kSecond + 16, second(kSealed, kValidBlock, s2_field::kRead.mask()));
    write(kAbove, kRoot | kValidPage);
    // Stage 1.
    for (unsigned level = 0; level < 3; ++level) {
      write(kTable[level] + kDistance, kTable[level + 1] | kValidPage);
    }
    map(kPage, kData);
    map(kNextPage, kData + kPageSize);
    map(kAlias, kData);
    map(kAliasOfTable, kTable[3]);
    map(kInSealed, kSealed);
    map(kInNothing, kNothing);
    map(kReadOnlyInSealed, kSealed, field::kAp2.mask());
    write(kTable[2] + kDistance + 8, leaf(kIpa, kValidBlock));

    regs_.tcr = tcr::kT0Sz.set(tcr::kT1Sz.set(0, 16), 16);
    regs_.tcr = tcr::kTg1.set(tcr::kIps.set(regs_.tcr, 0b101), 0b10);
    regs_.sctlr = sctlr::kM.mask();
    regs_.ttbr0 = kTable[0];
    regs_.hcr = hcr::kVm.mask();
    regs_.vtcr = vtcr::kPs.set(vtcr::kSl0.set(vtcr::kT0Sz.set(0, 24), 1), 0b101);
    regs_.vttbr = kRoot;
    mmu_.set_registers(regs_);
  }

  void write(std::uint64_t pa, std::uint64_t value) { memory_.write64(PhysAddr(pa), value); }
  std::uint64_t second(std::uint64_t ipa, std::uint64_t type, std::uint64_t rights) {
    return (ipa + kDistance) | type | rights | field::kAccessFlag.mask();
  }
  void set_page(std::uint64_t ipa, std::uint64_t rights) {
    write(kThird + (ipa - kIpa) / kPageSize * 8, second(ipa, kValidPage, rights));
  }
  std::uint64_t leaf(std::uint64_t ipa, std::uint64_t type) {
    return ipa | type | field::kAccessFlag.mask();
  }
  void map(VirtAddr va, std::uint64_t ipa, std::uint64_t more = 0) {
    write(kTable[3] + kDistance + va.value / kPageSize * 8, leaf(ipa, kValidPage) | more);
  }
  Translation access(VirtAddr va, const poe::Access& a) {
    PhysAddr pa;
    if (mmu_.try_fast(va, Need::of(a, false), pa)) {
      Translation fast;
      fast.pa = pa;
      return fast;
    }
    return mmu_.translate(va, a, false);
  }
  bool refused(VirtAddr va) { return static_cast<bool>(access(va, kWrite).fault); }
  void tlbi(TlbiKind kind, std::uint64_t address = 0) {
    mmu_.invalidate(decode(kind, encode_va(VirtAddr(address), Asid(0), 0)));
  }

  PhysicalMemory memory_;
  Mmu mmu_{{{1, 4}, {1, 4}, {4, 2}, 8, false}, memory_};
  Registers regs_;
};

TEST_F(Stage2Test, AWalkReadsBothStagesTables) {
  const Translation t = access(kPage, kWrite);
  EXPECT_FALSE(t.fault);
  EXPECT_EQ(t.pa, PhysAddr(kData + kDistance));
  // Four descriptors of stage 1, each behind three of stage 2, and the page behind a block.
  EXPECT_EQ(t.walk_reads, 4 * (3 + 1) + 2);
  EXPECT_EQ(mmu_.walk_path()[0], PhysAddr(kRoot + 8));
  EXPECT_EQ(mmu_.walk_path()[3], PhysAddr(kTable[0] + kDistance));
  EXPECT_EQ(mmu_.walk_path()[17], PhysAddr(kSecond + 8));
  EXPECT_EQ(access(kPage, kWrite).source, Source::kL1);
}

TEST_F(Stage2Test, TheNextWalkFindsItsTablesCachedInBothStages) {
  access(kPage, kRead);
  EXPECT_EQ(access(kNextPage, kRead).walk_reads, 1);
}

TEST_F(Stage2Test, FortyEightBitsAreOneLevelMore) {
  regs_.vtcr = vtcr::kSl0.set(vtcr::kT0Sz.set(regs_.vtcr, 16), 2);
  regs_.vttbr = kAbove;
  mmu_.set_registers(regs_);
  const Translation t = access(kPage, kRead);
  EXPECT_EQ(t.pa, PhysAddr(kData + kDistance));
  EXPECT_EQ(t.walk_reads, 4 * (4 + 1) + 3);
}

TEST_F(Stage2Test, TablesSideBySideAreOneTable) {
  constexpr std::uint64_t kFar = 600ull << 30;  // in the second of the two
  write(kRoot + 600 * 8, second(kFar, kValidBlock, kBoth));
  map(kPage, kFar);
  const Translation t = access(kPage, kRead);
  EXPECT_FALSE(t.fault);
  EXPECT_EQ(t.pa, PhysAddr(kFar + kDistance));
}

TEST_F(Stage2Test, AWriteToAReadOnlyBlockIsRefusedWithItsIpa) {
  const Translation t = access(kInSealed + 0x18, kWrite);
  EXPECT_EQ(t.fault.kind, FaultKind::kPermission);
  EXPECT_EQ(t.fault.level, 2);
  EXPECT_TRUE(t.fault.stage2);
  EXPECT_TRUE(t.fault.write);
  EXPECT_FALSE(t.fault.table_walk);
  EXPECT_FALSE(t.fault.overlay);
  EXPECT_EQ(mmu_.fault_ipa(), PhysAddr(kSealed + 0x18));
  const std::uint64_t syndrome = esr_of(t.fault, kWrite);
  EXPECT_EQ(esr::kEc.get(syndrome), 0x24u);  // EL2 takes it, from a lower level
  EXPECT_EQ(esr::kStatus.get(syndrome), 0b001110u);
  EXPECT_EQ(esr::kS1Ptw.get(syndrome), 0u);
}

TEST_F(Stage2Test, AWriteToAReadOnlyPageIsRefused_AReadIsNot) {
  set_page(kTable[3], s2_field::kRead.mask());
  EXPECT_FALSE(access(kAliasOfTable, kRead).fault);
  const Translation t = access(kAliasOfTable, kWrite);  // by the entry that the read left
  EXPECT_EQ(t.source, Source::kL1);
  EXPECT_TRUE(t.fault.stage2);
  EXPECT_EQ(t.fault.level, 3);
  EXPECT_EQ(mmu_.fault_ipa(), PhysAddr(kTable[3]));
}

TEST_F(Stage2Test, EveryAliasIsRefused) {
  set_page(kTable[3], s2_field::kRead.mask());
  EXPECT_TRUE(refused(kAliasOfTable));
  EXPECT_TRUE(refused(kBlock + (kTable[3] - kIpa)));
  EXPECT_FALSE(refused(kBlock + (kTable[2] - kIpa)));
}

TEST_F(Stage2Test, WhatTheHypervisorWritesIsNotChecked) {
  mmu_.set_stage2_checked(false);
  EXPECT_FALSE(refused(kInSealed));
  mmu_.set_stage2_checked(true);
  EXPECT_TRUE(refused(kInSealed));
}

TEST_F(Stage2Test, Stage1sPermissionFaultComesFirst) {
  const Translation t = access(kReadOnlyInSealed, kWrite);
  EXPECT_EQ(t.fault.kind, FaultKind::kPermission);
  EXPECT_FALSE(t.fault.stage2);
}

TEST_F(Stage2Test, AnUnmappedIpaIsATranslationFault) {
  const Translation t = access(kInNothing + 8, kRead);
  EXPECT_EQ(t.fault.kind, FaultKind::kTranslation);
  EXPECT_TRUE(t.fault.stage2);
  EXPECT_EQ(t.fault.level, 2);
  EXPECT_EQ(mmu_.fault_ipa(), PhysAddr(kNothing + 8));
  EXPECT_EQ(mmu_.cached(kInNothing, false), nullptr);
}

TEST_F(Stage2Test, AnIpaBeyondTheInputSizeIsATranslationFaultAtLevel0) {
  map(kPage, 1ull << 40);
  const Translation t = access(kPage, kRead);
  EXPECT_EQ(t.fault.kind, FaultKind::kTranslation);
  EXPECT_EQ(t.fault.level, 0);
  EXPECT_TRUE(t.fault.stage2);
}

TEST_F(Stage2Test, ATableThatCannotBeReadFaultsOnTheWalk) {
  set_page(kTable[3], 0);
  const Translation t = access(kPage, kRead);
  EXPECT_EQ(t.fault.kind, FaultKind::kPermission);
  EXPECT_TRUE(t.fault.table_walk);
  EXPECT_EQ(mmu_.fault_ipa(), PhysAddr(kTable[3] + kPage.value / kPageSize * 8));
  EXPECT_EQ(esr::kS1Ptw.get(esr_of(t.fault, kRead)), 1u);
}

TEST_F(Stage2Test, AHardwareUpdateNeedsStage2sWriteRight) {
  map(kOld, kData);
  const std::uint64_t entry = kTable[3] + kOld.value / kPageSize * 8;
  write(entry + kDistance, kData | kValidPage);  // access flag clear
  regs_.tcr = tcr::kHa.set(regs_.tcr, 1);
  mmu_.set_registers(regs_);
  set_page(kTable[3], s2_field::kRead.mask());
  const Translation t = access(kOld, kRead);
  EXPECT_EQ(t.fault.kind, FaultKind::kPermission);
  EXPECT_TRUE(t.fault.table_walk);
  EXPECT_TRUE(t.fault.write);
  EXPECT_EQ(mmu_.fault_ipa(), PhysAddr(entry));
  EXPECT_EQ(memory_.read64(PhysAddr(entry + kDistance)), kData | kValidPage);
  // Software sets the flag if hardware is not asked to.
  regs_.tcr = tcr::kHa.set(regs_.tcr, 0);
  mmu_.set_registers(regs_);
  const Fault fault = access(kOld, kRead).fault;
  EXPECT_EQ(fault.kind, FaultKind::kAccessFlag);
  EXPECT_FALSE(fault.stage2);
}

TEST_F(Stage2Test, EntriesKeepTheirRightsUntilBothTlbisAreMade) {
  ASSERT_FALSE(refused(kAliasOfTable));
  set_page(kTable[3], s2_field::kRead.mask());
  EXPECT_FALSE(refused(kAliasOfTable));
  tlbi(TlbiKind::kIpas2e1, kTable[3]);  // leaves what holds both stages
  EXPECT_FALSE(refused(kAliasOfTable));
  tlbi(TlbiKind::kVmalle1);
  EXPECT_TRUE(refused(kAliasOfTable));
}

TEST_F(Stage2Test, ATlbiOfStage1LeavesTheIpaCache) {
  ASSERT_FALSE(refused(kAliasOfTable));
  set_page(kTable[3], s2_field::kRead.mask());
  tlbi(TlbiKind::kVmalle1);
  EXPECT_FALSE(refused(kAliasOfTable));
  tlbi(TlbiKind::kIpas2e1, kTable[2]);  // another page
  tlbi(TlbiKind::kVmalle1);
  EXPECT_FALSE(refused(kAliasOfTable));
  tlbi(TlbiKind::kVmalls12e1);
  EXPECT_TRUE(refused(kAliasOfTable));
}

TEST_F(Stage2Test, ATlbiOfABlockDropsAllPartsOfIt) {
  for (const std::uint64_t at : {0x4000u, 0x9000u}) {
    ASSERT_FALSE(refused(kBlock + at));
    EXPECT_EQ(mmu_.cached(kBlock + at, false)->page_bits, kPageShift);
  }
  tlbi(TlbiKind::kVale1, (kBlock + 0x10000).value);  // where no part is cached
  for (const std::uint64_t at : {0x4000u, 0x9000u}) {
    EXPECT_EQ(mmu_.cached(kBlock + at, false), nullptr);
  }
}

TEST_F(Stage2Test, AtGivesTheIpa) {
  access(kPage, kRead);
  EXPECT_EQ(par::kPa.get(par_of(mmu_, AtOp::kS1E1R, kPage, false)), kData >> kPageShift);
  EXPECT_EQ(par::kF.get(par_of(mmu_, AtOp::kS1E1W, kInSealed, false)), 0u);
}

TEST_F(Stage2Test, PeekFindsWhatTranslateFinds) {
  for (const VirtAddr va : {kPage, kAliasOfTable, kInSealed, kInNothing, kReadOnlyInSealed}) {
    const Translation before = mmu_.peek(va, kWrite, false);
    const Translation now = access(va, kWrite);
    EXPECT_EQ(before.fault.kind, now.fault.kind);
    EXPECT_EQ(before.fault.stage2, now.fault.stage2);
    EXPECT_EQ(before.fault.level, now.fault.level);
    if (!now.fault) {
      EXPECT_EQ(before.pa, now.pa);
    }
  }
}

TEST_F(Stage2Test, WithStage1OffAnAddressIsAnIpa) {
  regs_.sctlr = 0;
  mmu_.set_registers(regs_);
  EXPECT_EQ(access(VirtAddr(kData + 0x18), kWrite).pa, PhysAddr(kData + kDistance + 0x18));
  EXPECT_TRUE(access(VirtAddr(kSealed), kWrite).fault.stage2);
  EXPECT_TRUE(access(VirtAddr(kNothing), kRead).fault.stage2);
}

}  // namespace
}  // namespace kpksim::mmu
