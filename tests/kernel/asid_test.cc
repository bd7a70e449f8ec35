// A new generation of ASIDs: what runs on a core keeps its number, however often the others begin a
// new one meanwhile.

#include "sim/kernel/asid.h"

#include <gtest/gtest.h>

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr unsigned kBits = 2;  // 1, 2 and 3

class Asids : public testing::Test {
 protected:
  std::unique_ptr<Mm> mm() {
    System& s = k_.system();
    return std::make_unique<Mm>(s, cache_, s.machine.core(0));
  }

  Kernel k_{core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte)};
  PageCache cache_;
  AsidAllocator asids_{kBits, 2};
};

TEST_F(Asids, WhatRunsKeepsItsNumberWhenANewGenerationBegins_AndInTheNextOnesToo) {
  const auto stays = mm();
  asids_.switch_to(*stays, 0);
  const Asid number = stays->asid;
  const std::uint64_t first = asids_.generation();
  std::vector<std::unique_ptr<Mm>> others;
  while (asids_.generation() < first + 4) {
    others.push_back(mm());
    asids_.switch_to(*others.back(), 1);
    EXPECT_NE(others.back()->asid, number) << "core 0 still runs with it";
  }
  EXPECT_TRUE(asids_.flush_pending(0));
  EXPECT_TRUE(asids_.switch_to(*stays, 0)) << "entries of older generations";
  EXPECT_EQ(stays->asid, number);
  EXPECT_FALSE(asids_.switch_to(*stays, 0));
}

TEST_F(Asids, WhatDoesNotRunGivesItsNumberUp) {
  const auto gone = mm(), next = mm(), last = mm(), other = mm();
  for (const auto* m : {&gone, &next, &last}) asids_.switch_to(**m, 1);
  EXPECT_TRUE(asids_.switch_to(*other, 1));
  EXPECT_EQ(other->asid, gone->asid);
  EXPECT_FALSE(asids_.valid(*gone));
}

}  // namespace
}  // namespace kpksim::kernel
