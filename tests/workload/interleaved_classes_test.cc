// Protected classes beside page tables on cores that run at once.

#include <gtest/gtest.h>

#include <memory>

#include "sim/base/error.h"
#include "sim/kernel/object/keyed_classes.h"
#include "tests/workload/interleaved_outcome.h"

namespace kpksim::workload {
namespace {

kernel::Config with_linux_classes(pkrs::Strategy strategy, unsigned budget, unsigned cores) {
  kernel::Config config =
      interleaved("kpkeys-poe", false, "per-page", kernel::Granularity::kPte, cores);
  config.memory_bytes = 4ull << 30;
  const kernel::Classes classes =
      kernel::read_classes(kpksim::test::source_path("classes/linux.json"));
  const std::vector<std::uint64_t> alike(classes.contexts.size(), 1);
  config.classes = std::make_shared<const kernel::ClassPlan>(kernel::ClassPlan{
      classes, false, pkrs::assign(kernel::demand_of(classes, alike, 1 << 20), strategy, budget)});
  return config;
}

struct ClassRun {
  kernel::ClassStatistics all;
  std::vector<std::uint64_t> by_context;
  std::vector<std::uint64_t> registers;  // by core, at the end
  std::uint64_t rest = 0;                // what they are at rest
};
ClassRun class_run(const Workload& workload, const kernel::Config& config) {
  kernel::Kernel k(kernel::core_profile(), kernel::kernel_profile(), config);
  ClassRun out;
  out.rest = k.system().machine.core(0).mrs_por_el1();
  Driver(k).run(workload);
  const kernel::KeyedClasses& classes = *k.system().classes;
  out.all = classes.statistics();
  for (const auto& use : classes.uses()) out.by_context.push_back(use.entries);
  for (unsigned c = 0; c < config.cores; ++c) {
    out.registers.push_back(k.system().machine.core(c).mrs_por_el1());
  }
  return out;
}

// Contexts are entered as often as where cores take turns, and every access in them is allowed: a
// refused one would be an oops. No register is left open.
TEST(InterleavedClasses, ContextsOnSeveralCoresAreEnteredAsInTurns) {
  for (const unsigned budget : {6u, 32u}) {
    const auto strategy =
        budget == 32 ? pkrs::Strategy::kDedicated : pkrs::Strategy::kSharedBalanced;
    kernel::Config config = with_linux_classes(strategy, budget, 4);
    Workload workload = shipped("fork-exec-server");
    const ClassRun at_once = class_run(workload, config);
    config.interleave = false;
    const ClassRun turns = class_run(workload, config);
    EXPECT_GT(at_once.all.entries, 1000u);
    EXPECT_GT(at_once.all.switches, 0u);
    // Entries by switches of tasks and by faults depend on what else runs; by calls they do not.
    const std::vector<kernel::ClassContext>& contexts = config.classes->classes.contexts;
    unsigned compared = 0;
    for (std::size_t i = 1; i < contexts.size(); ++i) {
      const auto& micro = contexts[i].micro_entries;
      const auto entered_at = [&](kernel::Trigger t) {
        return micro[static_cast<std::size_t>(t)] != 0;
      };
      if (entered_at(kernel::Trigger::kSwitch) || entered_at(kernel::Trigger::kPageFault)) continue;
      EXPECT_EQ(at_once.by_context[i], turns.by_context[i]) << contexts[i].name;
      compared += turns.by_context[i] != 0 ? 1 : 0;
    }
    EXPECT_GT(compared, 0u);
    for (const std::uint64_t value : at_once.registers) EXPECT_EQ(value, at_once.rest);
  }
}

TEST(InterleavedClasses, OnOneCoreAllIsAsInTurns) {
  kernel::Config config = with_linux_classes(pkrs::Strategy::kDedicated, 32, 1);
  const Workload workload = shipped("fork-exec-server");
  const ClassRun at_once = class_run(workload, config);
  config.interleave = false;
  const ClassRun turns = class_run(workload, config);
  EXPECT_EQ(at_once.by_context, turns.by_context);
  EXPECT_EQ(at_once.all.switches, turns.all.switches);
  EXPECT_EQ(at_once.all.stores, turns.all.stores);
}

TEST(InterleavedClasses, VirtualisedKeysAreRefusedWithTheReason) {
  kernel::Config config = with_linux_classes(pkrs::Strategy::kVirtualised, 12, 2);
  ASSERT_EQ(config.classes->assignment.refusal, "");
  try {
    kernel::check(config);
    ADD_FAILURE() << "nothing is said";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("virtualised keys cannot run on interleaved cores"),
              std::string::npos)
        << e.what();
  }
  config.interleave = false;
  EXPECT_NO_THROW(kernel::check(config));
}

}  // namespace
}  // namespace kpksim::workload
