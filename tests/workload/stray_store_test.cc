// A workload's stray store to a page table: refused where tables are protected, let pass and
// counted in soft mode, and without trace where nothing protects.

#include <gtest/gtest.h>

#include <optional>

#include "sim/base/error.h"
#include "sim/workload/execution.h"
#include "tests/kernel/fixture.h"

namespace kpksim::workload {
namespace {

class StrayStore : public ::testing::Test {
 protected:
  // A kernel under `policy`, whose task 1 has used the first page of region 7.
  void boot(const char* policy) {
    kernel::Config config;
    config.policy = kernel::parse_policy(policy);
    config.memory_bytes = 256ull << 20;
    kernel_.emplace(kernel::core_profile(), kernel::kernel_profile(), config);
    kernel_->spawn(1);
    x_.emplace(*kernel_);
    Operation map = of(OpKind::kMmap);
    map.prot = kProtRead | kProtWrite;
    map.length = 4ull << 30;
    x_->execute(map);
    Operation small = of(OpKind::kMadvise);  // a huge page has no table below its pmd
    small.advice = Advice::kNoHugepage;
    small.length = map.length;
    x_->execute(small);
    store_of_a_program();
  }
  void store(unsigned level, std::uint64_t offset = 0, bool refused = false) {
    Operation op = of(OpKind::kStrayStore);
    op.refused = refused;
    op.count = level;
    op.address = offset;
    x_->execute(op);
  }
  void store_of_a_program() {
    Operation touch = of(OpKind::kTouch);
    touch.write = true;
    touch.length = 1;
    x_->execute(touch);
  }
  static Operation of(OpKind kind) {
    Operation op;
    op.kind = kind;
    op.task = 1;
    op.region = 7;
    return op;
  }
  std::uint64_t let_pass() const { return kernel_->system().protection->statistics().violations; }
  std::uint64_t events(cpu::Event event) {
    return kernel_->system().machine.core(0).counters().total(event);
  }

  std::optional<kernel::Kernel> kernel_;
  std::optional<Execution> x_;
};

constexpr unsigned kPte = 3, kPmd = 2, kPgd = 0;

TEST_F(StrayStore, IsRefusedAtEachLevelThatIsProtected) {
  for (const char* policy :
       {"kpkeys-poe,per-page,pte", "rodata-toggle,per-page,pte", "hypervisor,per-page,pte"}) {
    for (const unsigned level : {kPgd, kPmd, kPte}) {
      boot(policy);
      try {
        store(level);
        ADD_FAILURE() << policy << ": no fault at level " << level;
      } catch (const kernel::StrayStoreRefused& oops) {
        EXPECT_TRUE(oops.fault) << policy;
      }
    }
  }
}

// copy_to_kernel_nofault(): an exception from EL1, after which the call goes on.
TEST_F(StrayStore, ThatMustBeRefusedIsSurvived) {
  boot("kpkeys-poe,per-page,pte");
  const std::uint64_t before = events(cpu::Event::kFaultOverlay);
  for (const unsigned level : {kPgd, kPmd, kPte}) store(level, 0, true);
  EXPECT_EQ(events(cpu::Event::kFaultOverlay), before + 3);
  store_of_a_program();
  EXPECT_THROW(store(kPte), kernel::StrayStoreRefused);
}

TEST_F(StrayStore, ThatMustBeRefusedAndIsNotIsAnError) {
  for (const char* policy : {"none,buddy,pte", "kpkeys-poe:soft=on,per-page,pte"}) {
    boot(policy);
    EXPECT_THROW(store(kPte, 0, true), kernel::StrayStoreDone) << policy;
  }
}

TEST_F(StrayStore, AnAccessOfAProgramThatMustBeRefusedIsSurvivedToo) {
  boot("none,buddy,pte");
  Operation touch = of(OpKind::kTouch);
  touch.length = 3 * kPageSize;
  touch.refused = true;
  EXPECT_THROW(x_->execute(touch), InputError);  // it is readable
  touch.execute = true;
  for (const bool by_kernel : {false, true}) {
    touch.by_kernel = by_kernel;
    EXPECT_NO_THROW(x_->execute(touch));
  }
  store_of_a_program();
}

TEST_F(StrayStore, IsCountedOnceForEachTableInSoftMode) {
  boot("kpkeys-poe:soft=on,per-page,pte");
  store(kPte);
  store(kPte, kPageSize);  // in the same table, which is an ordinary page now
  EXPECT_EQ(let_pass(), 1u);
  store(kPmd);
  EXPECT_EQ(let_pass(), 2u);
}

TEST_F(StrayStore, ChangesNothingWhereNothingProtects) {
  boot("none,buddy,pte");
  const std::uint64_t before = events(cpu::Event::kFaultTranslation);
  for (const unsigned level : {kPgd, kPmd, kPte}) store(level);
  store_of_a_program();
  EXPECT_EQ(events(cpu::Event::kFaultTranslation), before);
}

TEST_F(StrayStore, NeedsATableThatIsThere) {
  boot("none,buddy,pte");
  EXPECT_THROW(store(kPte, 3ull << 30), InputError);
  EXPECT_NO_THROW(store(kPgd, 3ull << 30));
}

}  // namespace
}  // namespace kpksim::workload
