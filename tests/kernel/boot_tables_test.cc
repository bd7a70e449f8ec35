// The boot tables of a linear map of pages, made when they are read, against tables that are built
// entry by entry.

#include "sim/kernel/boot_tables.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "sim/kernel/pgtable.h"
#include "sim/kernel/prot.h"
#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

const Pfn kMemory = frame_of(PhysAddr(kPhysOffset));

PhysAddr entry_of(Pfn table, std::uint64_t page, unsigned level) {
  return address_of(table) + ((page >> (9 * (3 - level))) % kEntriesPerTable) * 8;
}

// As boot does it: each page in turn, with the tables that are still missing. Returns how many.
std::uint64_t build(mmu::PhysicalMemory& memory, std::uint64_t pages, bool contiguous) {
  std::uint64_t tables = 1;
  for (std::uint64_t page = 0; page < pages; ++page) {
    Pfn table = kMemory;
    for (unsigned level = 0; level < mmu::kLastLevel; ++level) {
      const PhysAddr entry = entry_of(table, page, level);
      if (memory.read64(entry) == 0) {
        memory.write64(entry, table_descriptor(kMemory + tables++).raw);
      }
      table = mmu::Descriptor{memory.read64(entry)}.pfn();
    }
    const bool run = contiguous && page / kContiguousEntries < pages / kContiguousEntries;
    memory.write64(entry_of(table, page, 3), linear_leaf(address_of(kMemory + page), 3, run).raw);
  }
  return tables;
}

mmu::PhysicalMemory with_boot_tables(std::uint64_t pages, bool contiguous) {
  mmu::PhysicalMemory memory;
  memory.set_first_contents(kMemory, BootTables::count(pages),
                            std::make_unique<BootTables>(kMemory, pages, kMemory, contiguous));
  return memory;
}

TEST(BootTables, AreThoseThatAreBuiltEntryByEntry) {
  for (const std::uint64_t pages :
       {1ull, 15ull, 511ull, 512ull, 513ull, 100'000ull, 262'144ull, 262'145ull, 800'003ull}) {
    for (const bool contiguous : {false, true}) {
      mmu::PhysicalMemory built;
      const std::uint64_t tables = build(built, pages, contiguous);
      ASSERT_EQ(BootTables::count(pages), tables) << pages;
      const mmu::PhysicalMemory lazy = with_boot_tables(pages, contiguous);
      for (PhysAddr at = address_of(kMemory); at < address_of(kMemory + tables + 1); at += 8) {
        ASSERT_EQ(lazy.read64(at), built.read64(at)) << pages << " pages, at " << at.value;
      }
    }
  }
}

TEST(BootTablesProperty, HoldTheSameWordsThroughAnyWritesAndClears) {
  constexpr std::uint64_t kPages = 3000;
  const bool ok = rc::check("lazy and built tables", [] {
    mmu::PhysicalMemory built;
    const std::uint64_t tables = build(built, kPages, true);
    mmu::PhysicalMemory lazy = with_boot_tables(kPages, true);
    mmu::Registers regs;
    regs.tcr = mmu::tcr::kT0Sz.set(mmu::tcr::kT1Sz.set(0, 16), 16);
    regs.tcr = mmu::tcr::kIps.set(mmu::tcr::kTg1.set(regs.tcr, 0b10), 0b101);
    regs.ttbr1 = address_of(kMemory).value;
    const unsigned steps = *rc::gen::inRange(1u, 40u);
    for (unsigned i = 0; i < steps; ++i) {
      const PhysAddr at = address_of(kMemory) +
                          *rc::gen::inRange<std::uint64_t>(0, (tables + 2) * kEntriesPerTable) * 8;
      if (*rc::gen::inRange(0, 8) == 0) {
        built.zero_line(at);
        lazy.zero_line(at);
      } else {  // a key
        const mmu::Descriptor d =
            mmu::Descriptor{built.read64(at)}.with(mmu::field::kPoIndex, *rc::gen::inRange(0u, 8u));
        built.write64(at, d.raw);
        lazy.write64(at, d.raw);
      }
      const VirtAddr va(kPageOffset + *rc::gen::inRange<std::uint64_t>(0, kPages + 9) * kPageSize);
      const mmu::WalkResult a = mmu::walk(built, regs, va), b = mmu::walk(lazy, regs, va);
      RC_ASSERT(a.fault.kind == b.fault.kind);
      RC_ASSERT(a.base == b.base);
      RC_ASSERT(a.descriptor == b.descriptor);
      RC_ASSERT(a.address == b.address);
    }
    for (PhysAddr at = address_of(kMemory); at < address_of(kMemory + tables + 2); at += 8) {
      RC_ASSERT(lazy.read64(at) == built.read64(at));
    }
  });
  EXPECT_TRUE(ok);
}

TEST(BootTables, MapEachPageOfATerabyteAndHoldMemoryForNoneUntilOneIsWritten) {
  const std::uint64_t pages = 1ull << 40 >> kPageShift;
  mmu::PhysicalMemory memory = with_boot_tables(pages, false);
  mmu::Registers regs;
  regs.tcr = mmu::tcr::kT0Sz.set(mmu::tcr::kT1Sz.set(0, 16), 16);
  regs.tcr = mmu::tcr::kIps.set(mmu::tcr::kTg1.set(regs.tcr, 0b10), 0b101);
  regs.ttbr1 = address_of(kMemory).value;
  for (std::uint64_t page = 0; page < pages; page += 65'537) {
    const mmu::WalkResult found = mmu::walk(memory, regs, VirtAddr(kPageOffset + page * kPageSize));
    ASSERT_FALSE(found.fault) << page;
    ASSERT_EQ(found.base, address_of(kMemory + page));
  }
  EXPECT_TRUE(mmu::walk(memory, regs, VirtAddr(kPageOffset + pages * kPageSize)).fault);
  EXPECT_EQ(memory.resident_frames(), 0u);
  memory.write64(address_of(kMemory), memory.read64(address_of(kMemory)));
  EXPECT_EQ(memory.resident_frames(), 1u);
}

// Whatever its memory: boot touches what it keys, and the workload what it uses.
TEST(BootCost, HoldsNoMoreMemoryForALargerMachine) {
  for (const Granularity map : {Granularity::kPte, Granularity::kContPte, Granularity::kBlock}) {
    Config c = config("none", false, "buddy", map);
    const auto frames = [&](std::uint64_t bytes) {
      c.memory_bytes = bytes;
      Kernel k(core_profile(), kernel_profile(), c);
      k.spawn(1);
      map_and_write(k, 1);
      return k.system().machine.memory().resident_frames();
    };
    EXPECT_LE(frames(1ull << 40), frames(1ull << 30) + 8) << name_of(map);
  }
}

}  // namespace
}  // namespace kpksim::kernel
