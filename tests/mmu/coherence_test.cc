// Random tables, registers and accesses: what comes through TLB and walk caches is what a fresh
// walk gives, if every change is followed by the TLBI, DSB and ISB that the architecture asks for.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "sim/cpu/core.h"
#include "sim/mmu/mmu.h"

namespace kpksim::mmu {
namespace {

constexpr std::uint64_t kTables = 0x10'0000;  // 64 KB apart: aligned for every granule
constexpr unsigned kTableCount = 4;           // for each half, one for each level
constexpr std::uint64_t kAccessFlag = 1ull << 10;

struct Machine {
  PhysicalMemory memory;
  Registers regs;
  Regime regime;
};

PhysAddr table_at(unsigned half, unsigned level) {
  return PhysAddr(kTables + (half * kTableCount + level) * 0x1'0000);
}

std::uint64_t some_bits() { return *rc::gen::arbitrary<std::uint64_t>(); }

Registers some_registers() {
  Registers regs;
  regs.tcr = tcr::kT0Sz.set(0, *rc::gen::inRange(16, 40));
  regs.tcr = tcr::kT1Sz.set(regs.tcr, *rc::gen::inRange(16, 40));
  regs.tcr = tcr::kTg0.set(regs.tcr, *rc::gen::inRange(0, 3));
  regs.tcr = tcr::kTg1.set(regs.tcr, *rc::gen::inRange(1, 4));
  regs.tcr = tcr::kIps.set(tcr::kAs.set(regs.tcr, 1), 5);
  for (const Field f : {tcr::kHa, tcr::kHd, tcr::kHpd0, tcr::kHpd1, tcr::kTbi0, tcr::kTbi1}) {
    regs.tcr = f.set(regs.tcr, some_bits());
  }
  for (const Field f : {tcr::kE0Pd0, tcr::kE0Pd1}) regs.tcr = f.set(regs.tcr, some_bits() % 8 == 0);
  regs.tcr2 = some_bits() & 0xe;
  regs.sctlr = 1 | (some_bits() & (sctlr::kWxn.mask() | sctlr::kEpan.mask()));
  regs.pir = some_bits();
  regs.pire0 = some_bits();
  regs.cr0 = cr0::kWp.set(0, some_bits() & 1);
  regs.por_el1 = some_bits() & 0x77777777;
  regs.por_el0 = some_bits() & 0x77777777;
  regs.ttbr0 = ttbr::kAsid.set(0, *rc::gen::inRange(1, 3));
  return regs;
}

void set_bases(Machine& m) {
  m.regime = decode_regime(m.regs);
  m.regs.ttbr0 |= table_at(0, m.regime.halves[0].start_level).value;
  m.regs.ttbr1 |= table_at(1, m.regime.halves[1].start_level).value;
  m.regime = decode_regime(m.regs);
}

// The addresses that a test uses: low indices, so that the few tables are shared and reached. Bit n
// of `indices` is the index at level n.
constexpr std::uint64_t kAddresses = 1ull << (kLastLevel + 1);
VirtAddr address(const Machine& m, unsigned half, std::uint64_t indices) {
  const Half& h = m.regime.halves[half];
  std::uint64_t va = half == 0 ? 0 : ~0ull << h.input_bits;
  for (unsigned level = h.start_level; level <= kLastLevel; ++level) {
    va |= ((indices >> level) & 1) << h.granule->level_shift(level);
  }
  return VirtAddr(va);
}
VirtAddr some_va(const Machine& m, unsigned half) {
  std::uint64_t va = address(m, half, *rc::gen::inRange<std::uint64_t>(0, kAddresses)).value;
  va |= *rc::gen::inRange<std::uint64_t>(0, 512) * 8;
  if (*rc::gen::inRange(0, 8) == 0) va ^= 0x5aull << 56;  // a tag, ignored or not
  return VirtAddr(va);
}

std::uint64_t some_descriptor(const Machine& m, unsigned half, unsigned level) {
  const unsigned kind = *rc::gen::inRange(0u, 8u);
  if (kind == 0) return 0;
  const bool table = level < kLastLevel && kind < 6;
  if (table) {
    return table_at(half, level + 1).value | 3 |
           (some_bits() & 0x7ull << 60 & (kind == 1 ? ~0ull : 0));
  }
  const unsigned shift = m.regime.halves[half].granule->level_shift(level);
  std::uint64_t raw = (some_bits() & Field{38, shift}.mask()) | (level == kLastLevel ? 3 : 1);
  // Any permission, key and state; not contiguous: a run is a promise about all of its entries.
  raw |= some_bits() & (0x7ull << 60 | 0xfull << 51 | 0x8c0);
  if (kind != 7) raw |= kAccessFlag;
  return raw & ~field::kContiguous.mask();
}

struct Outcome {
  Fault fault;
  PhysAddr pa;
};
bool same(const Outcome& a, const Outcome& b) {
  if (a.fault || b.fault) {
    return a.fault.kind == b.fault.kind && a.fault.level == b.fault.level &&
           a.fault.overlay == b.fault.overlay && a.fault.dirty == b.fault.dirty &&
           a.fault.write == b.fault.write && a.fault.far == b.fault.far;
  }
  return a.pa == b.pa;
}

// The reference: a fresh MMU, which has cached nothing, on a copy of nothing but the same tables.
Outcome fresh(const Machine& m, VirtAddr va, const poe::Access& access, bool pan) {
  auto& memory = const_cast<PhysicalMemory&>(m.memory);  // peek() writes nothing
  Mmu cold({{1, 1}, {1, 1}, {1, 1}, 1}, memory);
  cold.set_registers(m.regs);
  const Translation t = cold.peek(va, access, pan);
  return {t.fault, t.pa};
}

Outcome through(Mmu& mmu, VirtAddr va, const poe::Access& access, bool pan) {
  PhysAddr pa;
  if (access.kind != poe::AccessKind::kExecute && mmu.try_fast(va, Need::of(access, pan), pa)) {
    return {{}, pa};
  }
  const Translation t = mmu.translate(va, access, pan);
  return {t.fault, t.pa};
}

// What the hot path finds lies in the L1 data TLB too, with the same output address: no shortcut
// outlives its entry.
void check_recent(Mmu& mmu, const Machine& m) {
  for (unsigned half = 0; half < 2; ++half) {
    for (std::uint64_t indices = 0; indices < kAddresses; ++indices) {
      const VirtAddr va = address(m, half, indices);
      const std::uint32_t i = mmu.l1d().locate(TlbTag::probe(va, m.regs.asid()));
      const std::uint64_t distance = i == Tlb::kMiss ? 0 : mmu.l1d().fast(i).distance;
      PhysAddr pa;
      if (!mmu.try_fast(va, {Side::kPrivileged, 0}, pa)) continue;
      RC_ASSERT(i != Tlb::kMiss);
      RC_ASSERT(pa == PhysAddr(va.value + distance));
    }
  }
}

TEST(CoherenceProperty, AccessesThroughTheTlbAreThoseOfAFreshWalk) {
  const bool ok = rc::check("TLB and fresh walk", [] {
    Machine m;
    m.regs = some_registers();
    set_bases(m);
    for (unsigned half = 0; half < 2; ++half) {
      for (unsigned level = m.regime.halves[half].start_level; level <= kLastLevel; ++level) {
        for (unsigned i = 0; i < 2; ++i) {
          m.memory.write64(table_at(half, level) + i * 8, some_descriptor(m, half, level));
        }
      }
    }
    Mmu mmu({{1, 2}, {1, 2}, {2, 4}, 4}, m.memory);
    mmu.set_registers(m.regs);
    for (int i = 0; i < 40; ++i) {
      const unsigned half = *rc::gen::inRange(0u, 2u);
      const unsigned what = *rc::gen::inRange(0u, 10u);
      const VirtAddr va = some_va(m, half);
      if (what == 0) {  // a descriptor of one level changes, then VAAE1 of each address below
        const unsigned start = m.regime.halves[half].start_level;
        const unsigned level = *rc::gen::inRange(start, kLastLevel + 1);
        const unsigned index = *rc::gen::inRange(0u, 2u);
        m.memory.write64(table_at(half, level) + index * 8, some_descriptor(m, half, level));
        // The tables are shared by many addresses: all of them go.
        mmu.invalidate(decode(TlbiKind::kVmalle1, 0));
      } else if (what == 1) {  // the leaf of one address loses or gains rights, then VALE1 / VAE1
        const WalkResult leaf =
            walk(m.memory, m.regs, va, {poe::AccessKind::kRead, 1, false}, [] {});
        if (leaf.fault || leaf.level != kLastLevel) continue;
        m.memory.write64(leaf.address, leaf.descriptor.raw ^ (some_bits() & (0x7ull << 60 | 0xc0)));
        // Another address may reach the same word through a shared table.
        for (std::uint64_t other = 0; other < kAddresses; ++other) {
          const VirtAddr alias = address(m, half, other);
          mmu.invalidate(decode(TlbiKind::kVaale1, encode_va(alias, Asid(0), 0)));
        }
      } else if (what == 2) {  // POR: a context synchronisation, never a TLBI
        m.regs.por_el1 = some_bits() & 0x77777777;
        mmu.set_por_el1(m.regs.por_el1);
      } else if (what == 5) {  // CR0.WP: acts at once, without a TLBI
        m.regs.cr0 = cr0::kWp.set(0, some_bits() & 1);
        mmu.set_cr0(m.regs.cr0);
      } else if (what == 3) {  // another address space: same tables, other ASID
        m.regs.ttbr0 = ttbr::kAsid.set(m.regs.ttbr0, *rc::gen::inRange(1, 4));
        mmu.set_registers(m.regs);
      } else if (what == 4) {
        m.regs.pir = some_bits();
        m.regs.pire0 = some_bits();
        mmu.set_registers(m.regs);
        mmu.invalidate(decode(TlbiKind::kVmalle1, 0));
      }
      const poe::Access access{static_cast<poe::AccessKind>(*rc::gen::inRange(0, 4)),
                               *rc::gen::inRange<std::uint8_t>(0, 2), *rc::gen::arbitrary<bool>()};
      const bool pan = *rc::gen::arbitrary<bool>();
      const Outcome expected = fresh(m, va, access, pan);
      RC_ASSERT(same(through(mmu, va, access, pan), expected));
      RC_ASSERT(same(through(mmu, va, access, pan), fresh(m, va, access, pan)));
      check_recent(mmu, m);
    }
  });
  EXPECT_TRUE(ok);
}

TEST(FastRightsProperty, NeverGrantWhatTheFullCheckRefusesOrChanges) {
  const bool ok = rc::check("fast rights against check()", [] {
    for (int i = 0; i < 200; ++i) {
      const Registers regs = some_registers();
      poe::PermissionControls controls = permission_controls(regs);
      Leaf leaf;
      leaf.descriptor.raw = some_bits() | 3;
      leaf.ap_table = static_cast<std::uint8_t>(some_bits() & 3);
      leaf.uxn_table = some_bits() & 1;
      leaf.pxn_table = some_bits() & 1;
      const FastAccess fast = make_fast(leaf, controls, false);
      const Overlays overlays{Overlays::of(regs.por_el1), Overlays::of(regs.por_el0)};
      const poe::Access access{static_cast<poe::AccessKind>(some_bits() % 4),
                               static_cast<std::uint8_t>(some_bits() % 2), some_bits() % 2 == 0};
      controls.pan = some_bits() % 2 == 0;
      const poe::Verdict verdict = poe::check(leaf.permission(), controls, access);
      const bool plain = verdict.allowed && !verdict.update_descriptor;
      if (fast.grants(Need::of(access, controls.pan), overlays)) RC_ASSERT(plain);
    }
  });
  EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace kpksim::mmu
