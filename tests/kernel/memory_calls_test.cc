// Calls about memory that the shipped workloads seldom use: what Linux's code does for each,
// counted. All ranges are page tables of their own, so that a table is one flush of one range
// operation.

#include <gtest/gtest.h>

#include "sim/kernel/kernel.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kAt = 0x600000000000, kElsewhere = 0x680000000000;
constexpr std::uint64_t kSome = 16 * kPageSize;

KernelProfile later_profile() {
  return read_kernel_profile(kpksim::test::source_path("profiles/kernels/linux-6.17.json"));
}

class MemoryCalls : public testing::Test {
 protected:
  explicit MemoryCalls(const KernelProfile& profile = kernel_profile())
      : k(core_profile(), profile, config("kpkeys-poe", true, "per-page", Granularity::kPte)) {
    k.spawn(1);
  }
  ~MemoryCalls() override {
    const AuditResult audit = k.audit();
    EXPECT_EQ(audit.stale_leaves + audit.stale_tables + audit.bbm_violations, 0u);
  }

  std::uint64_t total(cpu::Event event) {
    return k.system().machine.core(0).counters().total(event);
  }
  std::uint64_t tlbi(mmu::TlbiKind kind) { return total(cpu::tlbi_event(kind)); }
  // TLBIs of user mappings: of single pages' entries, of ranges of them, and of tables too.
  struct Flushes {
    std::uint64_t pages = 0, ranges = 0, tables = 0;
    bool operator==(const Flushes&) const = default;
  };
  Flushes flushes() {
    return {tlbi(mmu::TlbiKind::kVale1), tlbi(mmu::TlbiKind::kRvale1),
            tlbi(mmu::TlbiKind::kVae1) + tlbi(mmu::TlbiKind::kRvae1)};
  }
  template <class Call>
  Flushes flushes_of(Call&& call) {
    const Flushes before = flushes();
    call();
    const Flushes after = flushes();
    return {after.pages - before.pages, after.ranges - before.ranges, after.tables - before.tables};
  }
  template <class Call>
  std::uint64_t added(cpu::Event event, Call&& call) {
    const std::uint64_t before = total(event);
    call();
    return total(event) - before;
  }
  std::uint64_t faults(std::uint32_t task, std::uint64_t at, std::uint64_t bytes,
                       poe::AccessKind kind) {
    return added(cpu::Event::kEret, [&] {
      for (std::uint64_t i = 0; i < bytes; i += kPageSize) EXPECT_TRUE(k.touch(task, at + i, kind));
    });
  }
  std::uint64_t free_pages() { return k.system().buddy.free_pages(); }

  static Vma file(std::uint32_t id, bool shared, bool in_memory = true) {
    Vma vma = rw();
    vma.file = true;
    vma.shmem = in_memory;
    vma.shared = shared;
    vma.file_id = id;
    return vma;
  }

  Kernel k;
};

// move_page_tables() flushes each table that it moves; there is no munmap and no flush of one.
TEST_F(MemoryCalls, AMappingThatStaysAsItsPagesMoveIsEmpty) {
  map_and_write(k, 1, kBytes, kAt);
  const std::uint64_t free = free_pages();
  const Flushes moved = flushes_of([&] {
    EXPECT_EQ(k.mremap(1, {kAt, kBytes, kBytes, kElsewhere, true}), kElsewhere);
  });
  EXPECT_EQ(moved, (Flushes{0, 0, kBytes / kPmdSize}));
  EXPECT_GE(free_pages() + 2, free);  // tables of the upper levels may be new; no page is
  EXPECT_EQ(faults(1, kElsewhere, kBytes, kWrite), 0u);
  EXPECT_EQ(faults(1, kAt, kBytes, kWrite), kBytes / kPageSize);
  EXPECT_EQ(k.mremap(1, {kAt, kBytes, 2 * kBytes, 0, true}), 0u);  // EINVAL
}

// dup_mmap() gives the child the VMA and copies no entry; the parent's stay writable.
TEST_F(MemoryCalls, WhatIsWipedOnForkCostsForkNothing) {
  map_and_write(k, 1, kBytes, kAt);
  EXPECT_TRUE(k.madvise_wipe(1, kAt, kBytes, true));
  const std::uint64_t writes = k.system().tables.writes();
  k.fork(1, 2);
  EXPECT_LT(k.system().tables.writes() - writes, kBytes / kPageSize);
  EXPECT_EQ(faults(1, kAt, kBytes, kWrite), 0u);
  EXPECT_EQ(added(cpu::Event::kPageCopy, [&] { faults(2, kAt, kSome, kWrite); }), 0u);
  // It is wiped in the child's children too, until it is kept again.
  EXPECT_TRUE(k.madvise_wipe(2, kAt, kBytes, false));
  k.fork(2, 3);
  EXPECT_EQ(added(cpu::Event::kPageCopy, [&] { faults(3, kAt, kSome, kWrite); }),
            kSome / kPageSize);
  // Only what is private and anonymous can be.
  const std::uint64_t shared = k.mmap(1, file(9, true), kSome, 0);
  EXPECT_FALSE(k.madvise_wipe(1, shared, kSome, true));
}

// unmap_mapping_range() of each mapping, private copies too; dirty pages' entries are flushed.
TEST_F(MemoryCalls, WhatLiesBehindAFilesNewEndLeavesAllMappings) {
  k.mmap(1, file(7, true), kSome, kAt);
  faults(1, kAt, kSome, kWrite);
  k.mmap(1, file(7, false), kSome, kElsewhere);
  faults(1, kElsewhere, kSome, kWrite);
  const std::uint64_t free = free_pages();
  const std::uint64_t left = 4 * kPageSize, gone = 12;
  // Twelve pages are one range operation; the shared mapping's are flushed as their table is left.
  EXPECT_EQ(flushes_of([&] { k.truncate(1, 7, left - 100); }), (Flushes{0, 2, 0}));
  EXPECT_EQ(free_pages(), free + 2 * gone);
  EXPECT_EQ(faults(1, kAt, left, kWrite), 0u);
  EXPECT_FALSE(k.touch(1, kAt + left, kRead));  // SIGBUS
  EXPECT_FALSE(k.touch(1, kElsewhere + left, kWrite));
  k.truncate(1, 7, kSome);  // longer again: the pages are new
  EXPECT_EQ(added(cpu::Event::kPageZero, [&] { faults(1, kAt + left, gone * kPageSize, kWrite); }),
            gone);
}

TEST_F(MemoryCalls, AClosedFileGoesWithItsLastMapping) {
  k.mmap(1, file(7, true), kSome, kAt);
  faults(1, kAt, kSome, kWrite);
  k.fork(1, 2);
  const std::uint64_t free = free_pages();
  k.close_file(1, 7);
  k.munmap(1, kAt, kSome);
  EXPECT_LT(free_pages(), free + kSome / kPageSize);  // the child has it
  k.munmap(2, kAt, kSome);
  EXPECT_GE(free_pages(), free + kSome / kPageSize);
  // A file that nobody maps goes at once.
  k.mmap(1, file(8, true), kSome, kAt);
  faults(1, kAt, kSome, kWrite);
  k.munmap(1, kAt, kSome);
  const std::uint64_t unmapped = free_pages();
  k.close_file(1, 8);
  EXPECT_EQ(free_pages(), unmapped + kSome / kPageSize);
  // What has its number later is another file, which is open.
  k.mmap(1, file(8, true), kSome, kAt);
  faults(1, kAt, kSome, kWrite);
  k.munmap(1, kAt, kSome);
  EXPECT_EQ(free_pages(), unmapped);
}

// copy_to_user(): each page that is not there faults once, from EL1; no other exception from EL0.
TEST_F(MemoryCalls, ACallThatWritesToUntouchedMemoryFaultsInTheKernel) {
  k.mmap(1, rw(), kSome, kAt);
  Call call;
  call.kind = CallKind::kRead;
  call.bytes = kSome - 200;
  const UserBuffer buffer{kAt + 100, kSome - 200, true};
  const std::uint64_t from_el0 = total(cpu::Event::kExceptionEl0);
  const std::uint64_t from_el1 = total(cpu::Event::kExceptionEl1);
  EXPECT_TRUE(k.system_call(1, call, 0, buffer));
  EXPECT_EQ(total(cpu::Event::kExceptionEl0) - from_el0, 1u);
  EXPECT_EQ(total(cpu::Event::kExceptionEl1) - from_el1, kSome / kPageSize);
  EXPECT_EQ(faults(1, kAt, kSome, kWrite), 0u);
  EXPECT_EQ(added(cpu::Event::kExceptionEl1, [&] { k.system_call(1, call, 0, buffer); }), 0u);
  // What the kernel only reads is the zero page; what is not mapped is EFAULT.
  k.mmap(1, rw(), kSome, kElsewhere);
  EXPECT_TRUE(k.system_call(1, call, 0, {kElsewhere, kPageSize, false}));
  EXPECT_EQ(faults(1, kElsewhere, kPageSize, kWrite), 1u);
  EXPECT_FALSE(k.system_call(1, call, 0, {kElsewhere + kSome, kPageSize, true}));
}

TEST_F(MemoryCalls, LockedOnFaultNothingComesBeforeItIsUsed) {
  k.mmap(1, rw(), kSome, kAt);
  const std::uint64_t free = free_pages();
  k.mlock(1, kAt, kSome, Lock::kOnFault);
  EXPECT_EQ(free_pages(), free);
  EXPECT_EQ(faults(1, kAt, kSome, kWrite), kSome / kPageSize);
  EXPECT_FALSE(k.madvise_dontneed(1, kAt, kSome));  // EINVAL: locked
  EXPECT_FALSE(k.madvise_free(1, kAt, kSome));
  EXPECT_FALSE(k.madvise_cold(1, kAt, kSome));
  EXPECT_FALSE(k.madvise_pageout(1, kAt, kSome));
  EXPECT_EQ(faults(1, kAt, kSome, kWrite), 0u);
  EXPECT_TRUE(k.madvise_dontneed(1, kAt, kSome, true));  // MADV_DONTNEED_LOCKED
  EXPECT_EQ(faults(1, kAt, kSome, kWrite), kSome / kPageSize);
  k.mlock(1, kAt, kSome, Lock::kNone);
  EXPECT_TRUE(k.madvise_dontneed(1, kAt, kSome));
}

TEST_F(MemoryCalls, LockedForTheFutureMappingsComeWhole) {
  k.mmap(1, rw(), kSome, kElsewhere);
  k.mlock_all(1, Lock::kNow, false, true);
  EXPECT_EQ(faults(1, kElsewhere, kPageSize, kWrite), 1u);  // not what is there already
  k.mmap(1, rw(), kSome, kAt);
  EXPECT_EQ(faults(1, kAt, kSome, kWrite), 0u);
  const std::uint64_t brk = k.brk(1);
  k.set_brk(1, brk + kSome);
  EXPECT_EQ(faults(1, brk, kSome, kWrite), 0u);
  EXPECT_EQ(k.mremap(1, {kAt, kSome, 2 * kSome, 0}), kAt);  // the new part too
  EXPECT_EQ(faults(1, kAt + kSome, kSome, kWrite), 0u);
  k.mlock_all(1, Lock::kNow, true, false);
  EXPECT_EQ(faults(1, kElsewhere, kSome, kWrite), 0u);
  k.mmap(1, rw(), kSome, kAt + 4 * kSome);  // no longer
  EXPECT_EQ(faults(1, kAt + 4 * kSome, kPageSize, kWrite), 1u);
  // A child has pages that may go.
  k.fork(1, 2);
  EXPECT_TRUE(k.madvise_dontneed(2, kAt, kSome));
  k.mlock_all(1, Lock::kNone, false, false);
  EXPECT_TRUE(k.madvise_dontneed(1, kAt, kSome));
}

// mlock_pte_range() looks at each page when it is locked and when it no longer is.
TEST_F(MemoryCalls, UnlockingWalksOverThePagesAsLockingDoes) {
  map_and_write(k, 1, kBytes, kAt);
  const std::uint64_t lock =
      added(cpu::Event::kListInstruction, [&] { k.mlock(1, kAt, kBytes, Lock::kOnFault); });
  const std::uint64_t unlock =
      added(cpu::Event::kListInstruction, [&] { k.mlock(1, kAt, kBytes, Lock::kNone); });
  const std::uint64_t pages = kBytes / kPageSize;
  EXPECT_EQ(lock, pages * kernel_profile().path.mlock_page);
  EXPECT_EQ(unlock, pages * kernel_profile().path.munlock_page);
}

TEST_F(MemoryCalls, AMappingOfOldSizeZeroIsASecondOneOfTheSamePages) {
  k.mmap(1, file(7, true), kSome, kAt);
  faults(1, kAt, kSome, kWrite);
  EXPECT_EQ(
      flushes_of([&] {
        EXPECT_EQ(k.mremap(1, {kAt + 4 * kPageSize, 0, 8 * kPageSize, kElsewhere}), kElsewhere);
      }),
      (Flushes{}));
  // Nothing is zeroed but the page tables of a part of the tree that is new.
  EXPECT_EQ(added(cpu::Event::kPageZero, [&] { faults(1, kElsewhere, 8 * kPageSize, kWrite); }),
            3u);
  EXPECT_EQ(faults(1, kAt, kSome, kWrite), 0u);
  map_and_write(k, 1, kSome, kAt + kBytes);
  EXPECT_EQ(k.mremap(1, {kAt + kBytes, 0, kSome, 0}), 0u);  // EINVAL: private
}

// shrink_folio_list() without swap: small anonymous pages stay, large folios come apart, shared
// memory stays in its file, and what can be read again goes.
TEST_F(MemoryCalls, PagingOutTakesWhatHasAPlaceToGo) {
  map_and_write(k, 1, kSome, kAt);
  EXPECT_EQ(flushes_of([&] { EXPECT_TRUE(k.madvise_pageout(1, kAt, kSome)); }), (Flushes{}));
  EXPECT_EQ(faults(1, kAt, kSome, kWrite), 0u);

  Vma huge = rw();
  huge.huge = HugeAdvice::kHugepage;
  k.mmap(1, huge, kPmdSize, kElsewhere);
  faults(1, kElsewhere, kPageSize, kWrite);
  // pmdp_invalidate() of the block; its pages' migration entries were never accessible.
  EXPECT_EQ(flushes_of([&] { k.madvise_pageout(1, kElsewhere, kPmdSize); }), (Flushes{0, 0, 1}));

  k.mmap(1, file(7, true), kSome, kAt + kBytes);
  faults(1, kAt + kBytes, kSome, kWrite);
  const std::uint64_t free = free_pages(), pages = kSome / kPageSize;
  std::uint64_t dsb = total(cpu::Event::kDsbIsh);
  EXPECT_EQ(flushes_of([&] { k.madvise_pageout(1, kAt + kBytes, kSome); }), (Flushes{pages, 0, 0}));
  EXPECT_EQ(total(cpu::Event::kDsbIsh) - dsb, pages);  // try_to_unmap_flush_dirty()
  EXPECT_EQ(free_pages(), free);
  EXPECT_EQ(added(cpu::Event::kPageZero, [&] { faults(1, kAt + kBytes, kSome, kRead); }), 0u);

  k.mmap(1, file(8, true, false), kSome, kAt + 2 * kBytes);
  faults(1, kAt + 2 * kBytes, kSome, kRead);
  const std::uint64_t cached = free_pages();
  dsb = total(cpu::Event::kDsbIsh);
  EXPECT_EQ(flushes_of([&] { k.madvise_pageout(1, kAt + 2 * kBytes, kSome); }),
            (Flushes{pages, 0, 0}));
  // One for all pages, after one for what the call before has left for later.
  EXPECT_EQ(total(cpu::Event::kDsbIsh) - dsb, 2u);
  EXPECT_EQ(free_pages(), cached + pages);

  // Pages are freed 31 at a time, each time behind a flush.
  k.mmap(1, file(9, true, false), 64 * kPageSize, kAt + 4 * kBytes);
  faults(1, kAt + 4 * kBytes, 64 * kPageSize, kRead);
  dsb = total(cpu::Event::kDsbIsh);
  k.madvise_pageout(1, kAt + 4 * kBytes, 64 * kPageSize);
  EXPECT_EQ(total(cpu::Event::kDsbIsh) - dsb, 1u + 3);
}

// flush_tlb_batched_pending(): what was unmapped with a flush for later is flushed by the next who
// takes the lock of a page table, the second and third table of the same call among them.
TEST_F(MemoryCalls, FlushesForLaterAreMadeAgainByTheNextWhoLooks) {
  constexpr std::uint64_t kThree = 3 * kPmdSize;
  k.mmap(1, file(7, true), kThree, kAt);
  for (std::uint64_t at = kAt; at < kAt + kThree; at += kPmdSize) k.touch(1, at, kWrite);
  const auto all_of = [&](auto&& call) {
    return added(cpu::tlbi_event(mmu::TlbiKind::kAside1), call);
  };
  EXPECT_EQ(all_of([&] { k.madvise_pageout(1, kAt, kThree); }), 2u);
  EXPECT_EQ(all_of([&] { k.munmap(1, kAt, kThree); }), 1u);
  map_and_write(k, 1, kSome, kElsewhere);
  EXPECT_EQ(all_of([&] { k.munmap(1, kElsewhere, kSome); }), 0u);
}

TEST_F(MemoryCalls, AnOlderKernelHasNoGuardPages) {
  k.mmap(1, rw(), kSome, kAt);
  EXPECT_FALSE(k.madvise_guard(1, kAt, kSome, true));
  EXPECT_TRUE(k.touch(1, kAt, kRead));
}

class GuardPages : public MemoryCalls {
 protected:
  GuardPages() : MemoryCalls(later_profile()) {}
};

// madvise_guard_install(): entries are made where there are none; pages that are there are zapped
// first, with one flush.
TEST_F(GuardPages, StandWhereNothingIsMappedAndAreNotPages) {
  k.mmap(1, rw(), kPmdSize, kAt);
  EXPECT_EQ(flushes_of([&] { EXPECT_TRUE(k.madvise_guard(1, kAt, kSome, true)); }), (Flushes{}));
  faults(1, kAt + kSome, kSome, kWrite);
  EXPECT_EQ(flushes_of([&] { EXPECT_TRUE(k.madvise_guard(1, kAt + kSome, kSome, true)); }),
            (Flushes{0, 1, 0}));
  EXPECT_FALSE(k.touch(1, kAt, kRead));
  EXPECT_FALSE(k.touch(1, kAt + kSome, kWrite));
  faults(1, kAt + 2 * kSome, kSome, kWrite);
  // They outlive what does not take the mapping away, and fork copies them.
  EXPECT_TRUE(k.madvise_dontneed(1, kAt, kPmdSize));
  k.mprotect(1, kAt, kPmdSize, true, false, false);
  k.mprotect(1, kAt, kPmdSize, true, true, false);
  k.fork(1, 2);
  EXPECT_FALSE(k.touch(1, kAt, kRead));
  EXPECT_FALSE(k.touch(2, kAt, kRead));
  EXPECT_EQ(k.mremap(1, {kAt, kPmdSize, kPmdSize, kElsewhere}), kElsewhere);
  EXPECT_FALSE(k.touch(1, kElsewhere, kRead));
  const std::uint64_t writes = k.system().tables.writes();
  EXPECT_EQ(flushes_of([&] { EXPECT_TRUE(k.madvise_guard(1, kElsewhere, kPmdSize, false)); }),
            (Flushes{}));
  EXPECT_EQ(k.system().tables.writes() - writes, 2 * kSome / kPageSize);
  EXPECT_EQ(faults(1, kElsewhere, kSome, kWrite), kSome / kPageSize);
  k.munmap(2, kAt, kPmdSize);  // guards go with the mapping
  k.mlock(1, kElsewhere, kPmdSize, Lock::kOnFault);
  EXPECT_FALSE(k.madvise_guard(1, kElsewhere, kSome, true));  // EINVAL: locked
}

}  // namespace
}  // namespace kpksim::kernel
