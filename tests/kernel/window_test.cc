// Windows of kpkeys one by one: what a stray store meets before, in and after each kind of them,
// at once. The register's write alone changes nothing: the ISB behind it does.

#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

class KeyWindow : public testing::TestWithParam<WindowScope> {
 protected:
  KeyWindow() {
    k_.spawn(1);
    const std::uint64_t at = map_and_write(k_, 1, kPageSize);
    core().continue_at(1);
    entry_ = mmu::walk(s_.machine.memory(), core().mmu().registers(), VirtAddr(at)).address;
    word_ = mmu::Descriptor{s_.machine.memory().read64(entry_)};
  }

  cpu::Core& core() { return s_.machine.core(0); }
  Target table() const { return Target(frame_of(entry_)); }
  void update() { s_.tables.update(core(), entry_, word_); }
  bool refused() {
    const mmu::Fault fault = core().store64(linear_va(entry_), word_.raw);
    EXPECT_EQ(fault.overlay, static_cast<bool>(fault));
    return static_cast<bool>(fault);
  }

  static Config config_with_window() {
    Config c = config("kpkeys-poe", false, "per-page", Granularity::kPte);
    c.policy.window = GetParam();
    return c;
  }

  Kernel k_{core_profile(), kernel_profile(), config_with_window()};
  System& s_ = k_.system();
  PhysAddr entry_;
  mmu::Descriptor word_;
};

TEST_P(KeyWindow, OfAnEntryEndsWithItsStore) {
  update();
  EXPECT_TRUE(refused());
}

TEST_P(KeyWindow, IsOpenWhenAWatcherHearsOfAStore) {
  unsigned heard = 0;
  s_.tables.watch_stores([&](cpu::Core&, PhysAddr entry) {
    EXPECT_EQ(entry, entry_);
    EXPECT_FALSE(refused());
    ++heard;
  });
  update();
  EXPECT_EQ(heard, 1u);
}

TEST_P(KeyWindow, OfALockEndsWhereItIsDropped) {
  {
    const PageTableLock lock(s_.tables, core(), table());
    EXPECT_EQ(refused(), GetParam() != WindowScope::kLock);
    update();
    EXPECT_EQ(refused(), GetParam() != WindowScope::kLock);
  }
  EXPECT_TRUE(refused());
}

TEST_P(KeyWindow, OfALazySectionEndsWithIt) {
  {
    const LazySection lazy(s_.tables, core(), table());
    EXPECT_EQ(refused(), GetParam() != WindowScope::kLazy);
    update();
    EXPECT_EQ(refused(), GetParam() != WindowScope::kLazy);
  }
  EXPECT_TRUE(refused());
}

// The barriers of a kernel mapping wait for the section's end, and the window's ISB is theirs.
TEST_P(KeyWindow, OfALazySectionWithBarriersToComeEndsWithThem) {
  ASSERT_TRUE(s_.profile.lazy_barriers);
  const std::uint64_t before = core().happened(cpu::Event::kIsb);
  {
    const LazySection lazy(s_.tables, core(), table());
    s_.tables.set_pte(core(), entry_, word_, true);
  }
  EXPECT_TRUE(refused());
  // One where the window opens, and one at the end of all; an entry's or a lock's has its own.
  const bool shared = GetParam() == WindowScope::kLazy;
  EXPECT_EQ(core().happened(cpu::Event::kIsb) - before, shared ? 2u : 3u);
}

TEST_P(KeyWindow, OfStoresThatAreNoHelpersIsOpenAtOnceAndEndsAtOnce) {
  {
    const Window window(s_.tables, core(), frame_of(entry_));
    EXPECT_FALSE(refused());
  }
  EXPECT_TRUE(refused());
}

// An interrupt in a lazy section or under a lock: what it interrupted is not open for it, and it
// leaves nothing open behind. The thread has its window back with the ERET.
TEST_P(KeyWindow, IsNotAnInterrupts) {
  const PageTableLock lock(s_.tables, core(), table());
  const LazySection lazy(s_.tables, core(), table());
  const bool was = refused();
  const std::uint64_t saved = s_.protection->exception_entry(core());
  EXPECT_TRUE(refused());
  {
    const InterruptContext softirq(s_.tables);
    EXPECT_NO_THROW(update());
    EXPECT_TRUE(refused());
    const LazySection nothing(s_.tables, core(), table());
    EXPECT_TRUE(refused());
  }
  s_.protection->exception_return(core(), saved);
  core().eret(1);
  EXPECT_EQ(refused(), was);
  EXPECT_NO_THROW(update());
}

std::string scope_name(const testing::TestParamInfo<WindowScope>& scope) {
  switch (scope.param) {
    case WindowScope::kEntry:
      return "Entry";
    case WindowScope::kLazy:
      return "Lazy";
    case WindowScope::kLock:
      return "Lock";
  }
  return {};
}

INSTANTIATE_TEST_SUITE_P(Scopes, KeyWindow,
                         testing::Values(WindowScope::kEntry, WindowScope::kLazy,
                                         WindowScope::kLock),
                         scope_name);

}  // namespace
}  // namespace kpksim::kernel
