// Reserved huge pages: leaves of each size as the walker finds them, the flushes that hugetlb.c and
// arm64's hugetlbpage.c issue for each call, the pool, and page tables that processes share.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "sim/base/error.h"
#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

using cpu::Event;
constexpr std::uint64_t kPlace = 0x4000000000;  // alone in its gigabytes
constexpr std::uint64_t kOther = 0x6000000000;

Config hugetlb_policy(const std::string& protection, bool batching, const std::string& allocator,
                      Granularity map) {
  return config(protection, batching, allocator, map);
}

const Config kPlain = hugetlb_policy("none", false, "buddy", Granularity::kPte);

Vma of(const HugetlbSize& size, bool shared = false) {
  Vma vma;
  vma.read = vma.write = true;
  vma.shared = shared;
  vma.hugetlb = static_cast<std::uint8_t>(size.shift);
  return vma;
}

// A process with `pages` huge pages at kPlace, not yet used.
struct Process {
  Process(const HugetlbSize& s, std::uint64_t pages, const Config& c = kPlain, bool shared = false,
          const cpu::CoreProfile& core = core_profile())
      : size(s), bytes(pages * s.bytes()), k(core, kernel_profile(), with_room(c, s, bytes)) {
    k.spawn(1);
    k.mmap(1, of(size, shared), bytes, kPlace);
  }
  // For a copy too, and one more.
  static Config with_room(Config c, const HugetlbSize& s, std::uint64_t bytes) {
    c.memory_bytes = align_up((1ull << 30) + 2 * bytes + s.bytes(), 4ull << 20);
    return c;
  }
  void touch_all(poe::AccessKind kind, std::uint32_t task = 1, std::uint64_t base = kPlace) {
    for (std::uint64_t i = 0; i < bytes; i += size.bytes()) {
      EXPECT_TRUE(k.touch(task, base + i, kind));
    }
  }
  std::uint64_t total(Event event) { return k.system().machine.core(0).counters().total(event); }
  std::uint64_t tlbi(mmu::TlbiKind kind) { return total(cpu::tlbi_event(kind)); }
  // What `call` adds of each TLBI, by kind.
  template <class Call>
  std::map<mmu::TlbiKind, std::uint64_t> tlbis(Call&& call) {
    const cpu::Counters before = k.system().machine.core(0).counters();
    call();
    const cpu::Counters added = k.system().machine.core(0).counters() - before;
    std::map<mmu::TlbiKind, std::uint64_t> out;
    for (unsigned i = 0; i < 10; ++i) {
      const auto kind = static_cast<mmu::TlbiKind>(i);
      if (const auto n = added.total(cpu::tlbi_event(kind)); n != 0) out[kind] = n;
    }
    return out;
  }
  mmu::WalkResult walk(std::uint64_t va) {
    const cpu::Core& core = k.system().machine.core(0);
    return mmu::walk(k.system().machine.memory(), core.mmu().registers(), VirtAddr(va));
  }
  void expect_nothing_stale() {
    const AuditResult audit = k.audit();
    EXPECT_EQ(audit.stale_leaves, 0u);
    EXPECT_EQ(audit.stale_tables, 0u);
    EXPECT_EQ(audit.bbm_violations, 0u);
  }

  const HugetlbSize& size;
  const std::uint64_t bytes;
  Kernel k;
};

using Tlbis = std::map<mmu::TlbiKind, std::uint64_t>;
using mmu::TlbiKind;

class EachSize : public testing::TestWithParam<unsigned> {
 protected:
  const HugetlbSize& size() const { return kHugetlbSizes[GetParam()]; }
  bool run() const { return size().entries > 1; }
};
INSTANTIATE_TEST_SUITE_P(Hugetlb, EachSize, testing::Range(0u, 4u), [](const auto& i) {
  return std::string("Of") + std::string(kHugetlbSizes[i.param].name);
});

TEST_P(EachSize, IsMappedByLeavesOfItsLevelInWhichTheWalkerSeesAllOfIt) {
  Process p(size(), 1);
  p.touch_all(kWrite);
  const std::uint64_t last = kPlace + size().bytes() - kPageSize;
  for (const std::uint64_t va : {kPlace, last}) {
    const mmu::WalkResult leaf = p.walk(va);
    ASSERT_FALSE(leaf.fault);
    EXPECT_EQ(leaf.level, size().level);
    EXPECT_EQ(leaf.page_bits, size().shift);  // a TLB entry reaches over all of a run
    EXPECT_EQ(leaf.descriptor.contiguous(), run());
    EXPECT_TRUE(is_writable(leaf.descriptor) && is_dirty(leaf.descriptor));
    EXPECT_TRUE(leaf.descriptor.not_global());
    EXPECT_TRUE(is_aligned(leaf.base.value, size().bytes()));
  }
  EXPECT_EQ(p.walk(kPlace).base, p.walk(last).base);
}

TEST_P(EachSize, IsTakenByOneFaultThatZeroesAllOfIt) {
  Process p(size(), 2);
  EXPECT_TRUE(p.k.touch(1, kPlace, kWrite));  // its tables come with it, zeroed
  const std::uint64_t faults = p.total(Event::kFaultTranslation);
  const std::uint64_t zeroed = p.total(Event::kPageZero);
  const std::uint64_t second = kPlace + size().bytes();
  EXPECT_TRUE(p.k.touch(1, second + size().bytes() / 2, kWrite));
  EXPECT_TRUE(p.k.touch(1, second, kWrite));
  EXPECT_TRUE(p.k.touch(1, second + size().bytes() - kPageSize, kWrite));
  EXPECT_EQ(p.total(Event::kFaultTranslation) - faults, 1u);
  EXPECT_EQ(p.total(Event::kPageZero) - zeroed, size().pages());
}

// hugetlb_no_page() maps it read-only, hugetlb_wp() makes it writable at once: a block by
// ptep_set_access_flags(), a run by breaking it twice.
TEST_P(EachSize, IsFlushedByItsFirstWrite) {
  Process p(size(), 1);
  const Tlbis first = p.tlbis([&] { p.touch_all(kWrite); });
  EXPECT_EQ(first, run() ? Tlbis({{TlbiKind::kRvae1, 2}}) : Tlbis({{TlbiKind::kVale1, 1}}));
}

TEST_P(EachSize, WithoutRangeOperationsIsFlushedByPagesOrAsAWhole) {
  cpu::CoreProfile core = core_profile();
  core.tlb_range = false;
  Process p(size(), 1, kPlain, false, core);
  const Tlbis first = p.tlbis([&] { p.touch_all(kWrite); });
  // 8,192 pages are MAX_DVM_OPS and more: flush_tlb_mm().
  EXPECT_EQ(first, !run()              ? Tlbis({{TlbiKind::kVale1, 1}})
                   : size().level == 3 ? Tlbis({{TlbiKind::kVae1, 32}})
                                       : Tlbis({{TlbiKind::kAside1, 2}}));
}

TEST_P(EachSize, IsWriteProtectedByForkAndCopiedByTheNextWrite) {
  Process p(size(), 2);
  p.touch_all(kWrite);
  const std::uint64_t copied = p.total(Event::kPageCopy);
  // Parent and child: a run of each is broken, in the child's empty table too.
  const Tlbis fork = p.tlbis([&] { p.k.fork(1, 2); });
  EXPECT_EQ(fork.at(TlbiKind::kAside1), 1u);
  EXPECT_EQ(fork.contains(TlbiKind::kRvae1) ? fork.at(TlbiKind::kRvae1) : 0u, run() ? 4u : 0u);
  EXPECT_FALSE(fork.contains(TlbiKind::kVale1));
  EXPECT_FALSE(is_writable(p.walk(kPlace).descriptor));
  EXPECT_EQ(p.walk(kPlace).descriptor.contiguous(), run());
  const PhysAddr before = p.walk(kPlace).base;
  const Tlbis cow = p.tlbis([&] { EXPECT_TRUE(p.k.touch(1, kPlace, kWrite)); });
  EXPECT_EQ(cow, run() ? Tlbis({{TlbiKind::kRvae1, 2}}) : Tlbis({{TlbiKind::kVale1, 1}}));
  EXPECT_EQ(p.total(Event::kPageCopy) - copied, size().pages());
  EXPECT_NE(p.walk(kPlace).base, before);
  EXPECT_TRUE(is_writable(p.walk(kPlace).descriptor));
  EXPECT_TRUE(p.k.touch(2, kPlace, kRead));
  EXPECT_EQ(p.walk(kPlace).base, before);  // the child's
  // The parent's second page is its own again once the child is gone.
  p.k.exit(2);
  EXPECT_TRUE(p.k.touch(1, kPlace + size().bytes(), kWrite));
  EXPECT_EQ(p.total(Event::kPageCopy) - copied, size().pages());
  p.expect_nothing_stale();
}

// Each run is broken as it changes, the whole range is flushed at the end by its level, and as
// the gather lies within mprotect()'s own, the address space too.
TEST_P(EachSize, IsFlushedByMprotect) {
  Process p(size(), 2);
  p.touch_all(kWrite);
  const Tlbis protect = p.tlbis([&] { p.k.mprotect(1, kPlace, p.bytes, true, false, false); });
  Tlbis expected = {{TlbiKind::kAside1, 1}, {TlbiKind::kRvale1, 1}};
  if (run()) expected[TlbiKind::kRvae1] = 2;
  EXPECT_EQ(protect, expected);
  EXPECT_FALSE(is_writable(p.walk(kPlace).descriptor));
  EXPECT_EQ(p.walk(kPlace).level, size().level);
  EXPECT_FALSE(p.k.touch(1, kPlace, kWrite));
  EXPECT_TRUE(p.k.touch(1, kPlace, kRead));
  // Back: a private page becomes writable by the next write.
  p.k.mprotect(1, kPlace, p.bytes, true, true, false);
  EXPECT_FALSE(is_writable(p.walk(kPlace).descriptor));
  const std::uint64_t zeroed = p.total(Event::kPageZero);
  p.touch_all(kWrite);
  EXPECT_TRUE(is_writable(p.walk(kPlace).descriptor));
  EXPECT_EQ(p.total(Event::kPageZero), zeroed);
  p.k.mprotect(1, kPlace, p.bytes, false, false, false);
  EXPECT_FALSE(p.k.touch(1, kPlace, kRead));
  p.expect_nothing_stale();
}

// RVALE1 for the pages, and for the tables that went a second flush of all levels: of a gigabyte
// for each table of level 2, of 2 MB for each of level 3. A table of level 1 maps 512 GB and stays.
TEST_P(EachSize, IsFlushedByMunmapWithItsTables) {
  Process p(size(), 2);
  p.touch_all(kWrite);
  const Tlbis unmap = p.tlbis([&] { p.k.munmap(1, kPlace, p.bytes); });
  EXPECT_EQ(unmap.at(TlbiKind::kRvale1), 1u);
  EXPECT_EQ(unmap.contains(TlbiKind::kRvae1) ? unmap.at(TlbiKind::kRvae1) : 0u,
            size().level == 1 ? 0u : 1u);
  EXPECT_TRUE(p.walk(kPlace).fault);
  EXPECT_FALSE(p.k.touch(1, kPlace, kRead));
  p.expect_nothing_stale();
}

TEST_P(EachSize, MovesByItsEntriesAndComesBackToAnotherPlace) {
  Process p(size(), 1);
  p.touch_all(kWrite);
  const PhysAddr page = p.walk(kPlace).base;
  EXPECT_EQ(p.k.mremap(1, {kPlace, p.bytes, p.bytes, kOther}), kOther);
  EXPECT_EQ(p.walk(kOther).base, page);
  EXPECT_EQ(p.walk(kOther).page_bits, size().shift);
  EXPECT_TRUE(p.walk(kPlace).fault);
  EXPECT_TRUE(p.k.touch(1, kOther, kWrite));
  p.k.munmap(1, kOther, p.bytes);
  EXPECT_EQ(p.k.system().hugetlb.reserved_pages(size()), 0u);
  EXPECT_EQ(p.k.system().hugetlb.free_pages(size()), 1u);
  p.expect_nothing_stale();
}

TEST_P(EachSize, IsPopulatedWithoutAFaultFromEl0) {
  Process p(size(), 1);
  p.k.munmap(1, kPlace, p.bytes);
  const std::uint64_t exceptions = p.total(Event::kExceptionEl0);
  p.k.mmap(1, of(size()), p.bytes, kPlace, true);
  EXPECT_EQ(p.total(Event::kExceptionEl0) - exceptions, 1u);  // the call
  p.touch_all(kWrite);
  EXPECT_EQ(p.total(Event::kExceptionEl0) - exceptions, 1u);
  EXPECT_EQ(p.walk(kPlace).level, size().level);
}

TEST_P(EachSize, IsReservedByTheMappingAndGoesBackToThePool) {
  Process p(size(), 2);
  Hugetlb& pool = p.k.system().hugetlb;
  EXPECT_EQ(pool.reserved_pages(size()), 2u);
  EXPECT_EQ(pool.free_pages(size()), 2u);
  p.touch_all(kWrite);
  EXPECT_EQ(pool.reserved_pages(size()), 0u);
  EXPECT_EQ(pool.free_pages(size()), 0u);
  p.k.madvise_dontneed(1, kPlace, size().bytes());  // it has the page reserved again
  EXPECT_EQ(pool.reserved_pages(size()), 1u);
  EXPECT_EQ(pool.free_pages(size()), 1u);
  const std::uint64_t zeroed = p.total(Event::kPageZero);
  EXPECT_TRUE(p.k.touch(1, kPlace, kRead));
  EXPECT_EQ(p.total(Event::kPageZero) - zeroed, size().pages());
  p.k.munmap(1, kPlace, size().bytes());
  p.k.exit(1);
  EXPECT_EQ(pool.reserved_pages(size()), 0u);
  EXPECT_EQ(pool.free_pages(size()), 2u);
  const std::uint64_t free = p.k.system().buddy.free_pages();
  p.k.set_nr_hugepages(size(), 0);
  EXPECT_EQ(p.k.system().buddy.free_pages() - free, 2 * size().pages());
}

TEST_P(EachSize, IsRefusedBeyondAPoolThatWasSet) {
  Process p(size(), 1);
  p.k.set_nr_hugepages(size(), 1);
  EXPECT_THROW(p.k.mmap(1, of(size()), p.bytes, kOther), InputError);
  p.touch_all(kWrite);
  p.k.fork(1, 2);
  EXPECT_THROW(p.k.touch(1, kPlace, kWrite), InputError);  // nothing to copy to
}

TEST_P(EachSize, OfASharedMappingIsOfTheFileAndGoesWithIt) {
  Process p(size(), 1, kPlain, true);
  const Tlbis first = p.tlbis([&] { p.touch_all(kWrite); });
  EXPECT_EQ(first, run() ? Tlbis({{TlbiKind::kRvae1, 1}}) : Tlbis());  // writable from the start
  p.k.fork(1, 2);
  EXPECT_TRUE(is_writable(p.walk(kPlace).descriptor));
  EXPECT_TRUE(p.k.touch(2, kPlace, kWrite));
  const PhysAddr child = p.walk(kPlace).base;
  EXPECT_TRUE(p.k.touch(1, kPlace, kWrite));
  EXPECT_EQ(p.walk(kPlace).base, child);
  Hugetlb& pool = p.k.system().hugetlb;
  EXPECT_EQ(pool.pages(size()), 1u);
  p.k.munmap(1, kPlace, p.bytes);
  EXPECT_EQ(pool.free_pages(size()), 0u);
  p.k.exit(2);
  EXPECT_EQ(pool.free_pages(size()), 1u);
  EXPECT_EQ(pool.reserved_pages(size()), 0u);
}

TEST_P(EachSize, IsNotCutByACall) {
  Process p(size(), 1);
  EXPECT_THROW(p.k.munmap(1, kPlace, kPageSize), InputError);
  EXPECT_THROW(p.k.mprotect(1, kPlace + kPageSize, kPageSize, true, false, false), InputError);
  EXPECT_THROW(p.k.mmap(1, of(size()), p.bytes, kOther + kPageSize), InputError);
  EXPECT_EQ(p.k.mremap(1, {kPlace, p.bytes, 2 * p.bytes}), 0u);  // it cannot grow
  EXPECT_EQ(p.k.mremap(1, {kPlace, p.bytes, p.bytes, kOther, true}), 0u);
  EXPECT_EQ(p.k.mremap(1, {kPlace, p.bytes, p.bytes, kOther + kPageSize}), 0u);
  p.touch_all(kWrite);
  EXPECT_TRUE(p.k.madvise_dontneed(1, kPlace, size().bytes() - kPageSize));  // down to nothing
  EXPECT_FALSE(p.k.madvise_dontneed(1, kPlace + kPageSize, size().bytes() - kPageSize));
  EXPECT_FALSE(p.walk(kPlace).fault);
  EXPECT_EQ(p.k.mmap(1, of(size()), p.bytes, 0) % size().bytes(), 0u);
}

// What is about pages of 4 KB or about lists of reclaim is refused.
TEST_P(EachSize, TakesNoAdviceThatIsAboutOrdinaryPages) {
  Process p(size(), 1);
  p.touch_all(kWrite);
  const Tlbis none = p.tlbis([&] {
    EXPECT_FALSE(p.k.madvise_free(1, kPlace, p.bytes));
    EXPECT_FALSE(p.k.madvise_cold(1, kPlace, p.bytes));
    EXPECT_FALSE(p.k.madvise_pageout(1, kPlace, p.bytes));
    EXPECT_FALSE(p.k.madvise_wipe(1, kPlace, p.bytes, true));
    p.k.madvise_collapse(1, kPlace, p.bytes);
  });
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(p.walk(kPlace).level, size().level);
}

// It stays anyway: mlock only brings it, also where the lock waits for a fault (mlock_fixup()
// leaves VM_LOCKED and VM_LOCKONFAULT away), and MADV_DONTNEED still takes it.
TEST_P(EachSize, IsBroughtByMlockButNotLocked) {
  for (const Lock lock : {Lock::kNow, Lock::kOnFault}) {
    Process p(size(), 1);
    p.k.mlock(1, kPlace, p.bytes, lock);
    EXPECT_EQ(p.walk(kPlace).level, size().level);
    EXPECT_TRUE(is_writable(p.walk(kPlace).descriptor));
    EXPECT_TRUE(p.k.madvise_dontneed(1, kPlace, p.bytes));
    EXPECT_TRUE(p.walk(kPlace).fault);
  }
  Process p(size(), 1);
  p.k.mlock_all(1, Lock::kOnFault, false, true);
  const std::uint64_t more = p.k.mmap(1, of(size()), p.bytes, 0);
  EXPECT_FALSE(p.walk(more).fault);
  EXPECT_TRUE(p.k.madvise_dontneed(1, more, p.bytes));
}

TEST_P(EachSize, LeavesItsFileByTruncateWithWhatIsReserved) {
  Process p(size(), 1);
  Vma vma = of(size(), true);
  vma.file = vma.shmem = true;
  vma.file_id = 7;
  Hugetlb& pool = p.k.system().hugetlb;
  const std::uint64_t before = pool.reserved_pages(size());
  p.k.mmap(1, vma, 2 * size().bytes(), kOther);  // the file grows with it
  EXPECT_TRUE(p.k.touch(1, kOther, kWrite));
  EXPECT_EQ(pool.reserved_pages(size()), before + 1);
  p.k.truncate(1, 7, 0);
  EXPECT_EQ(pool.reserved_pages(size()), before);
  EXPECT_EQ(pool.free_pages(size()), before + 2);
  EXPECT_TRUE(p.walk(kOther).fault);
  EXPECT_FALSE(p.k.touch(1, kOther, kRead));  // SIGBUS
  p.expect_nothing_stale();
}

// There are no lazy MMU sections: batched or not, each entry written is a section of its own.
TEST_P(EachSize, CostsASectionForEachEntryUnderKeysBatchedOrNot) {
  const auto msr = [&](bool batching) {
    Process p(size(), 1, hugetlb_policy("kpkeys-poe", batching, "per-page", Granularity::kPte));
    p.touch_all(kWrite);
    const std::uint64_t before = p.total(Event::kMsrPor);
    p.k.mprotect(1, kPlace, p.bytes, true, false, false);
    return p.total(Event::kMsrPor) - before;
  };
  // Cleared, cleared again by set_huge_pte_at() if it is a run, and set.
  EXPECT_EQ(msr(false), 2u * (run() ? 3 * 16 : 2));
  EXPECT_EQ(msr(true), 2u * (run() ? 3 * 16 : 2));
}

void live(Process& p) {
  p.touch_all(kRead);
  p.expect_nothing_stale();
  p.touch_all(kWrite);
  p.k.fork(1, 2);
  p.touch_all(kWrite);
  p.expect_nothing_stale();
  p.touch_all(kWrite, 2);
  p.expect_nothing_stale();
  p.k.exit(2);
  p.k.mprotect(1, kPlace, p.bytes, true, false, false);
  p.touch_all(kRead);
  p.expect_nothing_stale();
  p.k.mprotect(1, kPlace, p.bytes, true, true, false);
  p.touch_all(kWrite);
  p.k.mremap(1, {kPlace, p.bytes, p.bytes, kOther});
  p.touch_all(kWrite, 1, kOther);
  p.expect_nothing_stale();
  p.k.madvise_dontneed(1, kOther, p.bytes);
  p.touch_all(kWrite, 1, kOther);
  p.k.munmap(1, kOther, p.bytes);
  p.expect_nothing_stale();
  p.k.exit_all();
  p.expect_nothing_stale();
  EXPECT_EQ(p.k.system().hugetlb.reserved_pages(p.size), 0u);
  EXPECT_EQ(p.k.system().hugetlb.free_pages(p.size), p.k.system().hugetlb.pages(p.size));
}

TEST_P(EachSize, LivesWithoutAStaleTranslationUnderEveryPolicy) {
  for (const Config& c :
       {kPlain, hugetlb_policy("kpkeys-poe", false, "per-page", Granularity::kPte),
        hugetlb_policy("kpkeys-poe", true, "per-page", Granularity::kPte),
        hugetlb_policy("kpkeys-poe", true, "pba", Granularity::kBlock),
        hugetlb_policy("kpkeys-poe", true, "per-page", Granularity::kBlock)}) {
    Process p(size(), 2, c);
    live(p);
  }
}

// A run that changes without its flush leaves what is stale; so does a block without its copy's.
TEST_P(EachSize, NeedsItsFlushes) {
  for (const FlushSite site : {FlushSite::kContpte, FlushSite::kCowBreak, FlushSite::kUnmap}) {
    if (site == FlushSite::kContpte && !run()) continue;
    Config c = kPlain;
    c.injections = without_tlbis(site);
    Process p(size(), 1, c);
    std::uint64_t stale = 0;
    const auto audit = [&] {
      const AuditResult a = p.k.audit();
      stale += a.stale_leaves + a.stale_tables + a.bbm_violations;
    };
    p.touch_all(kWrite);
    p.k.fork(1, 2);
    p.touch_all(kRead);
    // The write meets the stale entry again and again.
    if (!p.k.touch(1, kPlace, kWrite)) ++stale;
    audit();
    p.k.munmap(1, kPlace, p.bytes);
    audit();
    EXPECT_GT(stale, 0u) << kFlushSiteNames[static_cast<std::size_t>(site)];
  }
}

TEST(Hugetlb, X86HasNoRunsOfEntries) {
  const cpu::CoreProfile x86 =
      cpu::read_core_profile(kpksim::test::source_path("profiles/cores/sapphire-rapids.json"));
  EXPECT_THROW(Process(kHugetlbSizes[0], 1, kPlain, false, x86), InputError);
  Process p(kHugetlbSizes[1], 1, kPlain, false, x86);
  p.touch_all(kWrite);
  EXPECT_EQ(p.walk(kPlace).level, 2u);
}

// Page tables of a file's whole gigabyte, by pages of 2 MB.
struct Sharing : testing::Test {
  Sharing() : p(kHugetlbSizes[1], 512, kPlain, true) {
    p.touch_all(kWrite);
    p.k.fork(1, 2);
  }
  // Of the task that runs.
  Pfn table() {
    const cpu::Core& core = p.k.system().machine.core(0);
    Pfn at = frame_of(PhysAddr(core.mmu().registers().ttbr0 & mmu::field::kOutputAddress.mask()));
    for (unsigned level = 0; level < 2; ++level) {
      const std::uint64_t index = kPlace >> mmu::level_shift(level) & (kEntriesPerTable - 1);
      at = mmu::Descriptor{p.k.system().machine.memory().read64(address_of(at) + index * 8)}.pfn();
    }
    return at;
  }
  Process p;
};

TEST_F(Sharing, AChildGetsTheTableAtItsFirstFault) {
  p.k.switch_to(1);
  const Pfn parents = table();
  const std::uint64_t faults = p.total(Event::kFaultTranslation);
  p.touch_all(kWrite, 2);
  EXPECT_EQ(p.total(Event::kFaultTranslation) - faults, 1u);
  EXPECT_EQ(table(), parents);
  EXPECT_EQ(p.k.system().hugetlb.sharers.at(parents), 1u);
  p.expect_nothing_stale();
  // Its end unhooks the table, which stays the parent's.
  p.k.exit(2);
  EXPECT_TRUE(p.k.system().hugetlb.sharers.empty());
  p.touch_all(kWrite);
  EXPECT_EQ(p.total(Event::kFaultTranslation) - faults, 1u);
  p.expect_nothing_stale();
}

// Without leaf entries of its own there is one flush, of all levels: the table's entry went.
TEST_F(Sharing, MprotectLeavesTheTableToTheOther) {
  p.touch_all(kWrite, 2);
  p.k.switch_to(1);
  const Tlbis protect = p.tlbis([&] { p.k.mprotect(1, kPlace, p.bytes, true, false, false); });
  EXPECT_EQ(protect, Tlbis({{TlbiKind::kAside1, 1}, {TlbiKind::kRvae1, 1}}));
  EXPECT_TRUE(p.walk(kPlace).fault);
  const std::uint64_t faults = p.total(Event::kFaultTranslation);
  p.touch_all(kRead);  // rights differ: a table of its own
  EXPECT_EQ(p.total(Event::kFaultTranslation) - faults, 512u);
  EXPECT_FALSE(is_writable(p.walk(kPlace).descriptor));
  p.touch_all(kWrite, 2);
  EXPECT_TRUE(is_writable(p.walk(kPlace).descriptor));
  p.expect_nothing_stale();
  p.k.exit_all();
  p.expect_nothing_stale();
}

TEST(Hugetlb, APrivateMappingSharesNoTable) {
  Process p(kHugetlbSizes[1], 512);
  p.touch_all(kWrite);
  p.k.fork(1, 2);
  EXPECT_TRUE(p.k.touch(2, kPlace, kRead));
  EXPECT_TRUE(p.k.system().hugetlb.sharers.empty());
}

RC_GTEST_PROP(Hugetlb, RangesOfIndexesAreSetsOfThem, ()) {
  IndexRanges ranges;
  std::set<std::uint64_t> set;
  const auto within = [&](std::uint64_t from, std::uint64_t to) {
    return static_cast<std::uint64_t>(std::distance(set.lower_bound(from), set.lower_bound(to)));
  };
  for (int i = 0; i < 30; ++i) {
    const auto first = *rc::gen::inRange<std::uint64_t>(0, 40);
    const auto last = first + *rc::gen::inRange<std::uint64_t>(1, 20);
    const std::uint64_t before = within(first, last);
    RC_ASSERT(ranges.count(first, last) == before);
    if (*rc::gen::arbitrary<bool>()) {
      RC_ASSERT(ranges.add(first, last) == last - first - before);
      for (std::uint64_t at = first; at < last; ++at) set.insert(at);
    } else {
      RC_ASSERT(ranges.remove(first, last) == before);
      for (std::uint64_t at = first; at < last; ++at) set.erase(at);
    }
  }
}

TEST(Hugetlb, AGigabyteComesFromFreeMemoryThatLiesTogether) {
  Buddy buddy(frame_of(PhysAddr(kPhysOffset)), (3ull << 30) >> kPageShift);
  const auto low = buddy.allocate(0, Mobility::kMovable);
  ASSERT_TRUE(low);
  const std::uint64_t free = buddy.free_pages();
  const unsigned order = kPudShift - kPageShift;
  const auto first = buddy.allocate_contiguous(order), second = buddy.allocate_contiguous(order);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first - buddy.first(), 1ull << order);  // the lowest gigabyte has a page in use
  EXPECT_EQ(*second - *first, 1ull << order);
  EXPECT_FALSE(buddy.allocate_contiguous(order));
  EXPECT_EQ(free - buddy.free_pages(), 2ull << order);
  for (std::uint64_t at = 0; at < 1ull << order; at += 1ull << kMaxOrder) {
    buddy.free(*second + at, kMaxOrder);
  }
  EXPECT_EQ(buddy.allocate_contiguous(order), second);
}

}  // namespace
}  // namespace kpksim::kernel
