// Who can write live credentials, under each policy that protects them.

#include <functional>

#include "tests/kernel/cred_policies.h"

namespace kpksim::kernel {
namespace {

class EveryCredPolicy : public testing::TestWithParam<Policy> {
 protected:
  EveryCredPolicy()
      : k_(core_profile(), kernel_profile(), config_of(GetParam())),
        core_(k_.system().machine.core(0)),
        creds_(*k_.system().creds) {
    k_.spawn(1);
    core_.continue_at(1);
    victim_ = creds_.commit(core_, creds_.fresh(core_));
  }
  static Config config_of(const Policy& policy) {
    Config c;
    c.policy = policy;
    c.memory_bytes = 256ull << 20;
    return c;
  }
  // A store that is nobody's section. What it would have changed stays.
  bool refused() {
    const VirtAddr word = linear_va(victim_.object + 8);
    const std::uint64_t before = core_.load64(word).value;
    const mmu::Fault fault = core_.store64(word, ~before);
    if (!fault) core_.store64(word, before);
    return fault.overlay;
  }
  bool refused_in_an_interrupt() {
    Protection& protection = *k_.system().protection;
    const std::uint64_t saved = protection.exception_entry(core_);
    const bool result = refused();
    protection.exception_return(core_, saved);
    core_.eret(1);
    return result;
  }
  Pfn root() { return k_.system().linear_map.root(); }

  Kernel k_;
  cpu::Core& core_;
  Creds& creds_;
  LiveCred victim_;
};

TEST_P(EveryCredPolicy, AStrayStoreToALiveOneFaultsInEveryContextButItsOwn) {
  PageTables& tables = k_.system().tables;
  ObjectKey own(*k_.system().protection, kPkeyCred, 0, k_.system().taps);
  EXPECT_TRUE(refused());
  {
    const Window window(tables, core_, root());
    EXPECT_TRUE(refused());
    EXPECT_TRUE(refused_in_an_interrupt());
    {
      const ObjectKey::Section section(own, core_);
      EXPECT_FALSE(refused());
    }
    EXPECT_TRUE(refused());
  }
  {
    const ObjectKey::Section section(own, core_);
    EXPECT_FALSE(refused());
    EXPECT_TRUE(refused_in_an_interrupt());
    {
      const Window window(tables, core_, root());
      EXPECT_TRUE(refused());
    }
    {
      const ObjectKey::Section again(own, core_);
      EXPECT_FALSE(refused());
    }
    EXPECT_FALSE(refused());
  }
  tables.enter_lazy(core_, Target(root()));
  EXPECT_TRUE(refused());
  tables.leave_lazy(core_);
  tables.lock(core_, Target(root()), root(), cpu::Seen::kByAll);
  EXPECT_TRUE(refused());
  tables.unlock(core_, root(), cpu::Seen::kByAll);
  EXPECT_TRUE(refused());
}

// At each hook of RCU's that is in no section: the store is tried before it and after it.
class Spy final : public RcuHeads {
 public:
  Spy(Creds& creds, const std::function<bool()>& refused) : creds_(creds), refused_(refused) {}
  // Inside the section of the put that has handed the object to RCU, or in none.
  void queued(cpu::Core& core, PhysAddr last, PhysAddr added) override {
    if (added.value == 0) attack();
    creds_.queued(core, last, added);
    if (added.value == 0) attack();
  }
  void spliced(cpu::Core& core, PhysAddr last, PhysAddr next) override {
    attack();
    creds_.spliced(core, last, next);
    attack();
  }
  void called(cpu::Core& core, PhysAddr object) override {
    attack();
    creds_.called(core, object);
    attack();
  }
  void free(cpu::Core& core, PhysAddr cred) override {
    attack();
    creds_.free(core, cred);
    attack();
    ++freed;
  }
  void free_task(cpu::Core& core, PhysAddr cred) override {
    attack();
    creds_.free_task(core, cred);
    attack();
  }
  unsigned attacks = 0, got_through = 0, freed = 0;

 private:
  void attack() {
    ++attacks;
    got_through += refused_() ? 0 : 1;
  }
  Creds& creds_;
  const std::function<bool()> refused_;
};

TEST_P(EveryCredPolicy, AStrayStoreFaultsInCallbacksOfRcu_AlsoInInterruptsOfTheKernel) {
  Spy spy(creds_, [this] { return refused(); });
  k_.system().rcu.set_heads(spy);
  const auto life = [&](std::uint32_t first) {
    for (std::uint32_t id = first; id < first + 10; ++id) {
      k_.fork(1, id);
      k_.exec(id);
      k_.exit(id);
      k_.wait(1, id);
    }
  };
  life(2);
  EXPECT_GT(spy.freed, 10u);
  k_.clock().set_timer(2000);
  life(12);
  EXPECT_GT(spy.freed, 20u);
  EXPECT_GT(spy.attacks, 200u);
  EXPECT_EQ(spy.got_through, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, EveryCredPolicy, testing::ValuesIn(cred_policies()), test_name);

}  // namespace
}  // namespace kpksim::kernel
