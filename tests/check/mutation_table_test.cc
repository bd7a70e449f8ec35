// Every site of fault injection is skipped, delayed and swapped with the next operation, one after
// the other: the sanitizer finds what follows, or the simulated kernel dies of it, or
// docs/mutations.md says why nothing can follow. The tables there are what these tests find.

#include "tests/check/mutation_table.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace kpksim::check {
namespace {

// What a design leaves open is found too: rodata-toggle marks no tables of the linear map,
// unmap-leaf last tables alone, and per-page no tables of splits.
TEST(Mutations, NothingIsFoundInAWholeLife_ButForWhatTheDesignLeavesOpen) {
  for (const Surroundings& life : lives()) {
    const Outcome o = whole_life(life);
    EXPECT_EQ(o.died, "") << name_of(life);
    const std::string policy = life.policy;
    const bool leaves_open = policy.starts_with("rodata-toggle") ||
                             policy.starts_with("unmap-leaf") || policy.ends_with("per-page,block");
    for (const Finding& f : o.findings) {
      const bool known = leaves_open && f.rule == Rule::kWritableTable;
      EXPECT_TRUE(known) << name_of(life) << ": " << f.text << "\n"
                         << fmt::format("{}", fmt::join(f.history, "\n"));
    }
  }
}

TEST(Mutations, EverySiteThatIsSkippedIsFoundOrProvedHarmless) {
  const std::vector<Row> rows = make_table(kernel::FaultAction::kSkip, harmless_if_skipped());
  EXPECT_GE(rows.size(), 80u);
  expect_table(rows, harmless_if_skipped());
}

TEST(Mutations, EverySiteThatIsDelayedIsFoundOrProvedHarmless) {
  const std::vector<Row> rows = make_table(kernel::FaultAction::kDelay, harmless_if_delayed());
  EXPECT_GE(rows.size(), 80u);
  expect_table(rows, harmless_if_delayed());
}

TEST(Mutations, EverySiteThatIsSwappedIsFoundOrProvedHarmless) {
  const std::vector<Row> rows = make_table(kernel::FaultAction::kSwap, harmless_if_swapped());
  EXPECT_GE(rows.size(), 80u);
  expect_table(rows, harmless_if_swapped());
}

}  // namespace
}  // namespace kpksim::check
