// Claims about a linear map that several cores change at once.

#include <gtest/gtest.h>

#include "tests/kernel/cores_at_once.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr unsigned kCores = 4;

class LinearMapCores : public testing::Test {
 protected:
  void boot(const char* policy) {
    Config config;
    config.policy = parse_policy(policy);
    config.memory_bytes = (1ull << 30) + (64ull << 20);
    config.cores = kCores;
    config.interleave = true;
    k_ = std::make_unique<Kernel>(core_profile(), kernel_profile(), config);
    first_ = *system().buddy.allocate_contiguous(kPmdShift - kPageShift);
    before_ = system().linear_map.statistics();
  }
  System& system() { return k_->system(); }
  Pfn page(std::uint64_t n) const { return first_ + n; }
  void set_key(cpu::Core& core, std::uint64_t n, PkeyIndex key) {
    system().linear_map.set_memory_pkey(core, page(n), 1, key);
  }
  PkeyIndex key(std::uint64_t n) {
    return system().linear_map.key_of(system().machine.memory(), page(n));
  }
  unsigned bits(std::uint64_t n) {
    return mmu::walk(system().machine.memory(), system().machine.core(0).mmu().registers(),
                     linear_va(address_of(page(n))))
        .page_bits;
  }
  std::uint64_t waits() {
    return system().interleaving->locks.waits()[static_cast<std::size_t>(LockKind::kSplit)].waits;
  }
  // On each core, at once.
  void everywhere(const std::function<void(cpu::Core&)>& job) {
    run_at_once(system(), std::vector<std::function<void(cpu::Core&)>>(kCores, job));
  }

  std::unique_ptr<Kernel> k_;
  Pfn first_;
  LinearMapStatistics before_;
};

// Each finds the same block whole, and begins to split it; one alone does, the others have its
// pages then.
TEST_F(LinearMapCores, CoresThatSplitOneBlockAtOnceSplitItOnce) {
  for (const char* policy : {"kpkeys-poe,buddy,block", "kpkeys-poe+lazy,buddy,block"}) {
    boot(policy);
    ASSERT_EQ(bits(0), kPudShift) << policy;
    everywhere([&](cpu::Core& core) { set_key(core, 40 * core.id(), kPkeyPgtables); });
    const LinearMapStatistics& now = system().linear_map.statistics();
    EXPECT_EQ(now.split_pud - before_.split_pud, 1u) << policy;
    EXPECT_EQ(now.split_contpmd - before_.split_contpmd, 1u) << policy;
    EXPECT_EQ(now.split_pmd - before_.split_pmd, 1u) << policy;
    EXPECT_GE(waits(), kCores - 1u) << policy;
    for (std::uint64_t n = 0; n < 512; ++n) {
      const bool keyed = n % 40 == 0 && n / 40 < kCores;
      ASSERT_EQ(key(n), keyed ? kPkeyPgtables : kPkeyDefault) << policy << " page " << n;
    }
    EXPECT_EQ(k_->audit().stale_leaves + k_->audit().stale_tables, 0u) << policy;
  }
}

// One core's block is whole again, and joined, while another has split it for a page of its own.
TEST_F(LinearMapCores, WhatOneCoreJoinsIsNotWhatAnotherHasSplitAndStillChanges) {
  for (const char* policy :
       {"kpkeys-poe,buddy,block:collapse=on", "kpkeys-poe+lazy,per-page,block:collapse=on",
        "kpkeys-poe+lazy,pba,block:collapse=on"}) {
    boot(policy);
    const unsigned whole = bits(0);
    const std::uint64_t free = system().buddy.free_pages();
    everywhere([&](cpu::Core& core) {
      const std::uint64_t mine = 17 * core.id();
      for (unsigned i = 0; i < 20; ++i) {
        set_key(core, mine, kPkeyPgtables);
        EXPECT_EQ(key(mine), kPkeyPgtables);
        core.execute(300 * core.id());  // out of step
        set_key(core, mine, kPkeyDefault);
        EXPECT_EQ(key(mine), kPkeyDefault);
      }
    });
    for (std::uint64_t n = 0; n < 512; ++n) ASSERT_EQ(key(n), kPkeyDefault) << policy << " " << n;
    const LinearMapStatistics& now = system().linear_map.statistics();
    EXPECT_EQ(bits(0), whole) << policy;
    EXPECT_GT(now.joined, before_.joined) << policy;
    EXPECT_GT(waits(), 20u) << policy;
    if (std::string(policy).find("pba") == std::string::npos) {
      EXPECT_EQ(system().buddy.free_pages(), free) << policy << ": tables of splits are lost";
    }
    EXPECT_EQ(k_->audit().stale_leaves + k_->audit().stale_tables, 0u) << policy;
  }
}

}  // namespace
}  // namespace kpksim::kernel
