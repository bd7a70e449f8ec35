// Address-space operations that no measurement's workload shows alone: what must hold for any of
// them.

#include <gtest/gtest.h>

#include "sim/kernel/kernel.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

void expect_no_stale_entries(Kernel& k) {
  const AuditResult audit = k.audit();
  EXPECT_EQ(audit.stale_leaves, 0u);
  EXPECT_EQ(audit.stale_tables, 0u);
  EXPECT_EQ(audit.bbm_violations, 0u);
}

std::uint64_t total(Kernel& k, cpu::Event event) {
  return k.system().machine.core(0).counters().total(event);
}

TEST(AddressSpace, ExecMovesTheStackWhenAddressesAreRandomised) {
  Kernel k(core_profile(), kernel_profile(),
           config("kpkeys-poe", false, "per-page", Granularity::kPte));
  ProgramImage program;
  program.heap_bytes = 8 << 10;
  program.randomize = true;
  k.set_program(program);
  k.spawn(1);
  const ProgramPlacement first = k.placement(1);
  for (int i = 0; i < 20; ++i) {
    k.exec(1);
    const ProgramPlacement p = k.placement(1);
    EXPECT_LE(ProgramImage::kStackTop - p.stack_top, kPudSize);
    // What execve() wrote is there without a fault: its table entry went with the stack.
    const std::uint64_t faults = total(k, cpu::Event::kFaultTranslation);
    EXPECT_TRUE(k.touch(1, p.stack_top - kPageSize, poe::AccessKind::kWrite));
    EXPECT_EQ(total(k, cpu::Event::kFaultTranslation), faults);
    EXPECT_TRUE(k.touch(1, p.heap, poe::AccessKind::kWrite));
    EXPECT_TRUE(k.touch(1, p.vdso, poe::AccessKind::kRead));
    expect_no_stale_entries(k);
  }
  EXPECT_NE(k.placement(1).stack_top, first.stack_top);
  EXPECT_NE(k.placement(1).vdso, first.vdso);
  EXPECT_NE(k.placement(1).heap, first.heap);
}

// /proc/self/maps of Debian's 6.12.117: two pages of vdso end at the mmap base, two of its data lie
// below, and what the kernel places comes next.
TEST(AddressSpace, WhatTheKernelPlacesLiesFourPagesBelowTheMmapBase) {
  Kernel k(core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte));
  k.spawn(1);
  EXPECT_EQ(k.placement(1).vdso, VmaTree::kMmapBase - 2 * kPageSize);
  Vma shared = rw();
  shared.shared = true;
  EXPECT_EQ(k.mmap(1, shared, kBytes, 0), VmaTree::kMmapBase - 4 * kPageSize - kBytes);
}

// special_mapping_vmops has no map_pages().
TEST(AddressSpace, AFaultOnTheVdsoMapsOnePage) {
  Kernel k(core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte));
  k.spawn(1);
  const std::uint64_t faults = total(k, cpu::Event::kFaultTranslation);
  for (const std::uint64_t page : {0u, 1u, 0u, 1u}) {
    EXPECT_TRUE(k.touch(1, k.placement(1).vdso + page * kPageSize, poe::AccessKind::kRead));
  }
  EXPECT_EQ(total(k, cpu::Event::kFaultTranslation), faults + 2);
}

// do_cow_fault(): a page for the copy and the copy, which a read does not have.
TEST(AddressSpace, AWriteToAnAbsentPageOfAPrivateFileHasACopysLength) {
  KernelProfile profile = kernel_profile();
  const auto instructions = [&] {
    Kernel k(core_profile(), profile, config("none", false, "buddy", Granularity::kPte));
    k.spawn(1);
    Vma file = rw();
    file.file = true;
    file.file_id = 1;
    const std::uint64_t at = k.mmap(1, file, kPageSize, 0);
    std::uint64_t before = 0, after = 0;
    for (const cpu::Event e : cpu::kKernelInstructions) before += total(k, e);
    EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kWrite));
    for (const cpu::Event e : cpu::kKernelInstructions) after += total(k, e);
    return after - before;
  };
  const std::uint64_t real = instructions();
  profile.path.cow_file = 0;
  EXPECT_EQ(real - instructions(), kernel_profile().path.cow_file);
  EXPECT_GT(kernel_profile().path.cow_file, 1000u);
}

Kernel batched() {
  return Kernel(core_profile(), kernel_profile(),
                config("kpkeys-poe", true, "per-page", Granularity::kPte));
}

TEST(AddressSpace, APopulatedRangeIsUsedWithoutFaults) {
  Kernel k = batched();
  k.spawn(1);
  const std::uint64_t at = k.mmap(1, rw(), kBytes, 0);
  k.madvise_populate(1, at, kBytes, true);
  const std::uint64_t eret = total(k, cpu::Event::kEret);
  for (std::uint64_t i = 0; i < kBytes; i += kPageSize) {
    EXPECT_TRUE(k.touch(1, at + i, poe::AccessKind::kWrite));
  }
  EXPECT_EQ(total(k, cpu::Event::kEret), eret);
  // To read is not to write: the zero page is there, and a write still faults.
  const std::uint64_t other = k.mmap(1, rw(), kPageSize, 0);
  k.madvise_populate(1, other, kPageSize, false);
  const std::uint64_t before = total(k, cpu::Event::kEret);
  EXPECT_TRUE(k.touch(1, other, poe::AccessKind::kRead));
  EXPECT_EQ(total(k, cpu::Event::kEret), before);
  EXPECT_TRUE(k.touch(1, other, poe::AccessKind::kWrite));
  EXPECT_GT(total(k, cpu::Event::kEret), before);
}

// Folios of an order come where the size is allowed, fits and finds no entry in its way.
TEST(AddressSpace, FoliosOfAnyOrderComeOneToAFault) {
  for (unsigned order = 2; order <= 8; ++order) {
    Kernel k = batched();
    k.spawn(1);
    k.system().set_huge_pages(kPmdSize, HugePages::kNever);
    k.system().set_huge_pages(kPageSize << order, HugePages::kAlways);
    Vma vma;
    vma.read = vma.write = true;
    const std::uint64_t at = k.mmap(1, vma, kBytes, 0x600000000000);
    EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kRead));  // the zero page, in the first folio's way
    const std::uint64_t eret = total(k, cpu::Event::kEret);
    for (std::uint64_t i = 0; i < kBytes; i += kPageSize) {
      EXPECT_TRUE(k.touch(1, at + i, poe::AccessKind::kWrite));
    }
    const std::uint64_t size = kPageSize << order;
    EXPECT_EQ(total(k, cpu::Event::kEret) - eret, kBytes / size - 1 + size / kPageSize);
    k.fork(1, 2);
    for (std::uint64_t i = 0; i < kBytes; i += 3 * kPageSize) {
      EXPECT_TRUE(k.touch(2, at + i, poe::AccessKind::kWrite));
    }
    expect_no_stale_entries(k);
    k.exit(2);
    k.munmap(1, at + kPageSize, kBytes / 2);
    expect_no_stale_entries(k);
    k.exit(1);
  }
}

// A hole in a file takes its pages out of every process, but not the copies that were written.
TEST(AddressSpace, AHoleInAFileLeavesPrivateCopies) {
  Kernel k = batched();
  k.spawn(1);
  Vma shared;
  shared.read = shared.write = shared.shared = shared.file = shared.shmem = true;
  shared.file_id = 7;
  shared.file_offset = 4 * kPageSize;
  const std::uint64_t at = k.mmap(1, shared, 8 * kPageSize, 0);
  Vma own = shared;
  own.shared = false;
  own.file_offset = 0;
  const std::uint64_t copy = k.mmap(1, own, 16 * kPageSize, 0);
  for (std::uint64_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(k.touch(1, at + i * kPageSize, poe::AccessKind::kWrite));
  }
  EXPECT_TRUE(k.touch(1, copy + 4 * kPageSize, poe::AccessKind::kWrite));  // page 4 of the file
  EXPECT_TRUE(k.touch(1, copy + 5 * kPageSize, poe::AccessKind::kRead));
  const std::uint64_t free_pages = k.system().buddy.free_pages();
  EXPECT_TRUE(k.punch_hole(1, at, 8 * kPageSize));
  EXPECT_EQ(k.system().buddy.free_pages(), free_pages + 8);
  expect_no_stale_entries(k);
  const auto faults = [&](std::uint64_t va, poe::AccessKind kind) {
    const std::uint64_t eret = total(k, cpu::Event::kEret);
    EXPECT_TRUE(k.touch(1, va, kind));
    return total(k, cpu::Event::kEret) != eret;
  };
  EXPECT_FALSE(faults(copy + 4 * kPageSize, poe::AccessKind::kWrite));
  EXPECT_TRUE(faults(copy + 5 * kPageSize, poe::AccessKind::kRead));
  EXPECT_TRUE(faults(at + 3 * kPageSize, poe::AccessKind::kWrite));
  EXPECT_FALSE(k.punch_hole(1, k.mmap(1, rw(), kPageSize, 0), kPageSize));  // no file
}

// What a file system brings from the disk is no part of a mapping's first fault.
TEST(AddressSpace, AFileIsInThePageCacheBeforeItIsMapped) {
  Kernel k = batched();
  k.spawn(1);
  Vma file;
  file.read = file.file = true;
  const auto instructions = [&](bool shmem) {
    file.shmem = shmem;
    const std::uint64_t at = k.mmap(1, file, kPageSize, 0);
    const auto executed = [&] {
      std::uint64_t n = 0;
      for (const cpu::Event e : cpu::kKernelInstructions) n += total(k, e);
      return n;
    };
    const std::uint64_t before = executed();
    EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kRead));
    return executed() - before;
  };
  instructions(false);  // the tables are there from now on
  file.file_id = 1;
  const std::uint64_t first = instructions(false);
  // Mapped once already: not accounted again.
  EXPECT_EQ(first - instructions(false), k.system().profile.path.file_mapped);
  file.file_id = 2;
  EXPECT_GT(instructions(true), first);  // in memory alone: the page is made
  EXPECT_EQ(total(k, cpu::Event::kPageCopy), 0u);
}

TEST(AddressSpace, TheStackGrowsDownToItsLimit) {
  Kernel k = batched();
  k.spawn(1);
  const std::uint64_t top = k.placement(1).stack_top;
  EXPECT_TRUE(k.touch(1, top - (1 << 20), poe::AccessKind::kWrite));
  EXPECT_TRUE(k.touch(1, top - kStackLimit, poe::AccessKind::kWrite));
  EXPECT_FALSE(k.touch(1, top - kStackLimit - kPageSize, poe::AccessKind::kWrite));
}

struct Flushes {
  std::uint64_t leaves, tables;
};

// TLBIs of user mappings: of leaf entries alone, and of tables too.
Flushes user_flushes(Kernel& k) {
  const auto of = [&](mmu::TlbiKind kind) { return total(k, cpu::tlbi_event(kind)); };
  return {of(mmu::TlbiKind::kVale1) + of(mmu::TlbiKind::kRvale1),
          of(mmu::TlbiKind::kVae1) + of(mmu::TlbiKind::kRvae1)};
}

// MADV_FREE keeps what is free as a whole whole, and takes apart what it covers in part.
TEST(AddressSpace, MadvFreeKeepsHugePagesWhole) {
  Kernel k = batched();
  k.spawn(1);
  Vma vma;
  vma.read = vma.write = true;
  const std::uint64_t at = k.mmap(1, vma, 2 * kPmdSize, 0x600000000000);
  for (std::uint64_t i = 0; i < 2 * kPmdSize; i += kPmdSize)
    k.touch(1, at + i, poe::AccessKind::kWrite);
  const auto writes = [&] { return k.system().tables.writes(); };
  const Flushes before = user_flushes(k);
  const std::uint64_t first = writes();
  k.madvise_free(1, at, kPmdSize);
  const Flushes whole = user_flushes(k);
  EXPECT_LT(writes() - first, 4u);
  // The block is made invalid before it is made old, then the range is flushed.
  EXPECT_EQ(whole.tables - before.tables, 1u);
  EXPECT_EQ(whole.leaves - before.leaves, 1u);
  const std::uint64_t second = writes();
  k.madvise_free(1, at + kPmdSize, 4 * kPageSize);
  const Flushes part = user_flushes(k);
  EXPECT_GT(writes() - second, 2 * kEntriesPerTable);  // to migration entries and back
  EXPECT_EQ(part.tables - whole.tables, 1u);
  EXPECT_EQ(part.leaves - whole.leaves, 1u);
  expect_no_stale_entries(k);
}

// A huge page without access is still there, for fork, mprotect and munmap.
// A huge folio that is mapped by entries: when one page is to go, its pages become folios of their
// own, and no TLB holds a run of them any more (try_to_migrate() with TTU_BATCH_FLUSH).
TEST(AddressSpace, AFolioThatIsSplitLeavesNoRunInATlb) {
  Kernel k(core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte));
  k.spawn(1);
  Vma vma = rw();
  vma.huge = HugeAdvice::kHugepage;
  const std::uint64_t at = k.mmap(1, vma, 2 * kPmdSize, 0x700000000);
  k.touch(1, at, poe::AccessKind::kWrite);
  k.madvise_fork(1, at + kPageSize, kPageSize, true);  // splits VMA and block, not the folio
  const auto size_of = [&](std::uint64_t page) {
    k.touch(1, at + page * kPageSize, poe::AccessKind::kRead);
    const mmu::Leaf* leaf =
        k.system().machine.core(0).mmu().cached(VirtAddr(at + page * kPageSize), false);
    return leaf == nullptr ? 0 : 1ull << leaf->page_bits;
  };
  EXPECT_EQ(size_of(40), kContiguousEntries * kPageSize);
  const cpu::Core& core = k.system().machine.core(0);
  const auto flushed = [&] { return core.happened(cpu::tlbi_event(mmu::TlbiKind::kVale1)); };
  const std::uint64_t before = flushed();
  k.madvise_free(1, at + 100 * kPageSize, kPageSize);
  EXPECT_GE(flushed() - before, kEntriesPerTable);
  EXPECT_EQ(k.audit().stale_leaves, 0u);
  EXPECT_EQ(size_of(40), kPageSize);
}

TEST(AddressSpace, HugePagesWithoutAccessAreNotLost) {
  Kernel k = batched();
  k.spawn(1);
  Vma vma;
  vma.read = vma.write = true;
  const std::uint64_t at = k.mmap(1, vma, 4 * kPmdSize, 0x600000000000);
  for (std::uint64_t i = 0; i < 4 * kPmdSize; i += kPmdSize)
    k.touch(1, at + i, poe::AccessKind::kWrite);
  const std::uint64_t free = k.system().buddy.free_pages();
  k.mprotect(1, at, 4 * kPmdSize, false, false, false);
  EXPECT_FALSE(k.touch(1, at, poe::AccessKind::kRead));
  k.fork(1, 2);
  k.mprotect(1, at + kPageSize, kPageSize, true, false, false);  // splits one, not accessible
  EXPECT_FALSE(k.touch(1, at, poe::AccessKind::kRead));
  EXPECT_TRUE(k.touch(1, at + kPageSize, poe::AccessKind::kRead));
  k.exit(2);
  k.mprotect(1, at, 4 * kPmdSize, true, true, false);
  EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kWrite));
  k.munmap(1, at, 4 * kPmdSize);
  EXPECT_GE(k.system().buddy.free_pages(), free + 4 * kEntriesPerTable);
  expect_no_stale_entries(k);
}

// Stripes of another protection become one mapping again when they are made alike; each would have
// a flush of its own when unmapped.
TEST(AddressSpace, MappingsThatAreAlikeAgainBecomeOne) {
  Kernel k = batched();
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1, kPmdSize, 0x600000000000);
  for (std::uint64_t i = 0; i < kPmdSize; i += 2 * kPageSize) {
    k.mprotect(1, at + i, kPageSize, true, false, false);
  }
  k.mprotect(1, at, kPmdSize, true, true, false);
  const Flushes before = user_flushes(k);
  k.munmap(1, at, kPmdSize);
  const Flushes after = user_flushes(k);
  EXPECT_LE(after.leaves - before.leaves + after.tables - before.tables, 2u);  // pages, tables
}

}  // namespace
}  // namespace kpksim::kernel
