// Tag checks (FEAT_MTE2): which accesses are checked, against which tags, and what comes before.

#include <gtest/gtest.h>

#include "bench/address_space.h"
#include "sim/cpu/core.h"
#include "tests/paths.h"

namespace kpksim::mmu {
namespace {

using cpu::Event;

constexpr MemoryTag kRest(15);  // of memory in which the test stores none, and of plain pointers
constexpr std::uint64_t kGranuleWords[] = {0, 8};

VirtAddr page(std::uint64_t n) { return VirtAddr(bench::kFirstPage + n * kPageSize); }
VirtAddr tagged(VirtAddr va, unsigned tag) {
  return with_logical_tag(va, MemoryTag(static_cast<std::uint8_t>(tag)));
}

class TagCheck : public testing::Test {
 protected:
  TagCheck() {
    space_.machine().memory().tags().set_rest(kRest);
    Registers regs = core_.mmu().registers();
    regs.tcr = tcr::kTbi1.set(regs.tcr, 1);
    regs.sctlr = sctlr::kTcf.set(sctlr::kAta.set(regs.sctlr, 1), sctlr::kTcfSynchronous);
    regs.mair = mair::attribute(0).set(0, mair::kNormalTagged);
    regs.mair = mair::attribute(1).set(regs.mair, mair::kNormal);
    core_.set_registers(regs);
  }

  void set(std::uint64_t Registers::*which, Field field, std::uint64_t value) {
    Registers regs = core_.mmu().registers();
    regs.*which = field.set(regs.*which, value);
    core_.set_registers(regs);
  }
  // The descriptor of page n, before the TLB has it.
  void change_leaf(std::uint64_t n, Field field, std::uint64_t value) {
    const WalkResult leaf = walk(memory(), core_.mmu().registers(), page(n));
    memory().write64(leaf.address, field.set(leaf.descriptor.raw, value));
  }
  PhysicalMemory& memory() { return space_.machine().memory(); }
  FaultKind load(VirtAddr va) { return core_.load64(va).fault.kind; }
  FaultKind store(VirtAddr va) { return core_.store64(va, 1).kind; }

  bench::AddressSpace space_{
      cpu::read_core_profile(kpksim::test::source_path("profiles/cores/neoverse-v2.json")), 200};
  cpu::Core& core_{space_.core()};
};

TEST_F(TagCheck, IsOfTheGranuleExactly) {
  const VirtAddr granule = page(0) + 32;
  ASSERT_FALSE(core_.stg(tagged(granule, 3)));
  for (std::uint64_t at = 0; at < kPageSize; at += 8) {
    const bool inside = at == 32 || at == 40;
    EXPECT_EQ(load(page(0) + at), inside ? FaultKind::kTagCheck : FaultKind::kNone) << at;
    EXPECT_EQ(load(tagged(page(0) + at, 3)), inside ? FaultKind::kNone : FaultKind::kTagCheck);
  }
  for (unsigned tag = 0; tag < kTags; ++tag) {
    for (const std::uint64_t word : kGranuleWords) {
      EXPECT_EQ(store(tagged(granule + word, tag)),
                tag == 3 ? FaultKind::kNone : FaultKind::kTagCheck);
    }
  }
}

TEST_F(TagCheck, RefusesReadsAndWrites_AndLeavesMemoryAsItWas) {
  ASSERT_FALSE(core_.store64(page(0), 7));
  ASSERT_FALSE(core_.stg(tagged(page(0), 3)));
  for (unsigned again = 0; again < 3; ++again) {
    EXPECT_EQ(load(page(0)), FaultKind::kTagCheck);
    EXPECT_EQ(store(page(0)), FaultKind::kTagCheck);
    EXPECT_EQ(core_.zero_line(page(0)).kind, FaultKind::kTagCheck);
  }
  EXPECT_EQ(core_.load64(tagged(page(0), 3)).value, 7u);
  EXPECT_EQ(core_.counters().total(Event::kFaultTagCheck), 9u);
}

TEST_F(TagCheck, OfAZeroedLineIsOfAllItsGranules) {
  for (const std::uint64_t granule : {0, 16, 32, 48}) {
    const VirtAddr line = page(0) + granule * 4;
    EXPECT_FALSE(core_.zero_line(line));
    ASSERT_FALSE(core_.stg(tagged(line + granule, 3)));
    EXPECT_EQ(core_.zero_line(line).kind, FaultKind::kTagCheck) << granule;
    EXPECT_EQ(core_.zero_line(line + 48).kind, FaultKind::kTagCheck) << granule;
    EXPECT_FALSE(core_.zero_line(line + 64)) << granule;
  }
}

TEST_F(TagCheck, AMatchAllPointerPassesWithTcmaOnly) {
  ASSERT_FALSE(core_.stg(tagged(page(0), 3)));
  EXPECT_EQ(store(page(0)), FaultKind::kTagCheck);
  set(&Registers::tcr, tcr::kTcma1, 1);
  EXPECT_EQ(store(page(0)), FaultKind::kNone);
  EXPECT_EQ(store(tagged(page(0), 0)), FaultKind::kTagCheck) << "the lower half's";
  EXPECT_EQ(store(tagged(page(0), 4)), FaultKind::kTagCheck);
  set(&Registers::tcr, tcr::kTcma1, 0);
  set(&Registers::tcr, tcr::kTcma0, 1);
  EXPECT_EQ(store(page(0)), FaultKind::kTagCheck);
}

TEST_F(TagCheck, ComesAfterTranslationPermissionsAndOverlay) {
  const VirtAddr wrong = tagged(page(0), 5);
  core_.msr_por_el1(0x17);  // key 1: read only
  core_.isb();
  for (unsigned hit = 0; hit < 2; ++hit) {
    const Fault overlay = core_.store64(wrong, 1);
    EXPECT_EQ(overlay.kind, FaultKind::kPermission);
    EXPECT_TRUE(overlay.overlay);
    EXPECT_EQ(load(wrong), FaultKind::kTagCheck) << "which the overlay grants";
  }
  core_.msr_por_el1(0x57);
  core_.isb();
  EXPECT_EQ(store(wrong), FaultKind::kTagCheck);

  change_leaf(1, field::kAp2, 1);  // read-only
  const Fault base = core_.store64(tagged(page(1), 5), 1);
  EXPECT_EQ(base.kind, FaultKind::kPermission);
  EXPECT_FALSE(base.overlay);
  change_leaf(2, field::kValid, 0);
  EXPECT_EQ(store(tagged(page(2), 5)), FaultKind::kTranslation);
  change_leaf(3, field::kAccessFlag, 0);
  EXPECT_EQ(store(tagged(page(3), 5)), FaultKind::kAccessFlag);
}

TEST_F(TagCheck, WithoutTbiThereIsNone_AndATagIsPartOfTheAddress) {
  ASSERT_FALSE(core_.stg(tagged(page(0), 3)));
  set(&Registers::tcr, tcr::kTbi1, 0);
  EXPECT_EQ(store(page(0)), FaultKind::kNone);
  EXPECT_EQ(store(tagged(page(0), 3)), FaultKind::kTranslation);
  set(&Registers::tcr, tcr::kTbi1, 1);
  EXPECT_EQ(store(page(0)), FaultKind::kTagCheck);
}

TEST_F(TagCheck, IsOfTaggedMappingsOnly_ButTagsAreTheMemorys) {
  change_leaf(64, field::kAttrIndx, 1);  // not Tagged
  ASSERT_FALSE(core_.stg(tagged(page(0), 3)));
  EXPECT_EQ(store(page(0)), FaultKind::kTagCheck);
  EXPECT_EQ(store(page(128)), FaultKind::kTagCheck) << "another mapping of the same frame";
  EXPECT_EQ(store(page(64)), FaultKind::kNone) << "and one that is not Tagged";
  EXPECT_EQ(store(page(64)), FaultKind::kNone);
  ASSERT_FALSE(core_.stg(tagged(page(64), 4))) << "ignored";
  EXPECT_EQ(store(tagged(page(0), 3)), FaultKind::kNone);
  EXPECT_EQ(logical_tag(VirtAddr(core_.ldg(page(64)).value)), MemoryTag(0));
}

TEST_F(TagCheck, NeedsTcf_AndTagsNeedAta) {
  ASSERT_FALSE(core_.stg(tagged(page(0), 3)));
  set(&Registers::sctlr, sctlr::kTcf, 0);
  EXPECT_EQ(store(page(0)), FaultKind::kNone);
  EXPECT_EQ(logical_tag(VirtAddr(core_.ldg(page(0)).value)), MemoryTag(3));
  set(&Registers::sctlr, sctlr::kTcf, sctlr::kTcfSynchronous);
  EXPECT_EQ(store(page(0)), FaultKind::kTagCheck) << "no translation of before is used unchecked";
  set(&Registers::sctlr, sctlr::kAta, 0);
  EXPECT_EQ(store(page(0)), FaultKind::kNone);
  ASSERT_FALSE(core_.stg(tagged(page(0), 4))) << "ignored";
  EXPECT_EQ(core_.ldg(page(0)).value, tagged(page(0), 0).value);
  set(&Registers::sctlr, sctlr::kAta, 1);
  EXPECT_EQ(store(tagged(page(0), 3)), FaultKind::kNone);
}

TEST_F(TagCheck, IsMadeAtEachAccess) {
  EXPECT_EQ(store(page(0)), FaultKind::kNone);
  EXPECT_EQ(store(page(0)), FaultKind::kNone);
  ASSERT_FALSE(core_.stg(tagged(page(0), 3)));
  EXPECT_EQ(store(page(0)), FaultKind::kTagCheck);
  ASSERT_FALSE(core_.stg(page(0)));
  EXPECT_EQ(store(page(0)), FaultKind::kNone);
}

TEST_F(TagCheck, UnprivilegedAccessesHaveTheirOwnControls) {
  change_leaf(0, field::kAp1, 1);
  ASSERT_FALSE(core_.stg(tagged(page(1), 3)));
  EXPECT_FALSE(core_.user_access(tagged(page(0), 5), poe::AccessKind::kWrite));
  EXPECT_FALSE(core_.unprivileged_access(tagged(page(0), 5), poe::AccessKind::kWrite));
}

TEST_F(TagCheck, FaultsWithTheStatusOfItsOwn) {
  const VirtAddr wrong = tagged(page(0), 5);
  const Fault fault = core_.store64(wrong, 1);
  EXPECT_EQ(fault.far, wrong);
  EXPECT_EQ(status_of(fault), 0b010001u);
  const std::uint64_t esr = esr_of(fault, {poe::AccessKind::kWrite, 1, false});
  EXPECT_EQ(esr::kEc.get(esr), 0x25u);
  EXPECT_EQ(esr::kWnr.get(esr), 1u);
  EXPECT_EQ(esr::kWnr.get(esr_of(core_.load64(wrong).fault, {poe::AccessKind::kRead, 1, false})),
            0u);
}

TEST_F(TagCheck, TagStoresNeedTheRightToWriteAndAreNotChecked) {
  ASSERT_FALSE(core_.dc_gva(tagged(page(0) + 64, 3)));
  for (std::uint64_t at = 0; at < 256; at += kTagGranule) {
    const MemoryTag tag = logical_tag(VirtAddr(core_.ldg(page(0) + at).value));
    EXPECT_EQ(tag, at >= 64 && at < 128 ? MemoryTag(3) : kRest) << at;
  }
  core_.msr_por_el1(0x17);  // key 1: read only
  core_.isb();
  for (const Fault& fault : {core_.stg(page(0) + 64), core_.dc_gva(page(0) + 64)}) {
    EXPECT_EQ(fault.kind, FaultKind::kPermission);
    EXPECT_TRUE(fault.overlay);
  }
  EXPECT_EQ(core_.ldg(page(0) + 64).value, tagged(page(0) + 64, 3).value);
  EXPECT_EQ(core_.counters().total(Event::kTagStore), 3u);
  EXPECT_EQ(core_.counters().total(Event::kTagLoad), 17u);
}

TEST_F(TagCheck, OnlyFramesWithStoredTagsTakeHostMemory) {
  for (std::uint64_t n = 0; n < 64; ++n) EXPECT_EQ(store(page(n)), FaultKind::kNone);
  EXPECT_EQ(memory().tags().resident_frames(), 0u);
  ASSERT_FALSE(core_.stg(tagged(page(0), 3)));
  EXPECT_EQ(memory().tags().resident_frames(), 1u);
}

}  // namespace
}  // namespace kpksim::mmu
