// What soft mode let pass is in the document and under the table; without soft mode neither it nor
// the parameter is named.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/report/result.h"
#include "sim/report/table.h"
#include "tests/kernel/fixture.h"

namespace kpksim::report {
namespace {

// A kernel under `policy` with a process; and a word of its root table in the linear map.
struct World {
  explicit World(const char* policy)
      : k(kernel::core_profile(), kernel::kernel_profile(), with(policy)) {
    k.spawn(1);
    const mmu::Registers& regs = k.system().machine.core(0).mmu().registers();
    const PhysAddr root(regs.ttbr0 & mmu::field::kOutputAddress.mask());
    word = kernel::linear_va(root + 255 * 8).value;
  }
  static kernel::Config with(const char* policy) {
    kernel::Config c;
    c.policy = kernel::parse_policy(policy);
    c.memory_bytes = 256ull << 20;
    return c;
  }
  nlohmann::ordered_json document() const { return run_document({}, k, {}, 0); }

  kernel::Kernel k;
  std::uint64_t word = 0;
};

TEST(Violations, AreInTheDocumentAndUnderTheTable) {
  World w("kpkeys-poe:soft=on,per-page,pte");
  EXPECT_EQ(w.document()["violations"], nlohmann::ordered_json({{"count", 0}}));
  w.k.memory().write(w.word);
  const nlohmann::ordered_json run = w.document();
  // A write (bit 6) of level 3 that a key forbids (bit 38), from EL1.
  const nlohmann::ordered_json expected = {{"count", 1},
                                           {"first",
                                            {{"address", fmt::format("{:#x}", w.word)},
                                             {"core", 0},
                                             {"cause", "vmalloc"},
                                             {"syndrome", "0x409600004f"}}}};
  EXPECT_EQ(run["violations"], expected);
  EXPECT_EQ(run["configuration"]["protection"]["soft"], "on");
  const std::string table = compare_table({{"runs", {run}}}, {});
  EXPECT_NE(table.find("1 violation, the first a store to 0x"), std::string::npos) << table;
}

// Keys, and an allocator that marks no page: the run is not what somebody who compares keys wants.
TEST(ProtectsNothing, IsInTheDocumentAndUnderTheTable) {
  const nlohmann::ordered_json open = World("kpkeys-poe,buddy,pte").document();
  EXPECT_TRUE(open["configuration"].value("protects_nothing", false));
  EXPECT_NE(compare_table({{"runs", {open}}}, {}).find("protects nothing"), std::string::npos);
  for (const char* policy : {"kpkeys-poe,per-page,pte", "none,buddy,pte"}) {
    const nlohmann::ordered_json run = World(policy).document();
    EXPECT_FALSE(run["configuration"].contains("protects_nothing")) << policy;
    EXPECT_EQ(compare_table({{"runs", {run}}}, {}).find("protects nothing"), std::string::npos);
  }
}

TEST(Violations, AreNotNamedWithoutSoftMode) {
  const nlohmann::ordered_json run = World("kpkeys-poe,per-page,pte").document();
  EXPECT_FALSE(run.contains("violations"));
  EXPECT_FALSE(run["configuration"]["protection"].contains("soft"));
  EXPECT_TRUE(run["configuration"]["protection"].contains("series"));
}

}  // namespace
}  // namespace kpksim::report
