// The sanitizer looks at kernels whose credentials are one class of several: whatever the budget of
// keys and the strategy, nothing is left stale or open, and no code of the kernel's own faults.

#include <gtest/gtest.h>

#include "sim/check/sanitizer.h"
#include "tests/kernel/cred_classes.h"

namespace kpksim::check {
namespace {

struct KeyedLife {
  std::vector<Finding> findings;
  std::uint64_t stale = 0, evictions = 0;
  std::string died;
};

KeyedLife keyed_life(const kernel::Classes& classes, const pkrs::Assignment& assignment,
                     const char* policy) {
  kernel::Config config = kernel::with_keys(classes, assignment);
  config.policy = kernel::parse_policy(policy);
  config.cores = 2;
  config.watched = true;
  kernel::Kernel k(kernel::core_profile(), kernel::kernel_profile(), config);
  Sanitizer sanitizer(k);
  KeyedLife out;
  try {
    k.clock().set_timer(1500);
    kernel::live_as_others(k);
    k.migrate(12, 1);
    kernel::live_on(k, 12);
    const kernel::AuditResult audit = k.audit();
    out.stale = audit.stale_leaves + audit.stale_tables + audit.bbm_violations;
  } catch (const kernel::KernelOops& oops) {
    out.died = oops.what();
  }
  out.findings = sanitizer.report().findings();
  out.evictions = k.system().classes->statistics().evictions;
  return out;
}

TEST(SanitizerCredClass, FindsNothingWithAnyStrategyAndFrom2To128Keys) {
  const kernel::Classes classes = kernel::with_cred(4);
  std::size_t ran = 0, took_keys = 0;
  for (const unsigned budget : {2u, 3u, 4u, 5u, 6u, 8u, 9u, 16u, 17u, 32u, 64u, 128u}) {
    for (std::size_t s = 0; s < pkrs::kStrategies; ++s) {
      const auto strategy = static_cast<pkrs::Strategy>(s);
      const pkrs::Assignment a = kernel::assigned(classes, strategy, budget);
      if (!a.refusal.empty()) continue;
      ++ran;
      const char* const policy =
          ran % 2 == 0 ? "kpkeys-poe+lazy,pba,block" : "kpkeys-poe+lazy,per-page,pte";
      const KeyedLife life = keyed_life(classes, a, policy);
      const auto where = testing::Message() << name_of(strategy) << " of " << budget;
      EXPECT_EQ(life.died, "") << where;
      EXPECT_EQ(life.stale, 0u) << where;
      for (const Finding& f : life.findings) {
        ADD_FAILURE() << where << ": " << info(f.rule).name << ": " << f.text;
      }
      took_keys += life.evictions > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(ran, 50u);
  EXPECT_GE(took_keys, 1u);
}

}  // namespace
}  // namespace kpksim::check
