// The core's instructions on real tables: barriers and domains, AT, and a hot path without the
// heap.

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "bench/address_space.h"
#include "sim/cpu/core.h"
#include "tests/paths.h"

namespace {
std::uint64_t allocations = 0;
}

// Counts every allocation of the test binary. (Seeing malloc and free through the replaced
// operators, GCC 12 takes them for a mismatch.)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }

namespace kpksim::cpu {
namespace {

CoreProfile profile() {
  return read_core_profile(kpksim::test::source_path("profiles/cores/neoverse-v1.json"));
}
VirtAddr page(std::uint64_t n) { return VirtAddr(bench::kFirstPage + n * kPageSize); }

class CoreTest : public testing::Test {
 protected:
  // The descriptor of page n, changed behind the TLB's back.
  void change_leaf(std::uint64_t n, Field field, std::uint64_t value) {
    const mmu::WalkResult leaf =
        mmu::walk(space_.machine().memory(), core_.mmu().registers(), page(n));
    space_.machine().memory().write64(leaf.address, field.set(leaf.descriptor.raw, value));
  }

  bench::AddressSpace space_{profile(), 5000};
  Core& core_{space_.core()};
};

TEST_F(CoreTest, SteadyState_AllocatesNothing) {
  const auto sweep = [&] {
    for (std::uint64_t i = 0; i < 20000; ++i) {
      const std::uint64_t n = i * 7919 % 5000;  // L1 hits, L2 hits and walks
      ASSERT_FALSE(core_.load64(page(n)).fault);
      ASSERT_FALSE(core_.store64(page(n % 64), i));
      core_.msr_por_el1(i % 2 == 0 ? 0x57 : 0x77);
      core_.isb();
      core_.tlbi({mmu::TlbiKind::kVale1}, mmu::encode_va(page(n), Asid(0), 3));
      core_.dsb_ish();
    }
  };
  sweep();
  const std::uint64_t before = allocations;
  sweep();
  EXPECT_EQ(allocations, before);
  EXPECT_GT(before, 0u);
}

TEST_F(CoreTest, PorWrite_IsSeenAfterIsbOnly) {
  ASSERT_FALSE(core_.store64(page(0), 1));
  core_.msr_por_el1(0x17);  // key 1: read only
  EXPECT_FALSE(core_.store64(page(0), 2));
  core_.isb();
  const mmu::Fault fault = core_.store64(page(0), 3);
  EXPECT_EQ(fault.kind, mmu::FaultKind::kPermission);
  EXPECT_TRUE(fault.overlay);
}

// What the hot path finds first is of the address space that was; all of it goes at a change.
TEST_F(CoreTest, AnotherAsid_FindsNoEntryOfTheOneBefore) {
  constexpr std::uint64_t kPages = 40;  // as many as the L1 TLB holds
  const mmu::Registers regs = core_.mmu().registers();
  const auto change_to = [&](std::uint64_t asid) {
    core_.msr_ttbr(regs.ttbr0 | asid << 48, regs.ttbr1);
    core_.isb();
  };
  for (std::uint64_t n = 0; n < kPages; ++n) {
    change_leaf(3 * n, mmu::field::kNotGlobal, 1);
    for (const char* const source : {"a walk", "the L1 TLB", "the hot path"}) {
      ASSERT_FALSE(core_.load64(page(3 * n)).fault) << source;
    }
    change_leaf(3 * n, mmu::field::kValid, 0);
  }
  change_to(5);
  for (std::uint64_t n = 0; n < kPages; ++n) {
    EXPECT_EQ(core_.load64(page(3 * n)).fault.kind, mmu::FaultKind::kTranslation) << n;
  }
  change_to(0);
  for (std::uint64_t n = 0; n < kPages; ++n) EXPECT_FALSE(core_.load64(page(3 * n)).fault) << n;
}

TEST_F(CoreTest, OuterShareableTlbi_IsNotCompletedByDsbIsh) {
  ASSERT_FALSE(core_.load64(page(0)).fault);
  change_leaf(0, mmu::field::kValid, 0);
  core_.tlbi({mmu::TlbiKind::kVaae1, mmu::Domain::kOuter}, mmu::encode_va(page(0), Asid(0), 0));
  core_.dsb_ish();
  EXPECT_FALSE(core_.load64(page(0)).fault) << "the old entry may still be used";
  core_.dsb_osh();
  EXPECT_EQ(core_.load64(page(0)).fault.kind, mmu::FaultKind::kTranslation);
}

TEST_F(CoreTest, NxsForms_DropTheSameEntries) {
  ASSERT_FALSE(core_.load64(page(0)).fault);
  change_leaf(0, mmu::field::kValid, 0);
  core_.tlbi({mmu::TlbiKind::kVale1, mmu::Domain::kLocal, true},
             mmu::encode_va(page(0), Asid(0), 0));
  core_.dsb_nsh();
  EXPECT_TRUE(core_.load64(page(0)).fault);
}

TEST_F(CoreTest, At_ReportsAddressAndAttributes) {
  mmu::Registers regs = core_.mmu().registers();
  regs.mair = 0xff;
  core_.set_registers(regs);
  change_leaf(3, mmu::field::kShareability, 3);
  core_.at(mmu::AtOp::kS1E1R, page(3) + 0x128);
  EXPECT_EQ(core_.par_el1(), 0xff00'0000'1000'3980u);  // ATTR 0xff, PA, RES1, SH 0b11, F 0
  EXPECT_EQ(core_.mmu().cached(page(3), false), nullptr) << "AT left an entry";
}

// As AArch64.S1DisabledOutput() has it: Device-nGnRnE, outer shareable, whatever MAIR_EL1 says.
TEST_F(CoreTest, At_WithoutStage1_IsFlatAndOfDeviceMemory) {
  mmu::Registers regs = core_.mmu().registers();
  regs.sctlr = mmu::sctlr::kM.set(regs.sctlr, 0);
  regs.mair = 0xff;
  core_.set_registers(regs);
  core_.at(mmu::AtOp::kS1E0W, VirtAddr(0x7654'3128));  // no permissions either
  EXPECT_EQ(core_.par_el1(), 0x7654'3900u);            // ATTR 0, PA, RES1, SH 0b10, F 0
  core_.at(mmu::AtOp::kS1E1R, VirtAddr(1ull << 48));
  EXPECT_EQ(core_.par_el1(), 1u | 1u << 11);  // address size, level 0
}

// VA[55] chooses between TBI0 and TBI1; a set bit 55 is beyond PAMax in any case.
TEST_F(CoreTest, WithoutStage1_TheTopByteCountsUnlessItIsIgnored) {
  const auto faults = [&](std::uint64_t tcr, std::uint64_t va, poe::AccessKind kind) {
    mmu::Registers regs;
    regs.tcr = tcr;
    mmu::PhysicalMemory memory;
    mmu::Mmu off(profile().mmu, memory);
    off.set_registers(regs);
    const mmu::Translation t = off.translate(VirtAddr(va), {kind, 1, false}, false);
    EXPECT_TRUE(t.fault || t.pa == PhysAddr(va & 0xffff'ffff'ffff)) << t.pa.value;
    return static_cast<bool>(t.fault);
  };
  const std::uint64_t tbi0 = mmu::tcr::kTbi0.mask(), tbi1 = mmu::tcr::kTbi1.mask();
  const std::uint64_t tagged = 0xff00'0000'0000'1000, upper = 0xff80'0000'0000'1000;
  constexpr auto kRead = poe::AccessKind::kRead, kFetch = poe::AccessKind::kExecute;
  EXPECT_FALSE(faults(0, 0xffff'ffff'f000, kRead));
  EXPECT_TRUE(faults(tbi1, tagged, kRead));
  EXPECT_FALSE(faults(tbi0, tagged, kRead));
  EXPECT_FALSE(faults(tbi0, tagged, kFetch));
  EXPECT_TRUE(faults(tbi0 | mmu::tcr::kTbid0.mask(), tagged, kFetch));
  EXPECT_FALSE(faults(tbi0 | mmu::tcr::kTbid0.mask(), tagged, kRead));
  EXPECT_TRUE(faults(tbi0 | tbi1, upper, kRead));
  EXPECT_TRUE(faults(tbi0, tagged | 1ull << 48, kRead));
}

TEST_F(CoreTest, At_ReportsOverlayFault) {
  core_.msr_por_el1(0x17);
  core_.isb();
  core_.at(mmu::AtOp::kS1E1W, page(0));
  EXPECT_EQ(core_.par_el1(), 1u | 0b001111u << 1 | 1u << 11 | 1u << 14);
  core_.at(mmu::AtOp::kS1E0R, page(0));  // no unprivileged access, and E0POE is off
  EXPECT_EQ(core_.par_el1(), 1u | 0b001111u << 1 | 1u << 11);
  change_leaf(0, mmu::field::kValid, 0);
  core_.at(mmu::AtOp::kS1E1R, page(0));
  EXPECT_EQ(core_.par_el1(), 1u | 0b000111u << 1 | 1u << 11);
}

TEST_F(CoreTest, HardwareMarksDirty_OnceAndThroughTheTlb) {
  mmu::Registers regs = core_.mmu().registers();
  regs.tcr = mmu::tcr::kHd.set(mmu::tcr::kHa.set(regs.tcr, 1), 1);
  core_.set_registers(regs);
  change_leaf(0, mmu::field::kAp2, 1);
  change_leaf(0, mmu::field::kDbm, 1);
  change_leaf(0, mmu::field::kAccessFlag, 0);
  ASSERT_FALSE(core_.load64(page(0)).fault);  // access flag; the entry is clean
  ASSERT_FALSE(core_.store64(page(0), 1));    // the clean entry does not satisfy the write
  ASSERT_FALSE(core_.store64(page(0), 2));
  EXPECT_EQ(core_.counters().total(Event::kHardwareUpdate), 2u);
  const mmu::WalkResult leaf =
      mmu::walk(space_.machine().memory(), core_.mmu().registers(), page(0));
  EXPECT_EQ(mmu::field::kAp2.get(leaf.descriptor.raw), 0u);
  EXPECT_TRUE(leaf.descriptor.access_flag());
}

TEST(CortexA55, AnyTlbiEmptiesTheL1Tlbs) {
  const auto l2_hits = [](const char* name) {
    bench::AddressSpace space(
        read_core_profile(kpksim::test::source_path("profiles/cores/") + name), 8);
    Core& core = space.core();
    EXPECT_FALSE(core.load64(page(0)).fault);
    EXPECT_FALSE(core.load64(page(1)).fault);
    core.tlbi({mmu::TlbiKind::kVale1}, mmu::encode_va(page(1), Asid(0), 3));
    core.dsb_ish();
    const std::uint64_t before = core.counters().total(Event::kL2TlbHit);
    EXPECT_FALSE(core.load64(page(0)).fault);
    return core.counters().total(Event::kL2TlbHit) - before;
  };
  EXPECT_EQ(l2_hits("cortex-a55.json"), 1u);  // page 0 is still in the L2 TLB
  EXPECT_EQ(l2_hits("cortex-a76.json"), 0u);
}

}  // namespace
}  // namespace kpksim::cpu
