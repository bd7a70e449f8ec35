// Credentials as a class of `kpksim keys`: their whole life runs, in slabs with the key that an
// assignment gives the class, and in sections with the rights that it gives their context.

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/kernel/object/keyed_classes.h"
#include "tests/kernel/cred_classes.h"

namespace kpksim::kernel {
namespace {

class KeyedWorld {
 public:
  explicit KeyedWorld(const Config& config) : k_(core_profile(), kernel_profile(), config) {}
  Kernel& kernel() { return k_; }
  System& system() { return k_.system(); }
  KeyedClasses& classes() { return *system().classes; }
  cpu::Core& core() { return system().machine.core(0); }
  // Credentials of nobody's, which stay.
  void make_victim() {
    core().continue_at(1);
    victim_ = system().creds->commit(core(), system().creds->fresh(core()));
  }
  // Does a store to the victim that is in no section of its own get through? It changes nothing.
  bool stray(cpu::Core& core) {
    const VirtAddr word = linear_va(victim_.object + 8);
    const std::uint64_t before = core.load64(word).value;
    if (const mmu::Fault fault = core.store64(word, ~before)) {
      EXPECT_TRUE(fault.overlay) << "something else than the key refuses it";
      return false;
    }
    core.store64(word, before);
    return true;
  }
  std::map<unsigned, std::uint64_t> pages_by_key() {
    std::map<unsigned, std::uint64_t> out;
    const Buddy& buddy = system().buddy;
    for (std::uint64_t i = 0; i < buddy.size(); ++i) {
      ++out[system().linear_map.key_of(system().machine.memory(), buddy.first() + i).value];
    }
    out.erase(0);
    return out;
  }
  // By the key that each class has now: its own pages, or its slabs.
  std::map<unsigned, std::uint64_t> pages_of_classes() {
    std::map<unsigned, std::uint64_t> out;
    const std::size_t n = classes().plan().classes.classes.size();
    for (std::size_t of = 1; of < n; ++of) {
      const std::uint64_t pages =
          of == kCredClass ? classes().bytes(of) / kPageSize : classes().pages(of).pages();
      if (pages != 0) out[classes().key(of).value] += pages;
    }
    return out;
  }
  // Has each page the key of its class, and no other page one? Page tables' own are not counted.
  bool consistent() {
    auto expected = pages_of_classes(), found = pages_by_key();
    expected[kPkeyPgtables.value] = found[kPkeyPgtables.value];
    return expected == found;
  }

 private:
  Kernel k_;
  LiveCred victim_;
};

// The rights that a context has by its assignment, without registers.
bool cred_promised(const KeyedClasses& classes, std::size_t context) {
  const ClassPlan& plan = classes.plan();
  if (!plan.assignment.virtualised) return plan.assignment.reaches[context][kCredClass];
  for (const std::size_t of : plan.classes.contexts[context].writes) {
    if (classes.key(of) == classes.key(kCredClass)) return true;
  }
  return false;
}

TEST(KeyedCred, WithAKeyOfTheirOwnTheyTakeWhatCredOnTakes) {
  for (const std::uint64_t timer : {0, 1500}) {
    Config of_policy = without_classes();
    of_policy.policy.protection.parameters = {{"cred", "on"}};
    KeyedWorld policy(of_policy);
    const Classes classes = with_cred(0);
    KeyedWorld keys(with_keys(classes, assigned(classes, pkrs::Strategy::kDedicated, 8)));
    for (KeyedWorld* w : {&policy, &keys}) {
      w->kernel().clock().set_timer(timer);
      live_as_others(w->kernel());
    }
    const CredStatistics a = policy.system().creds->statistics(),
                         b = keys.system().creds->statistics();
    EXPECT_GT(a.sections, 200u);
    for (const auto& s : kCredStatistics) EXPECT_EQ(a.*s.member, b.*s.member) << s.name;
    EXPECT_EQ(policy.core().windows().count, keys.core().windows().count);
    // An exception puts the register back whether it has changed or not; by contexts only if so.
    if (timer != 0) continue;
    for (std::size_t e = 0; e < cpu::kEvents; ++e) {
      const auto event = static_cast<cpu::Event>(e);
      EXPECT_EQ(policy.core().happened(event), keys.core().happened(event)) << e;
    }
    EXPECT_EQ(keys.classes().statistics().entries, b.sections);
    EXPECT_EQ(keys.classes().statistics().switches, b.switches);
    EXPECT_EQ(policy.pages_by_key(), keys.pages_by_key());
  }
}

TEST(KeyedCred, AStrayStoreGetsThroughWhereTheAssignmentSaysAndNowhereElse) {
  const Classes classes = with_cred(6);
  std::size_t ran = 0;
  for (const unsigned budget : {2u, 3u, 4u, 5u, 6u, 8u, 9u, 16u, 17u, 128u}) {
    for (std::size_t s = 0; s < pkrs::kStrategies; ++s) {
      const auto strategy = static_cast<pkrs::Strategy>(s);
      const pkrs::Assignment a = assigned(classes, strategy, budget);
      if (!a.refusal.empty()) continue;
      ++ran;
      KeyedWorld w(with_keys(classes, a));
      w.make_victim();
      w.kernel().spawn(1);
      std::map<std::size_t, unsigned> seen;
      w.classes().at_each_entry([&](cpu::Core& core, std::size_t context) {
        const bool should = context == kCredContext || cred_promised(w.classes(), context);
        EXPECT_EQ(w.stray(core), should)
            << name_of(strategy) << " of " << budget << ": in context " << context;
        ++seen[context];
      });
      for (std::uint32_t id = 2; id < 5; ++id) {
        w.kernel().fork(1, id);
        for (const CallKind kind : {CallKind::kOpen, CallKind::kStat, CallKind::kRead,
                                    CallKind::kSetCred, CallKind::kRead}) {
          w.kernel().system_call(id, {.kind = kind, .components = 1});
          w.core().continue_at(1);
          EXPECT_FALSE(w.stray(w.core())) << name_of(strategy) << " of " << budget << ": at rest";
          const Window window(w.system().tables, w.core(), w.system().linear_map.root());
          EXPECT_EQ(w.stray(w.core()), cred_promised(w.classes(), 0))
              << name_of(strategy) << " of " << budget << ": in a window";
        }
      }
      EXPECT_GT(seen[kCredContext], 10u);
      EXPECT_GE(seen.size(), 4u);
    }
  }
  EXPECT_GT(ran, 40u);
}

TEST(KeyedCred, EvictedTheyAreKeyedAnew_AndBroughtBackByTheNextSection) {
  const Classes classes = with_cred(3);
  // Key 0, page tables, the parked, and two that go around.
  KeyedWorld w(with_keys(classes, assigned(classes, pkrs::Strategy::kVirtualised, 5)));
  Kernel& k = w.kernel();
  w.make_victim();
  k.spawn(1);
  for (std::uint32_t id = 2; id < 60; ++id) k.fork(1, id);
  const PkeyIndex parked = w.classes().plan().assignment.parked;
  const auto keys_of_slabs = [&] { return w.pages_by_key()[w.classes().key(kCredClass).value]; };
  const auto call = [&](CallKind kind) { k.system_call(1, {.kind = kind, .components = 1}); };
  EXPECT_NE(w.classes().key(kCredClass), parked);
  const std::uint64_t slabs = w.classes().bytes(kCredClass) / kPageSize;
  EXPECT_GT(slabs, 2u);
  EXPECT_EQ(keys_of_slabs(), slabs);
  // Neither of the two asks for credentials, so that theirs goes at last.
  for (int i = 0; i < 2; ++i) {
    call(CallKind::kStat);
    call(CallKind::kRead);
  }
  EXPECT_EQ(w.classes().key(kCredClass), parked);
  EXPECT_EQ(w.pages_by_key(), [&] {
    auto all = w.pages_of_classes();
    all[kPkeyPgtables.value] += w.pages_by_key()[kPkeyPgtables.value];
    return all;
  }());
  w.core().continue_at(1);
  EXPECT_FALSE(w.stray(w.core()));
  const std::uint64_t keyed = w.classes().statistics().keyed_pages;
  call(CallKind::kSetCred);
  EXPECT_NE(w.classes().key(kCredClass), parked);
  EXPECT_GE(w.classes().statistics().keyed_pages - keyed, slabs + 2);  // and a class of two pages
  EXPECT_EQ(keys_of_slabs(), w.classes().bytes(kCredClass) / kPageSize);
}

TEST(KeyedCred, WithoutKeysTheSameLifeRuns_AndNoSectionIsPaidFor) {
  const Classes classes = with_cred(2);
  const pkrs::Assignment a = assigned(classes, pkrs::Strategy::kDedicated, 8);
  KeyedWorld with(with_keys(classes, a)), without(with_keys(classes, a, true));
  live_as_others(with.kernel());
  live_as_others(without.kernel());
  const CredStatistics keys = with.system().creds->statistics(),
                       none = without.system().creds->statistics();
  EXPECT_EQ(none.committed, keys.committed);
  EXPECT_EQ(none.freed, keys.freed);
  EXPECT_EQ(none.slabs_keyed, keys.slabs_keyed);
  EXPECT_EQ(none.sections, 0u);
  EXPECT_EQ(without.classes().statistics().entries, with.classes().statistics().entries);
  EXPECT_EQ(without.classes().statistics().switches, 0u);
  EXPECT_EQ(without.pages_of_classes().size(), 1u);  // all have key 0
  using cpu::Event;
  const auto more = [&](Event e) { return with.core().happened(e) - without.core().happened(e); };
  EXPECT_GT(more(Event::kMsrPor), 2 * keys.committed);
  EXPECT_EQ(more(Event::kInstruction) % kernel_profile().path.set_memory_pkey, 0u);
}

TEST(KeyedCred, WhatOthersReachOfThemIsTheirSlabs) {
  Classes classes = with_cred(1);
  classes.classes[kCredClass].objects = 50;  // of tasks that nobody sees: three slabs of 21
  // Key 0, that of page tables, and one for both of the others.
  KeyedWorld w(with_keys(classes, assigned(classes, pkrs::Strategy::kSharedBalanced, 3)));
  ASSERT_EQ(w.classes().key(kCredClass), w.classes().key(2));
  EXPECT_EQ(w.system().creds->statistics().live, 50u);
  EXPECT_EQ(w.classes().statistics().entries, 0u) << "boot is counted";
  w.kernel().spawn(1);
  w.kernel().system_call(1, {.kind = CallKind::kOpen, .components = 1});
  ASSERT_EQ(w.classes().bytes(kCredClass), 3 * kPageSize);
  const auto uses = w.classes().uses();
  EXPECT_GT(uses[2].millicycles, 0u);
  EXPECT_EQ(uses[2].over, pkrs::Cost{uses[2].millicycles} * 3 * kPageSize);
  EXPECT_GT(uses[kCredContext].millicycles, 0u);
  EXPECT_EQ(uses[kCredContext].over, pkrs::Cost{uses[kCredContext].millicycles} * 6400);
}

// Windows are counted by the core too: there by the register's bits for page tables, here by who
// switches.
TEST(KeyedCred, TheTimeInWindowsAndContextsIsCountedOnce) {
  const Classes classes = with_cred(3);
  for (const auto& [strategy, budget] : {std::pair{pkrs::Strategy::kDedicated, 8u},
                                         {pkrs::Strategy::kVirtualised, 5u},
                                         {pkrs::Strategy::kSharedBalanced, 2u}}) {
    KeyedWorld w(with_keys(classes, assigned(classes, strategy, budget)));
    const std::uint64_t at_boot = w.core().elapsed().open, windows = w.core().windows().count;
    live_as_others(w.kernel());
    const auto uses = w.classes().uses();
    const std::uint64_t opened = w.core().elapsed().open - at_boot;
    std::uint64_t open = 0;
    // With one key for all of them each context opens page tables.
    for (const auto& use : uses) open += budget == 2 || &use == &uses[0] ? use.millicycles : 0;
    EXPECT_EQ(open, opened) << name_of(strategy) << " of " << budget;
    EXPECT_GT(uses[kCredContext].millicycles, 0u);
    if (budget == 2) continue;
    EXPECT_EQ(uses[0].entries, w.core().windows().count - windows);
  }
}

// Slabs come and go while their number is what a context reaches: the mean is over time, not what
// is there at the end.
TEST(KeyedCred, WhatWindowsReachOfThemIsWhatThereWasAtTheTime) {
  const Classes classes = with_cred(0);
  // One key for both, so that a window can write credentials.
  KeyedWorld w(with_keys(classes, assigned(classes, pkrs::Strategy::kSharedBalanced, 2)));
  w.kernel().spawn(1);
  const std::uint64_t before = w.classes().bytes(kCredClass);
  for (std::uint32_t id = 2; id < 400; ++id) w.kernel().fork(1, id);
  const std::uint64_t most = w.classes().bytes(kCredClass);
  w.kernel().exit_all();
  w.kernel().clock().wait_for_rcu();
  EXPECT_LT(w.classes().bytes(kCredClass), most);
  const auto windows = w.classes().uses()[0];
  const auto mean = static_cast<std::uint64_t>(windows.over / windows.millicycles);
  EXPECT_GT(mean, before);
  EXPECT_LT(mean, most);
}

TEST(KeyedCred, ASlabThatIsGivenBackIsAnOrdinaryPageAgain) {
  KeyedWorld w(with_keys(with_cred(1), assigned(with_cred(1), pkrs::Strategy::kDedicated, 8)));
  w.kernel().spawn(1);
  for (std::uint32_t id = 2; id < 400; ++id) w.kernel().fork(1, id);
  w.kernel().exit_all();
  w.kernel().clock().wait_for_rcu();
  EXPECT_GT(w.system().creds->statistics().slabs_unkeyed, 5u);
  EXPECT_TRUE(w.consistent());
}

// Interrupts come while callbacks wait, which write credentials: in a lazy MMU section too, and in
// the middle of the keying of slabs.
TEST(KeyedCred, CallbacksOfRcuBringTheirKeyBackInWhateverTheyInterrupt) {
  const Classes classes = with_cred(3);
  for (const std::uint64_t timer : {97, 233, 700, 1500, 2500}) {
    Config config = with_keys(classes, assigned(classes, pkrs::Strategy::kVirtualised, 5));
    config.policy.window = WindowScope::kLazy;
    KeyedWorld w(config);
    Kernel& k = w.kernel();
    k.spawn(1);
    const std::uint64_t at = map_and_write(k, 1, 2 << 20);
    const auto evict = [&] {
      for (const CallKind kind : {CallKind::kStat, CallKind::kRead, CallKind::kStat}) {
        k.system_call(1, {.kind = kind, .components = 1});
      }
    };
    // With few interrupts, so that callbacks wait, and then with many.
    const auto interrupted = [&](const auto& what) {
      evict();
      k.clock().set_timer(timer);
      what();
      k.clock().set_timer(20'000);
    };
    std::uint32_t last = 1, first = 2;
    const auto end_first = [&] {
      k.exit(first);
      k.wait(1, first++);
    };
    k.clock().set_timer(20'000);
    for (unsigned round = 0; round < 2; ++round) {
      for (unsigned i = 0; i < 200; ++i) {
        interrupted([&] { k.fork(1, ++last); });
        if (i % 3 == 0) end_first();
      }
      while (first + 20 < last) {
        end_first();
        if (first % 8 == 0) interrupted([&] { k.mprotect(1, at, 2 << 20, true, false, false); });
        if (first % 8 == 4) interrupted(end_first);
      }
      EXPECT_TRUE(w.consistent()) << timer;
    }
    k.exit_all();
    k.clock().wait_for_rcu();
    EXPECT_TRUE(w.consistent()) << timer;
    EXPECT_EQ(w.system().creds->statistics().live, 0u);
    EXPECT_GT(w.classes().statistics().evictions, 20u);
    EXPECT_GT(w.system().creds->statistics().slabs_unkeyed, 0u);
  }
}

// Tasks come and go while timer interrupts run callbacks of RCU in contexts, and in the middle of
// another class's keying.
RC_GTEST_PROP(KeyedCredProperty, InARandomLifeTheirKeyIsTheirs_AndNoneIsLeftBehind, ()) {
  const Classes classes = with_cred(*rc::gen::inRange<std::size_t>(1, 6));
  const auto strategy = *rc::gen::element(
      pkrs::Strategy::kVirtualised, pkrs::Strategy::kVirtualised, pkrs::Strategy::kSharedBalanced,
      pkrs::Strategy::kHierarchical, pkrs::Strategy::kSharedGraph, pkrs::Strategy::kOptimal,
      pkrs::Strategy::kDedicated);
  const pkrs::Assignment a =
      assigned(classes, strategy, *rc::gen::element(2u, 3u, 5u, 5u, 6u, 8u, 17u, 128u));
  if (!a.refusal.empty()) return;
  KeyedWorld w(with_keys(classes, a));
  Kernel& k = w.kernel();
  w.make_victim();
  k.clock().set_timer(*rc::gen::element(0, 100, 300, 1000, 5000));
  k.spawn(1);
  unsigned wrong = 0;
  w.classes().at_each_entry([&](cpu::Core& core, std::size_t context) {
    wrong +=
        w.stray(core) == (context == kCredContext || cred_promised(w.classes(), context)) ? 0 : 1;
  });
  std::uint32_t last = 1;
  std::vector<std::uint32_t> tasks;
  const auto steps = *rc::gen::container<std::vector<std::pair<unsigned, unsigned>>>(
      60, rc::gen::pair(rc::gen::inRange(0u, 9u), rc::gen::inRange(0u, 1000u)));
  for (const auto& [what, n] : steps) {
    const std::uint32_t id = tasks.empty() ? 1 : tasks[n % tasks.size()];
    constexpr CallKind kKinds[] = {CallKind::kOpen, CallKind::kStat, CallKind::kRead,
                                   CallKind::kSetCred};
    if (what <= 1) {
      k.fork(id, ++last);
      tasks.push_back(last);
    } else if (what == 2) {
      k.exec(id);
    } else if (what == 3 && !tasks.empty()) {
      k.exit(id);
      std::erase(tasks, id);
    } else if (what == 4) {
      k.memory().pressure();
    } else {
      k.system_call(id, {.kind = kKinds[what % 4], .components = 1});
    }
  }
  RC_ASSERT(wrong == 0u);
  k.clock().set_timer(0);
  RC_ASSERT(w.consistent());
  k.exit_all();
  k.clock().wait_for_rcu();
  RC_ASSERT(w.consistent());
  const CredStatistics end = w.system().creds->statistics();
  RC_ASSERT(end.live == 1u);  // the victim
  RC_ASSERT(end.committed == end.freed + 1);
  const AuditResult audit = k.audit();
  RC_ASSERT(audit.stale_leaves + audit.stale_tables == 0u);
}

}  // namespace
}  // namespace kpksim::kernel
