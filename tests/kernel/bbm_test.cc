// FEAT_BBM: which linear maps a core can have, by what would be split while it is in use.

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

cpu::CoreProfile core_of_level(unsigned level) {
  cpu::CoreProfile core = core_profile();
  core.bbm_level = level;
  return core;
}

std::string refusal(const char* policy, unsigned level) {
  return reason_against(parse_policy(policy), core_of_level(level)).value_or("");
}

TEST(Bbm, SplittingNeedsLevel2_AndTheReasonSaysWhy) {
  for (const char* policy : {"kpkeys-poe,pba,block", "kpkeys-poe,per-page,contpte",
                             "rodata-toggle,per-page,block", "unmap-leaf+lock,per-page,block"}) {
    for (const unsigned level : {0u, 1u}) {
      EXPECT_NE(refusal(policy, level).find("needs level 2"), std::string::npos) << policy;
    }
    for (const unsigned level : {2u, 3u}) EXPECT_EQ(refusal(policy, level), "") << policy;
  }
}

// Linux takes blocks where nothing changes a part of one, whatever the core (can_set_direct_map()).
TEST(Bbm, ABlockMapThatNothingSplitsIsForEveryCore) {
  for (const char* policy :
       {"none,buddy,block", "none,buddy,contpte", "hypervisor,per-page,block"}) {
    EXPECT_EQ(refusal(policy, 0), "") << policy;
  }
}

TEST(Bbm, RepaintingAndJoiningAreForCoresThatWereGivenBlocks) {
  EXPECT_NE(refusal("none,buddy,block:start=repainted", 0).find("use 'pte'"), std::string::npos);
  EXPECT_NE(refusal("none,buddy,block:collapse=on", 1).find("level 2"), std::string::npos);
  EXPECT_EQ(refusal("none,buddy,block:start=repainted", 3), "");
  EXPECT_NE(reason_against(parse_policy("none,buddy,block:start=repainted:collapse=on"))
                .value_or("")
                .find("no blocks that could be joined"),
            std::string::npos);
}

TEST(Bbm, X86HasItsOwnRules) {
  EXPECT_FALSE(reason_against(parse_policy("kpkeys-pks,pba,block"), x86_core_profile()));
  EXPECT_NE(reason_against(parse_policy("none,buddy,block:collapse=on"), x86_core_profile())
                .value_or("")
                .find("AArch64's"),
            std::string::npos);
}

// Whatever is accepted without level 2 splits nothing: in no combination of parts.
TEST(Bbm, NoCombinationThatACoreWithoutLevel2AcceptsSplitsALiveLeaf) {
  const cpu::CoreProfile core = core_of_level(0);
  std::size_t looked_at = 0;
  for (const Policy& policy : every_policy(core)) {
    if (policy.linear_map == Granularity::kPte) continue;
    ++looked_at;
    Config c;
    c.policy = policy;
    c.memory_bytes = 256ull << 20;
    Kernel k(core, kernel_profile(), c);
    k.spawn(1);
    map_and_write(k, 1, 1 << 20);
    k.fork(1, 2);
    k.memory().vmalloc(4, false);
    k.memory().pressure();
    k.exit_all();
    const LinearMapStatistics& s = k.system().linear_map.statistics();
    EXPECT_EQ(s.split_pud + s.split_contpmd + s.split_pmd + s.split_contpte, 0u) << text_of(policy);
  }
  EXPECT_GE(looked_at, 2u);
}

}  // namespace
}  // namespace kpksim::kernel
