// Credentials with a key of their own: who can write them, what a section costs, and their life.

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

Config cred_config(const std::string& pages, Granularity map = Granularity::kBlock,
                   const std::string& allocator = "pba") {
  Config c = config("kpkeys-poe", false, allocator, map);
  c.policy.protection.parameters = {{"cred", "on"}, {"cred_pages", pages}};
  c.memory_bytes = 256ull << 20;
  return c;
}

class CredWorld {
 public:
  explicit CredWorld(const Config& config) : k_(core_profile(), kernel_profile(), config) {}
  explicit CredWorld(const std::string& pages = "single") : CredWorld(cred_config(pages)) {}

  Kernel& kernel() { return k_; }
  System& system() { return k_.system(); }
  cpu::Core& core() { return system().machine.core(0); }
  Creds& creds() { return *system().creds; }
  LiveCred live() { return creds().commit(core(), creds().fresh(core())); }
  // A store that is nobody's section. What it would have changed stays.
  mmu::Fault stray(LiveCred cred) {
    const VirtAddr word = linear_va(cred.object + 8);
    const std::uint64_t before = core().load64(word).value;
    const mmu::Fault fault = core().store64(word, ~before);
    if (!fault) core().store64(word, before);
    return fault;
  }
  std::uint64_t register_writes() { return core().happened(cpu::Event::kMsrPor); }
  std::uint64_t usage(LiveCred cred) {
    return system().machine.memory().read64(cred.object + Creds::kUsage);
  }
  std::uint64_t keyed() {
    const Buddy& buddy = system().buddy;
    std::uint64_t n = 0;
    for (std::uint64_t i = 0; i < buddy.size(); ++i) {
      const PkeyIndex key =
          system().linear_map.key_of(system().machine.memory(), buddy.first() + i);
      n += key == kPkeyCred ? 1 : 0;
    }
    return n;
  }

 private:
  Kernel k_;
};

class CredTest : public testing::Test {
 protected:
  std::uint64_t sections() { return w.creds().statistics().sections; }
  ObjectKey key() { return {*w.system().protection, kPkeyCred, 0, w.system().taps}; }
  CredWorld w;
};

TEST_F(CredTest, ASectionLetsCredentialsBeWritten_AndAnExceptionInItFindsItClosed) {
  const LiveCred cred = w.live();
  ObjectKey mine = key();
  const ObjectKey::Section section(mine, w.core());
  EXPECT_FALSE(w.stray(cred));
  const std::uint64_t saved = w.system().protection->exception_entry(w.core());
  EXPECT_TRUE(w.stray(cred).overlay);
  w.system().protection->exception_return(w.core(), saved);
  w.core().eret(1);
  EXPECT_FALSE(w.stray(cred));
}

TEST_F(CredTest, BeforeItsCommitItIsOrdinaryMemory) {
  const PreparedCred prepared = w.creds().prepare(w.core(), w.live());
  EXPECT_FALSE(w.stray({prepared.object}));
}

// One context at a time: the inner one's rights alone, and then those of the outer one again.
TEST_F(CredTest, AWindowInASectionClosesCredentials_AndASectionInAWindowClosesPageTables) {
  const LiveCred cred = w.live();
  w.kernel().spawn(1);
  const Pfn table = w.system().linear_map.boot_tables().front().first;
  const auto refused = [&] {
    const VirtAddr word = linear_va(address_of(table) + 511 * 8);
    return w.core().store64(word, w.core().load64(word).value).overlay;
  };
  w.core().continue_at(1);
  ObjectKey mine = key();
  {
    const ObjectKey::Section section(mine, w.core());
    EXPECT_TRUE(refused());
    {
      const Window window(w.system().tables, w.core(), table);
      EXPECT_FALSE(refused());
      EXPECT_TRUE(w.stray(cred).overlay);
    }
    EXPECT_FALSE(w.stray(cred));
  }
  const Window window(w.system().tables, w.core(), table);
  EXPECT_FALSE(refused());
  {
    const ObjectKey::Section section(mine, w.core());
    EXPECT_TRUE(refused());
  }
  EXPECT_FALSE(refused());
}

TEST_F(CredTest, ASectionInAnotherWritesNoRegister) {
  const LiveCred cred = w.live();
  ObjectKey mine = key();
  const std::uint64_t before = w.register_writes();
  {
    const ObjectKey::Section outer(mine, w.core());
    EXPECT_EQ(w.register_writes(), before + 1);
    {
      const ObjectKey::Section inner(mine, w.core());
      EXPECT_FALSE(w.stray(cred));
    }
    EXPECT_EQ(w.register_writes(), before + 1);
    EXPECT_FALSE(w.stray(cred));
  }
  EXPECT_EQ(w.register_writes(), before + 2);
  EXPECT_EQ(mine.sections(), 2u);
  EXPECT_EQ(mine.switches(), 2u);
}

// put_cred() of the last reference has call_rcu() inside.
TEST_F(CredTest, TheLastPutSwitchesOnceForItselfAndForRcusHead) {
  const LiveCred cred = w.live();
  w.creds().get(w.core(), cred);
  EXPECT_EQ(w.usage(cred), 3u);
  const CredStatistics before = w.creds().statistics();
  w.creds().put(w.core(), cred, 2);
  EXPECT_EQ(w.creds().statistics().sections - before.sections, 1u);
  w.creds().put(w.core(), cred);
  EXPECT_EQ(w.creds().statistics().sections - before.sections, 3u);
  EXPECT_EQ(w.creds().statistics().switches - before.switches, 4u);
}

TEST_F(CredTest, ASectionIsNoWindowOfPageTables) {
  ObjectKey mine = key();
  const std::uint64_t windows = w.core().windows().count;
  { const ObjectKey::Section section(mine, w.core()); }
  EXPECT_EQ(w.core().windows().count, windows);
  { const Window window(w.system().tables, w.core(), w.system().linear_map.root()); }
  EXPECT_EQ(w.core().windows().count, windows + 1);
}

TEST_F(CredTest, RcuLinksHeadsInTheObjects_AndEachWriteToOneIsASection) {
  const LiveCred first = w.live(), second = w.live();
  const auto word = [&](LiveCred c, std::uint64_t at) {
    return w.system().machine.memory().read64(c.object + at);
  };
  w.creds().put(w.core(), first, 2);
  EXPECT_NE(word(first, Creds::kRcuFunction), 0u);
  EXPECT_EQ(word(first, Creds::kRcuNext), 0u);
  w.creds().put(w.core(), second, 2);
  EXPECT_EQ(word(first, Creds::kRcuNext), second.object.value);
  const std::uint64_t before = sections();
  w.system().rcu.call(w.core(), 3);  // heads of others: RCU cannot tell
  EXPECT_EQ(sections() - before, 3u);
  EXPECT_EQ(word(second, Creds::kRcuNext), 0u);
  // The list is taken out, five functions are cleared, two objects go to their slab's free list.
  w.system().rcu.take_all(w.core());
  EXPECT_EQ(sections() - before, 3u + 1 + 5 + 2);
  EXPECT_EQ(word(first, Creds::kRcuFunction), 0u);
  EXPECT_EQ(w.creds().statistics().live, 0u);
}

// Ten callbacks are called at once; the list of the rest is put before those that came since. A
// head's word says what follows it, also across the segments of the list.
TEST_F(CredTest, RcusListIsCutAndPutTogetherAgainThroughTheHeads) {
  const auto next = [&](LiveCred c) {
    return w.system().machine.memory().read64(c.object + Creds::kRcuNext);
  };
  constexpr std::size_t kAtOnce = 10;
  std::vector<LiveCred> creds;
  for (std::size_t i = 0; i < kAtOnce + 3; ++i) creds.push_back(w.live());
  const auto give = [&](std::size_t i) { w.creds().put(w.core(), creds[i], 2); };
  for (std::size_t i = 0; i <= kAtOnce; ++i) give(i);
  w.system().rcu.tick(w.core());  // a grace period begins for these
  give(kAtOnce + 1);              // behind the last of those that wait
  EXPECT_EQ(next(creds[kAtOnce]), creds[kAtOnce + 1].object.value);
  // The word of an object that has been used before is what it was, until the head is filled in.
  w.system().machine.memory().write64(creds[kAtOnce + 2].object + Creds::kRcuNext, ~0ull);
  give(kAtOnce + 2);
  EXPECT_EQ(next(creds[kAtOnce + 2]), 0u);
  EXPECT_EQ(next(creds[kAtOnce + 1]), creds[kAtOnce + 2].object.value);
  EXPECT_EQ(w.creds().statistics().freed, 0u);
  w.system().rcu.take_all(w.core());
  EXPECT_EQ(w.creds().statistics().freed, creds.size());
}

TEST_F(CredTest, ACutOrASpliceOfRcusListIsAStoreToTheLastHead_InASection) {
  const LiveCred first = w.live(), second = w.live();
  const std::uint64_t before = sections();
  w.creds().spliced(w.core(), first.object, second.object);
  EXPECT_EQ(sections(), before + 1);
  const PhysAddr word = first.object + Creds::kRcuNext;
  EXPECT_EQ(w.system().machine.memory().read64(word), second.object.value);
  w.creds().spliced(w.core(), first.object, PhysAddr(0));
  EXPECT_EQ(w.system().machine.memory().read64(word), 0u);
}

// Who is told where RCU's list is cut and put together.
class Splices final : public RcuHeads {
 public:
  void queued(cpu::Core&, PhysAddr, PhysAddr) override {}
  void spliced(cpu::Core&, PhysAddr last, PhysAddr next) override {
    seen.emplace_back(last.value, next.value);
  }
  void called(cpu::Core&, PhysAddr) override {}
  void free(cpu::Core&, PhysAddr) override {}
  void free_task(cpu::Core&, PhysAddr) override {}

  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
};

// Of twelve heads that are done a batch calls ten; the other two stand before those that wait.
TEST_F(CredTest, WhatABatchOfRcusLeavesIsPutBeforeThoseThatWait) {
  constexpr std::uint64_t kDone = 12, kWaiting = 2;
  Rcu rcu;
  Splices splices;
  rcu.set_heads(splices);
  for (std::uint64_t i = 1; i <= kDone; ++i) rcu.call_for_cred(w.core(), PhysAddr(i));
  rcu.tick(w.core());
  for (std::uint64_t i = 1; i <= kWaiting; ++i) rcu.call_for_cred(w.core(), PhysAddr(kDone + i));
  rcu.tick(w.core());
  EXPECT_TRUE(splices.seen.empty());
  rcu.tick(w.core());
  using Seen = decltype(splices.seen);
  EXPECT_EQ(splices.seen, (Seen{{kDone, 0}, {kDone, kDone + 1}, {kDone + kWaiting, 0}}));
}

// The free list lies in the objects: the one freed last is the first to be handed out, and names
// the one before it.
TEST_F(CredTest, AFreedObjectNamesTheNextFreeOne_ByAStoreInASection) {
  constexpr std::uint64_t kFreePointer = Creds::kBytes / 2;
  const LiveCred first = w.live(), second = w.live();
  w.creds().free(w.core(), first.object);
  const std::uint64_t before = sections();
  w.creds().free(w.core(), second.object);
  EXPECT_EQ(sections(), before + 1);
  EXPECT_EQ(w.system().machine.memory().read64(second.object + kFreePointer), first.object.value);
  EXPECT_EQ(w.live().object.value, second.object.value);
  EXPECT_EQ(w.live().object.value, first.object.value);
}

// put_cred_rcu() runs in a softirq, which may come in the middle of a lazy MMU section. Giving a
// slab back has one of its own, and they do not nest.
TEST_F(CredTest, ASlabIsGivenBackWhereTheSoftirqHasInterruptedALazySection) {
  constexpr std::uint64_t kObjects = kPageSize / Creds::kBytes;
  std::vector<LiveCred> creds;
  for (std::uint64_t i = 0; i < 10 * kObjects; ++i) creds.push_back(w.live());
  w.system().tables.enter_lazy(w.core(), Target(w.system().linear_map.root()));
  for (const LiveCred cred : creds) ASSERT_NO_THROW(w.creds().free(w.core(), cred.object));
  w.system().tables.leave_lazy(w.core());
  EXPECT_EQ(w.creds().statistics().slabs_unkeyed, 5u);
  EXPECT_EQ(w.keyed(), 5u);
}

// commit_creds() gives what prepare_creds() took back: the next copy finds it.
TEST_F(CredTest, APreparedOneIsFreedWhenItIsCommitted) {
  const LiveCred cred = w.live();
  const PreparedCred one = w.creds().prepare(w.core(), cred);
  w.creds().commit(w.core(), one);
  EXPECT_EQ(w.creds().prepare(w.core(), cred).object.value, one.object.value);
}

TEST_F(CredTest, ACommittedOneHasEachWordOfThePrepared_ButItsUsers) {
  constexpr std::uint64_t kOfTask = 2;  // its own credentials, and those it acts with
  const PreparedCred prepared = w.creds().prepare(w.core(), w.live());
  mmu::PhysicalMemory& memory = w.system().machine.memory();
  for (std::uint64_t at = 0; at < Creds::kWords * 8; at += 8) {
    if (at != Creds::kUsage) memory.write64(prepared.object + at, 0x1000 + at);
  }
  const LiveCred cred = w.creds().commit(w.core(), prepared);
  for (std::uint64_t at = 0; at < Creds::kWords * 8; at += 8) {
    EXPECT_EQ(memory.read64(cred.object + at), at == Creds::kUsage ? kOfTask : 0x1000 + at);
  }
}

TEST_F(CredTest, ASectionTakesTheInstructionsOfItsGuard) {
  const auto instructions = [&](std::uint64_t guard) {
    ObjectKey mine(*w.system().protection, kPkeyCred, guard, w.system().taps);
    const auto before = w.core().happened(cpu::Event::kGuardInstruction);
    { const ObjectKey::Section section(mine, w.core()); }
    return w.core().happened(cpu::Event::kGuardInstruction) - before;
  };
  EXPECT_EQ(instructions(37) - instructions(0), 37u);
}

TEST_F(CredTest, EachCallTakesWhatLinuxTakes) {
  Kernel& k = w.kernel();
  k.spawn(1);
  const auto after = [&](const auto& call) {
    const CredStatistics before = w.creds().statistics();
    call();
    return since(before, w.creds().statistics(), kCredStatistics);
  };
  EXPECT_EQ(after([&] { k.fork(1, 2); }).committed, 1u);
  EXPECT_EQ(after([&] { k.vfork(1, 3); }).committed, 1u);
  const CredStatistics thread = after([&] { k.clone_thread(1, 4); });
  EXPECT_EQ(thread.committed, 0u);
  EXPECT_EQ(thread.sections, 1u);
  const CredStatistics set = after([&] { k.system_call(2, {.kind = CallKind::kSetCred}); });
  EXPECT_EQ(set.committed, 1u);
  EXPECT_EQ(set.freed, 1u);
  EXPECT_EQ(after([&] { k.exec(2); }).committed, 1u);
  EXPECT_EQ(after([&] { k.system_call(2, {.kind = CallKind::kOpen, .components = 1}); }).switches,
            4u);
  EXPECT_EQ(after([&] { k.system_call(2, {.kind = CallKind::kPipe}); }).committed, 0u);
  const std::uint64_t live = w.creds().statistics().live;
  k.exit(4);  // its process lives on
  EXPECT_EQ(w.creds().statistics().live, live);
  k.exit(2);  // and its program's file goes, which it has opened as what it was before
  EXPECT_EQ(w.creds().statistics().live, live - 2);
}

TEST_F(CredTest, PagesKeyedOneByOneAreACallForEachSlab) {
  const LinearMapStatistics before = w.system().linear_map.statistics();
  constexpr std::uint64_t kObjects = kPageSize / Creds::kBytes;
  std::vector<LiveCred> creds;
  for (std::uint64_t i = 0; i < 10 * kObjects; ++i) creds.push_back(w.live());
  EXPECT_EQ(w.creds().statistics().slabs_keyed, 10u);
  EXPECT_EQ(w.keyed(), 10u);
  EXPECT_EQ(w.system().linear_map.statistics().set_memory_pkey - before.set_memory_pkey, 10u);
  // Empty slabs go but for a few. Their pages' ends are boundaries: nothing is split in a callback.
  const LinearMapStatistics full = w.system().linear_map.statistics();
  for (const LiveCred cred : creds) w.creds().put(w.core(), cred, 2);
  w.system().rcu.take_all(w.core());
  EXPECT_EQ(w.creds().statistics().slabs_unkeyed, 5u);
  EXPECT_EQ(w.keyed(), 5u);
  EXPECT_EQ(w.system().linear_map.statistics().split_pmd, full.split_pmd);
  EXPECT_EQ(w.system().linear_map.statistics().split_contpte, full.split_contpte);
}

TEST(CredPolicy, WhatSaysNothingOrCannotBeIsRefusedWithTheReason) {
  const auto reason = [](const std::string& text) {
    return reason_against(parse_policy(text)).value_or("");
  };
  EXPECT_EQ(reason("kpkeys-poe:cred=on:cred_pages=shared,pba,block"), "");
  EXPECT_NE(reason("kpkeys-poe:cred=on:cred_pages=shared,per-page,pte").find("pool"),
            std::string::npos);
  EXPECT_NE(reason("kpkeys-poe:cred_pages=pool,pba,block").find("cred=on"), std::string::npos);
  EXPECT_THROW(reason("kpkeys-pks:cred=on,per-page,pte"), InputError);
}

// Who holds credentials: tasks, descriptors in tables that threads share, address spaces. Told
// without counting references: those live that a task leads to.
class Holders {
 public:
  struct Table {
    struct Descriptor {
      int cred = 0;
      bool close_on_exec = false;
    };
    std::map<int, Descriptor> open;
  };
  struct Task {
    int cred = 0;
    int program = 0;  // of whoever has opened the file that its address space executes
    std::shared_ptr<Table> table = std::make_shared<Table>();
  };
  std::map<std::uint32_t, Task> tasks = {{1, {}}};

  std::size_t live() const {
    std::set<int> found;
    for (const auto& [id, task] : tasks) {
      found.insert({task.cred, task.program});
      for (const auto& [number, descriptor] : task.table->open) found.insert(descriptor.cred);
    }
    return found.size();
  }
};

// Threads share credentials until one of them gets new ones. Without interrupts RCU is done at the
// end of each call, so that exactly those are live that somebody holds.
RC_GTEST_PROP(CredProperty, InARandomLifeThoseAreLiveThatSomebodyHolds_AndNoneIsLeftBehind, ()) {
  const auto pages = *rc::gen::element<std::string>("single", "pool", "shared");
  const auto map = *rc::gen::element(Granularity::kBlock, Granularity::kContPte);
  CredWorld w(cred_config(pages, map));
  Kernel& k = w.kernel();
  k.spawn(1);
  Holders holders;
  std::set<std::uint32_t> processes = {1};  // that are no thread, so may exec
  std::uint32_t last = 1;
  int fresh = 0;
  using Does = DescriptorUse::Kind;
  const auto call = [&](std::uint32_t id, const DescriptorUse& use) {
    k.system_call(id, {.kind = CallKind::kSmall, .descriptors = use});
  };
  const auto steps = *rc::gen::container<std::vector<std::pair<unsigned, unsigned>>>(
      60, rc::gen::pair(rc::gen::inRange(0u, 11u), rc::gen::inRange(0u, 1000u)));
  for (const auto& [what, n] : steps) {
    auto at = holders.tasks.begin();
    std::advance(at, n % holders.tasks.size());
    const std::uint32_t id = at->first;
    Holders::Task& task = at->second;
    const int one = 3 + static_cast<int>(n / 8 % 3), other = 3 + static_cast<int>(n / 32 % 3);
    if (what <= 1) {
      k.fork(id, ++last);
      processes.insert(last);
      holders.tasks[last] = {++fresh, task.program, std::make_shared<Holders::Table>(*task.table)};
    } else if (what == 2) {
      k.clone_thread(id, ++last);
      holders.tasks[last] = task;
    } else if (what == 3) {
      k.system_call(id, {.kind = CallKind::kSetCred});
      task.cred = ++fresh;
    } else if (what == 4) {
      k.system_call(id, {.kind = CallKind::kOpen, .components = 2});
    } else if (what == 5 && processes.contains(id)) {
      k.exec(id);
      task.program = std::exchange(task.cred, ++fresh);
      task.table = std::make_shared<Holders::Table>(*task.table);
      std::erase_if(task.table->open, [](const auto& d) { return d.second.close_on_exec; });
    } else if (what == 6 && holders.tasks.size() > 1) {
      k.exit(id);
      holders.tasks.erase(at);
    } else if (what == 7) {
      k.memory().pressure();
    } else if (what == 8) {
      call(id, {Does::kOpen, n % 2 == 0, one});
      task.table->open[one] = {task.cred, n % 2 == 0};
    } else if (what == 9) {
      call(id, {Does::kClose, false, one, other});
      std::erase_if(task.table->open,
                    [&](const auto& d) { return one <= d.first && d.first <= other; });
    } else if (what == 10 && one != other) {
      call(id, {Does::kDuplicate, false, one, other});
      task.table->open.erase(other);
      const auto from = task.table->open.find(one);
      if (from != task.table->open.end()) task.table->open[other] = {from->second.cred, false};
    }
    RC_ASSERT(w.creds().statistics().live == holders.live());
  }
  k.exit_all();
  k.clock().wait_for_rcu();
  const CredStatistics end = w.creds().statistics();
  RC_ASSERT(end.live == 0u);
  RC_ASSERT(end.committed == end.freed);
  RC_ASSERT(w.keyed() == end.slabs_keyed - end.slabs_unkeyed + end.cached);
  RC_ASSERT(k.audit().stale_leaves == 0u);
}

}  // namespace
}  // namespace kpksim::kernel
