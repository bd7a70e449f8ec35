// Policies as text: what is read, what is printed, and what is said of what makes no sense.

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "sim/base/error.h"
#include "sim/cpu/profile.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/policy.h"
#include "sim/kernel/protect/protection.h"
#include "tests/paths.h"

namespace kpksim::kernel {
namespace {

std::string policy_text_refusal(const std::string& text) {
  try {
    check(parse_policy(text));
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(PolicyText, PartsWindowsAndParametersAreReadAndPrintedAlike) {
  const std::string text = "kpkeys-poe+lazy:series=v6,pba:orders=9/2:reserve=8,block";
  const Policy p = parse_policy(text);
  EXPECT_EQ(p.protection.name, "kpkeys-poe");
  EXPECT_EQ(p.window, WindowScope::kLazy);
  EXPECT_EQ(p.protection.parameters.at("series"), "v6");
  EXPECT_EQ(p.allocator.name, "pba");
  EXPECT_EQ(p.allocator.parameters.at("orders"), "9/2");
  EXPECT_EQ(p.linear_map, Granularity::kBlock);
  EXPECT_EQ(text_of(p), text);
  EXPECT_EQ(policy_text_refusal(text), "");
}

TEST(PolicyText, AProtectionWithAPlusInItsNameHasWindowsToo) {
  const Policy p = parse_policy("kpkeys-poe+mte+lazy:tags=4:series=v9,per-page,pte");
  EXPECT_EQ(p.protection.name, "kpkeys-poe+mte");
  EXPECT_EQ(p.window, WindowScope::kLazy);
  EXPECT_EQ(window_of(parse_policy("kpkeys-poe+mte,per-page,pte")), WindowScope::kEntry);
  EXPECT_EQ(policy_text_refusal(text_of(p)), "");
}

TEST(PolicyText, EveryCombinationIsReadAsItIsPrinted) {
  for (const Policy& p : combinations()) EXPECT_EQ(parse_policy(text_of(p)), p) << text_of(p);
}

std::vector<cpu::CoreProfile> shipped_cores() {
  std::set<std::string> paths;
  for (const auto& file :
       std::filesystem::directory_iterator(kpksim::test::source_path("profiles/cores"))) {
    paths.insert(file.path().string());
  }
  std::vector<cpu::CoreProfile> cores;
  for (const std::string& path : paths) cores.push_back(cpu::read_core_profile(path));
  return cores;
}

TEST(PolicyText, ALinearMapHasParametersLikeTheOtherParts) {
  const std::string text = "kpkeys-poe+lazy,per-page,block:collapse=on:start=as-mapped";
  EXPECT_EQ(text_of(parse_policy(text)), text);
  EXPECT_EQ(policy_text_refusal(text), "");
  EXPECT_TRUE(linear_map_of(parse_policy(text)).collapse);
  EXPECT_EQ(linear_map_of(parse_policy("none,buddy,block:start=repainted")).start,
            MapStart::kRepainted);
  EXPECT_NE(policy_text_refusal("none,buddy,block:colapse=on").find("'collapse'"),
            std::string::npos);
  EXPECT_NE(policy_text_refusal("none,buddy,block:start=painted").find("repainted"),
            std::string::npos);
  EXPECT_NE(policy_text_refusal("none,buddy,pte:start=repainted"), "");
  // Boot has left pages: what is for blocks is not for them.
  EXPECT_NE(
      policy_text_refusal("kpkeys-poe,pba,block:start=repainted").find("linear map of blocks"),
      std::string::npos);
  EXPECT_NE(policy_text_refusal("kpkeys-poe,slab,block:collapse=on").find("takes no tables"),
            std::string::npos);
}

TEST(PolicyText, TheReachOfTlbisIsAFourthPartThatMayBeLeftOut) {
  const std::string text = "kpkeys-poe+lazy,per-page,pte,local-if-alone";
  EXPECT_EQ(parse_policy(text).reach, Reach::kLocalIfAlone);
  EXPECT_EQ(text_of(parse_policy(text)), text);
  EXPECT_EQ(parse_policy("none,buddy,pte,broadcast"), parse_policy("none,buddy,pte"));
  for (const cpu::CoreProfile& core : shipped_cores()) {
    const bool x86 = core.architecture == cpu::Architecture::kX86;
    const auto refused = [&](const char* policy) {
      return reason_against(parse_policy(policy), core).value_or("").find("has no reach") !=
             std::string::npos;
    };
    EXPECT_EQ(refused("none,buddy,pte,ipi"), x86) << core.name;
    EXPECT_EQ(refused("none,buddy,pte,invlpgb"), !x86) << core.name;
  }
}

TEST(PolicyText, WithoutAWindowTheProtectionsUsualOneIsMeant) {
  EXPECT_EQ(window_of(parse_policy("kpkeys-poe,per-page,pte")), WindowScope::kEntry);
  EXPECT_EQ(window_of(parse_policy("none,buddy,pte")), std::nullopt);
}

struct Bad {
  const char* text;
  const char* says;  // a part of the message
};
class BadPolicy : public testing::TestWithParam<Bad> {};
TEST_P(BadPolicy, IsRefusedWithTheReasonAndWhatIsLegal) {
  EXPECT_NE(policy_text_refusal(GetParam().text).find(GetParam().says), std::string::npos)
      << GetParam().text << " says: " << policy_text_refusal(GetParam().text);
}
INSTANTIATE_TEST_SUITE_P(
    All, BadPolicy,
    testing::Values(
        Bad{"kpkeys-poe,pba", "expected protection[+window],allocator,linear-map"},
        Bad{"kpkeys-pow,buddy,pte", "did you mean 'kpkeys-poe'"},
        Bad{"none,buddy,pte,local", "'local' is not a reach of a TLBI"},
        Bad{"none,buddy,pte,domains", "did you mean 'domain'"},
        Bad{"none,buddy,pte,ipi,ipi", "linear-map[,reach]"},
        Bad{"kpkeys-poe+batch,buddy,pte", "'batch' is not a window"},
        Bad{"kpkeys-poe,per-pages,pte", "did you mean 'per-page'"},
        Bad{"none,buddy,blocks", "did you mean 'block'"}, Bad{"none+lazy,buddy,pte", "it has none"},
        Bad{"none,per-page,pte", "tells none apart; use 'buddy'"},
        Bad{"none:series=v6,buddy,pte", "has no parameter 'series'; it has none"},
        Bad{"kpkeys-poe:serie=v6,buddy,pte", "did you mean 'series'"},
        Bad{"kpkeys-poe:series=v4,buddy,pte", "'v4' is none of v5, v6, v7, v8, v9"},
        Bad{"kpkeys-poe:series,buddy,pte", "'series' is no parameter; expected name=value"},
        Bad{"kpkeys-poe:series=v6:series=v6,buddy,pte", "'series' is given twice"},
        Bad{"mte+lazy,per-page,pte", "it has none"},
        Bad{"mte:tags=16,per-page,pte", "expected 1 to 15"},
        Bad{"mte:tags=0,per-page,pte", "expected 1 to 15"},
        Bad{"mte:series=v6,per-page,pte", "has no parameter 'series'"},
        Bad{"kpkeys-poe+mte:series=v9,pba,block", "series v9 maps the linear map with pages"},
        Bad{"kpkeys-poe,pba,pte", "it is for a linear map of blocks"},
        Bad{"kpkeys-poe:series=v9,pba,block", "series v9 maps the linear map with pages"},
        Bad{"kpkeys-poe:series=v5,per-page,block", "series v5 maps the linear map with pages"},
        Bad{"kpkeys-poe,pba:reserve=3,block", "expected 4 to 4096"},
        Bad{"kpkeys-poe,pba:orders=9/,block", "'' is no number"},
        Bad{"kpkeys-poe,pba:orders=10,block", "expected 2 to 9"},
        Bad{"kpkeys-poe,pba,block:x=1", "known: start, collapse"},
        Bad{"kpkeys-poe,per-page,pte:x=1", "linear map 'pte' has no parameter 'x'; it has none"}));

TEST(Policies, ACoreThatCannotRunOneIsRefusedWithThoseThatCan) {
  for (const ProtectionInfo* info : Protections::all()) {
    if (!info->needs) continue;
    std::vector<std::string> have;
    for (const cpu::CoreProfile& core : shipped_cores()) {
      if (core.*info->needs->has) have.push_back(core.name);
      Policy policy;
      policy.protection.name = info->name;
      const std::string reason = reason_against(policy, core).value_or("");
      EXPECT_EQ(reason.empty(), core.*info->needs->has) << core.name;
      if (core.architecture == cpu::Architecture::kX86) continue;
      EXPECT_EQ(reason.find(std::string(info->needs->shipped)) == std::string::npos, reason.empty())
          << reason;
    }
    EXPECT_EQ(fmt::format("{}", fmt::join(have, ", ")), info->needs->shipped);
  }
}

TEST(Policies, ThoseThatGoTogetherAreAmongAll_AndNaturalOnesShowEachPart) {
  for (const cpu::CoreProfile& core : shipped_cores()) {
    const bool x86 = core.architecture == cpu::Architecture::kX86;
    const std::vector<Policy> every = every_policy(core), natural = natural_policies(core);
    EXPECT_EQ(text_of(natural.front()), "none,buddy,pte");
    for (Policy p : natural) {
      p.reach = Reach::kBroadcast;  // `every` has no other
      EXPECT_NE(std::find(every.begin(), every.end(), p), every.end()) << text_of(p);
    }
    for (std::size_t r = 0; r < kReaches.size(); ++r) {
      const auto has = [&](const Policy& p) { return p.reach == static_cast<Reach>(r); };
      const bool reaches = r == 0 || (static_cast<Reach>(r) == Reach::kInvlpgb) == x86;
      EXPECT_EQ(std::any_of(natural.begin(), natural.end(), has), reaches) << r;
    }
    for (const ProtectionInfo* info : Protections::all()) {
      const bool runs =
          (x86 ? info->x86 : info->aarch64) && (!info->needs || core.*info->needs->has);
      EXPECT_EQ(std::any_of(natural.begin(), natural.end(),
                            [&](const Policy& p) { return p.protection.name == info->name; }),
                runs)
          << info->name << " on " << core.name;
    }
    for (const AllocatorInfo* info : Allocators::all()) {
      // What is for blocks needs a core that may split them.
      const auto has = [&](const Policy& p) { return p.allocator.name == info->name; };
      const bool blocks = info->natural == Granularity::kBlock;
      EXPECT_EQ(std::any_of(natural.begin(), natural.end(), has),
                !blocks || x86 || core.bbm_level >= 2)
          << info->name << " on " << core.name;
    }
  }
}

}  // namespace
}  // namespace kpksim::kernel
