// Each TLB flush of the kernel model is needed: left out, it leaves a translation in some TLB that
// the page tables no longer justify, at the end or where an entry is made before the old one is
// broken. And with all of them, nothing is ever stale.

#include "sim/base/error.h"
#include "tests/kernel/life.h"

namespace kpksim::kernel {
namespace {

// Protections change the linear map in different ways, or stage 2, each with a flush of its own.
constexpr std::array kPolicies = {"kpkeys-poe+lazy,per-page,pte", "rodata-toggle,per-page,pte",
                                  "hypervisor,per-page,pte", "kpkeys-pks,per-page,pte"};
constexpr std::array kReaching = {"none,buddy,pte,local-if-alone", "none,buddy,pte,ipi",
                                  "none,buddy,pte,domain"};

std::uint64_t stale_after_life(FlushSite left_out, const char* policy) {
  try {
    const cpu::CoreProfile& core = core_profile_for(parse_policy(policy));
    Life life(policy, without_tlbis(left_out), core);
    life.k.spawn(1);
    for (const auto scene : kScenes) scene(life);
    Life many(policy, without_tlbis(left_out), small_asids(core));
    many.k.spawn(1);
    run_out_of_asids(many);
    return life.stale + many.stale;
  } catch (const KernelOops&) {
    return 1;  // a store of the kernel itself met the stale translation
  }
}

TEST(Flush, NothingIsStaleWhenEveryFlushIsDone) {
  for (const char* policy : kPolicies) EXPECT_EQ(stale_after_life(FlushSite::kNone, policy), 0u);
  for (const char* policy : kReaching) EXPECT_EQ(stale_after_life(FlushSite::kNone, policy), 0u);
}

TEST(Flush, OneLeftOutShowsHoweverFarFlushesReach) {
  for (const char* policy : kReaching) {
    for (const FlushSite site : {FlushSite::kForkParent, FlushSite::kUnmap, FlushSite::kMprotect,
                                 FlushSite::kVmallocPurge, FlushSite::kAsidRollover}) {
      EXPECT_GT(stale_after_life(site, policy), 0u)
          << policy << " without " << kFlushSiteNames[static_cast<std::size_t>(site)];
    }
  }
}

class LeftOut : public testing::TestWithParam<unsigned> {};
TEST_P(LeftOut, LeavesAStaleTranslation) {
  std::uint64_t stale = 0;
  for (const char* policy : kPolicies) {
    stale += stale_after_life(static_cast<FlushSite>(GetParam()), policy);
  }
  EXPECT_GT(stale, 0u);
}
INSTANTIATE_TEST_SUITE_P(AllSites, LeftOut,
                         testing::Range(1u, static_cast<unsigned>(FlushSite::kCount)),
                         [](const auto& site) {
                           std::string name(kFlushSiteNames[site.param]);
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace kpksim::kernel
