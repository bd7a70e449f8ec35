// The kernel's own accesses to ordinary data: what they find in the TLBs depends on the leaves of
// the linear map, and on nothing else.

#include "sim/kernel/kernel_data.h"

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint32_t kTask = 1;

class KernelDataWorld {
 public:
  explicit KernelDataWorld(Granularity map, const KernelDataSettings& settings)
      : KernelDataWorld(config("none", false, "buddy", map), settings) {}
  KernelDataWorld(const Config& c, const KernelDataSettings& settings)
      : kernel_(core_profile_for(c.policy), kernel_profile(), c) {
    kernel_.spawn(kTask);
    kernel_.use_data(settings);
  }
  Kernel& kernel() { return kernel_; }
  KernelDataStatistics after(std::uint64_t calls, const Call& call = {}) {
    const KernelDataStatistics before = kernel_.data()->statistics();
    for (std::uint64_t i = 0; i < calls; ++i) kernel_.system_call(kTask, call);
    return since(before, kernel_.data()->statistics(), kKernelDataStatistics);
  }
  // A block that boot has used would stay in the TLBs for good.
  void forget_translations() {
    cpu::Core& core = kernel_.system().machine.core(0);
    core.tlbi({mmu::TlbiKind::kVmalle1, mmu::Domain::kLocal}, 0);
    core.dsb_nsh();
  }
  std::uint64_t happened(cpu::Event event) {
    return kernel_.system().machine.core(0).happened(event);
  }

 private:
  Kernel kernel_;
};

// Calls that bring all of a working set into the TLBs, if it fits.
constexpr std::uint64_t kWarmUp = 2000, kCalls = 500;
constexpr Call kOpen{.kind = CallKind::kOpen};
// Neoverse V1 has 2,048 entries of L2 TLB, and 40 of L1.
constexpr KernelDataSettings kBeyondTheTlb{.working_set = 64ull << 20};
constexpr KernelDataSettings kWithinTheTlb{.working_set = 1ull << 20};

TEST(KernelData, ThatFitsTheTlbByBlocksAndNotByPagesWalksByPagesAlone) {
  KernelDataWorld blocks(Granularity::kBlock, kBeyondTheTlb),
      pages(Granularity::kPte, kBeyondTheTlb);
  blocks.after(kWarmUp, kOpen);
  pages.after(kWarmUp, kOpen);
  const KernelDataStatistics by_blocks = blocks.after(kCalls, kOpen);
  const KernelDataStatistics by_pages = pages.after(kCalls, kOpen);
  EXPECT_EQ(by_blocks.objects, kCalls * kBeyondTheTlb.accesses_per_call);
  EXPECT_EQ(by_pages.objects, by_blocks.objects);
  EXPECT_EQ(by_blocks.walks, 0u);
  // Three quarters of 13,000 pages in use are not in an L2 TLB of 2,048 entries.
  EXPECT_GT(by_pages.walks, by_pages.objects / 2);
  EXPECT_EQ(by_pages.walks_4k, by_pages.walks);
}

TEST(KernelData, ThatFitsTheTlbByPagesWalksNowhereAndHitsTheL2) {
  KernelDataWorld pages(Granularity::kPte, kWithinTheTlb);
  pages.after(kWarmUp, kOpen);
  const KernelDataStatistics counted = pages.after(kCalls, kOpen);
  EXPECT_EQ(counted.walks, 0u);
  EXPECT_GT(counted.l2_tlb_hits, counted.objects / 2) << "200 pages are more than 40 entries";
}

TEST(KernelData, IsCountedByTheLeafThatAWalkEndedIn) {
  KernelDataWorld runs(Granularity::kContPte, kBeyondTheTlb),
      blocks(Granularity::kBlock, kBeyondTheTlb);
  blocks.forget_translations();
  const KernelDataStatistics by_runs = runs.after(kCalls), by_blocks = blocks.after(kCalls);
  EXPECT_GT(by_runs.walks, 0u);
  EXPECT_EQ(by_runs.walks_64k, by_runs.walks);
  EXPECT_GT(by_blocks.walks, 0u);
  EXPECT_EQ(by_blocks.walks_2m + by_blocks.walks_32m + by_blocks.walks_1g, by_blocks.walks);
}

TEST(KernelData, GoesThroughTheMmuAndItsWalksAreTheCoresOwn) {
  KernelDataWorld pages(Granularity::kPte, kBeyondTheTlb);
  const std::uint64_t walks = pages.happened(cpu::Event::kWalk);
  const std::uint64_t loads = pages.happened(cpu::Event::kLoad);
  const KernelDataStatistics counted = pages.after(kCalls);
  EXPECT_GE(pages.happened(cpu::Event::kWalk) - walks, counted.walks);
  EXPECT_GE(pages.happened(cpu::Event::kLoad) - loads, counted.objects / 2);
}

TEST(KernelData, IsTheSameForTheSameSeedAndNotForAnother) {
  const auto walks = [](std::uint64_t seed) {
    KernelDataWorld pages(Granularity::kPte, {.seed = seed});
    return pages.after(kCalls).walks;
  };
  EXPECT_EQ(walks(1), walks(1));
  EXPECT_NE(walks(1), walks(2));
}

TEST(KernelData, IsStoredToAsOftenAsTheSettingSays) {
  for (const std::uint64_t percent : {0, 100}) {
    KernelDataWorld pages(Granularity::kPte, {.store_percent = percent});
    KernelDataWorld idle(Granularity::kPte, {.accesses_per_call = 0});
    const auto stores = [](KernelDataWorld& w) {
      const std::uint64_t before = w.happened(cpu::Event::kStore);
      w.after(kCalls);
      return w.happened(cpu::Event::kStore) - before;
    };
    EXPECT_EQ(stores(pages) - stores(idle), percent == 0 ? 0 : kCalls * 40) << percent;
  }
}

TEST(KernelData, OfMoreThanHalfOfTheMemoryIsRefused) {
  EXPECT_THROW(KernelDataWorld(Granularity::kPte, {.working_set = 900ull << 20}), InputError);
}

// Ordinary data is nobody's page table: no protection refuses an access to it.
TEST(KernelData, IsAccessibleUnderEveryProtection) {
  for (const cpu::CoreProfile* core : {&core_profile(), &mte_core_profile(), &x86_core_profile()}) {
    for (const Policy& policy : natural_policies(*core)) {
      Config c = config("none", false, "buddy", Granularity::kPte);
      c.policy = policy;
      KernelDataWorld world(c, kWithinTheTlb);
      EXPECT_NO_THROW(world.after(100, kOpen)) << text_of(policy);
      const AuditResult audit = world.kernel().audit();
      EXPECT_EQ(audit.stale_leaves + audit.stale_tables, 0u) << text_of(policy);
    }
  }
}

// read() and write(): one access for each line, and the walk of a page once for all of its lines.
TEST(KernelData, CopiesOfThePageCacheTouchEachLineOfTheirStretch) {
  KernelDataWorld w(Granularity::kPte, {.accesses_per_call = 0});
  const Call read{.kind = CallKind::kRead, .bytes = 3 * kPageSize, .file = 1, .offset = 100};
  const std::uint64_t free = w.kernel().system().buddy.free_pages();
  const KernelDataStatistics first = w.after(1, read);
  EXPECT_EQ(first.cache_lines, 3 * kPageSize / 64 + 1);
  EXPECT_EQ(first.cache_walks, 4u) << "it begins behind the start of a page";
  EXPECT_EQ(free - w.kernel().system().buddy.free_pages(), 4u);
  w.forget_translations();
  EXPECT_EQ(w.after(1, read).cache_walks, 4u);
  EXPECT_EQ(free - w.kernel().system().buddy.free_pages(), 4u) << "the same pages again";
  w.after(1, {.kind = CallKind::kRead, .bytes = 8, .file = 2, .offset = 100});
  EXPECT_EQ(free - w.kernel().system().buddy.free_pages(), 5u) << "another file has its own";
}

TEST(KernelData, AWriteStoresToThePageCacheAndAReadDoesNot) {
  KernelDataWorld w(Granularity::kPte, {.accesses_per_call = 0});
  KernelDataWorld idle(Granularity::kPte, {.accesses_per_call = 0, .page_cache = 0});
  const auto stores = [](KernelDataWorld& of, CallKind kind) {
    const std::uint64_t before = of.happened(cpu::Event::kStore);
    of.after(10, {.kind = kind, .bytes = kPageSize});
    return of.happened(cpu::Event::kStore) - before;
  };
  EXPECT_EQ(stores(w, CallKind::kRead), stores(idle, CallKind::kRead));
  EXPECT_EQ(stores(w, CallKind::kWrite) - stores(idle, CallKind::kWrite), 10 * kPageSize / 64);
}

TEST(KernelData, ACopyWhoseFileIsNotKnownIsOfSomeOfThePageCache) {
  KernelDataWorld w(Granularity::kPte, {.accesses_per_call = 0, .page_cache = 16 * kPageSize});
  const std::uint64_t free = w.kernel().system().buddy.free_pages();
  w.after(1000, {.kind = CallKind::kRead, .bytes = kPageSize});
  EXPECT_EQ(free - w.kernel().system().buddy.free_pages(), 16u);
}

// By half of the addresses and by who makes the access: what a finer linear map costs is the
// kernel's half alone.
TEST(TlbMisses, OfTheKernelAreCountedApartFromThoseOfUserMemory) {
  KernelDataWorld w(Granularity::kPte, kWithinTheTlb);
  const std::uint64_t at = map_and_write(w.kernel(), kTask, 64 * kPageSize);
  const auto walks = [&](const auto& act) {
    using Counts = std::array<std::uint64_t, 3>;  // all, kernel's half, user memory by EL1
    const auto now = [&] {
      return Counts{w.happened(cpu::Event::kWalk), w.happened(cpu::Event::kWalkKernel),
                    w.happened(cpu::Event::kWalkCopy)};
    };
    w.forget_translations();
    const Counts before = now();
    act();
    Counts out = now();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] -= before[i];
    return out;
  };
  const auto by_user = walks([&] {
    for (unsigned i = 0; i < 64; ++i) {
      w.kernel().touch(kTask, at + i * kPageSize, poe::AccessKind::kRead);
    }
  });
  EXPECT_EQ(by_user[0] - by_user[1], 64u);
  EXPECT_EQ(by_user[2], 0u);
  const auto by_copy = walks([&] {
    w.kernel().system_call(kTask, {.kind = CallKind::kRandom, .bytes = 64 * kPageSize}, 0,
                           {at, 64 * kPageSize, true});
  });
  EXPECT_EQ(by_copy[2], 64u);
  EXPECT_EQ(by_copy[0], by_copy[1] + by_copy[2]);
  const auto by_kernel = walks([&] { w.after(kCalls, kOpen); });
  EXPECT_GT(by_kernel[1], 100u);
  EXPECT_EQ(by_kernel[0], by_kernel[1]);
}

TEST(KernelData, ThatNobodyAskedForIsNotThere) {
  Kernel k(core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte));
  EXPECT_EQ(k.data(), nullptr);
}

}  // namespace
}  // namespace kpksim::kernel
