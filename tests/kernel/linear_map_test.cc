// Changes of the linear map: a run of pages is changed and flushed to its last page, and one that
// several cores hold open is changed by the first and by the last of them.

#include "sim/kernel/linear_map.h"

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

class LinearMapChange : public testing::TestWithParam<Granularity> {
 protected:
  static constexpr unsigned kOrder = 3;
  static constexpr std::uint64_t kPages = 1u << kOrder;

  // A run in the middle of twice as many pages, all of them in the TLB.
  LinearMapChange() {
    first_ = *s_.buddy.allocate(kOrder + 1, Mobility::kMovable) + kPages / 2;
    for (Pfn page = first_ - kPages / 2; page < first_ + 3 * kPages / 2; page += 1) {
      EXPECT_FALSE(store(page));
    }
  }
  mmu::Fault store(Pfn page) { return core().store64(linear_va(address_of(page)), 0); }
  cpu::Core& core() { return s_.machine.core(0); }
  void expect_run_is_refused(bool overlay) {
    for (Pfn page = first_ - kPages / 2; page < first_ + 3 * kPages / 2; page += 1) {
      const mmu::Fault fault = store(page);
      EXPECT_EQ(static_cast<bool>(fault), page >= first_ && page < first_ + kPages);
      EXPECT_EQ(fault.overlay, fault && overlay);
    }
  }

  Kernel k_{core_profile(), kernel_profile(), config("kpkeys-poe", false, "buddy", GetParam())};
  System& s_ = k_.system();
  Pfn first_;
};

TEST_P(LinearMapChange, OfAKeyReachesEachPageOfARunAtOnce) {
  s_.linear_map.set_memory_pkey(core(), first_, kPages, kPkeyPgtables);
  expect_run_is_refused(true);
}

TEST_P(LinearMapChange, OfRightsReachesEachPageOfARunAtOnce) {
  const LinearMap::Change read_only{mmu::field::kDbm.mask(), mmu::field::kAp2.mask()};
  s_.linear_map.set_memory(core(), first_, kPages, read_only);
  expect_run_is_refused(false);
}

INSTANTIATE_TEST_SUITE_P(Maps, LinearMapChange,
                         testing::Values(Granularity::kPte, Granularity::kContPte,
                                         Granularity::kBlock),
                         [](const auto& map) { return std::to_string(map.index); });

TEST(ToggledTables, AreShownByTheFirstHolderAndHiddenByTheLast) {
  for (const char* name : {"unmap-leaf", "rodata-toggle"}) {
    Config c = config(name, false, "per-page", Granularity::kPte, 2);
    c.policy.window = WindowScope::kLock;
    Kernel k(core_profile(), kernel_profile(), c);
    System& s = k.system();
    cpu::Core &one = s.machine.core(0), &other = s.machine.core(1);
    const Pfn table = s.allocator->allocate(one, TableKind::kUserLeaf);
    const auto refused = [&](cpu::Core& core) {
      return static_cast<bool>(core.store64(linear_va(address_of(table)), 0));
    };
    const auto changes = [&] { return s.linear_map.statistics().set_memory; };
    const std::uint64_t before = changes();
    EXPECT_TRUE(refused(one));
    const std::uint64_t first = s.protection->open(one, Target(table));
    EXPECT_EQ(changes(), before + 1);
    const std::uint64_t second = s.protection->open(other, Target(table));
    EXPECT_EQ(changes(), before + 1) << "open already";
    s.protection->close(one, Target(table), first, false);
    EXPECT_EQ(changes(), before + 1);
    EXPECT_FALSE(refused(other)) << "its window is still open";
    s.protection->close(other, Target(table), second, false);
    EXPECT_EQ(changes(), before + 2);
    EXPECT_TRUE(refused(one));
    EXPECT_TRUE(refused(other));
  }
}

}  // namespace
}  // namespace kpksim::kernel
