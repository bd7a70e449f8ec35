// A new generation of ASIDs: what runs on a core keeps its number, however often the others begin a
// new one meanwhile.

#include "sim/kernel/asid.h"

#include <gtest/gtest.h>

#include <array>

namespace kpksim::kernel {
namespace {

constexpr unsigned kBits = 2;  // 1, 2 and 3

TEST(Asids, WhatRunsKeepsItsNumberWhenANewGenerationBegins_AndInTheNextOnesToo) {
  AsidAllocator asids(kBits, 2);
  AddressSpace stays;
  asids.switch_to(stays, 0);
  const Asid number = stays.asid;
  const std::uint64_t first = asids.generation();
  while (asids.generation() < first + 4) {
    AddressSpace other;
    asids.switch_to(other, 1);
    EXPECT_NE(other.asid, number) << "core 0 still runs with it";
  }
  EXPECT_TRUE(asids.flush_pending(0));
  EXPECT_TRUE(asids.switch_to(stays, 0).flush) << "entries of older generations";
  EXPECT_EQ(stays.asid, number);
  EXPECT_FALSE(asids.switch_to(stays, 0).flush);
}

TEST(Asids, WhatDoesNotRunGivesItsNumberUp) {
  AsidAllocator asids(kBits, 2);
  std::array<AddressSpace, 3> gone;
  for (AddressSpace& space : gone) asids.switch_to(space, 1);
  AddressSpace other;
  EXPECT_TRUE(asids.switch_to(other, 1).flush);
  EXPECT_EQ(other.asid, gone[0].asid);
  EXPECT_FALSE(asids.valid(gone[0]));
}

}  // namespace
}  // namespace kpksim::kernel
