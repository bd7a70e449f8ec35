// The TLBs of x86-64's cores: six address spaces each, interrupts to those that have one loaded,
// lazy TLB mode, batches, and INVLPGB.

#include "sim/kernel/x86_tlb.h"

#include <map>
#include <tuple>
#include <vector>

#include "tests/kernel/random_calls.h"

namespace kpksim::kernel {
namespace {

using cpu::Event;
using X86TlbCounts = std::vector<std::uint64_t>;

constexpr Event kInvlpg = cpu::tlbi_event(mmu::TlbiKind::kVae1);
constexpr Event kCr3Flush = cpu::tlbi_event(mmu::TlbiKind::kAside1);
constexpr Event kCr3Keep = Event::kMsrTtbr;

// What happens on each core while `action` runs.
class X86TlbMachine {
 public:
  explicit X86TlbMachine(unsigned cores, const char* policy = "none,buddy,pte",
                         FlushSite left_out = FlushSite::kNone)
      : k(x86_core_profile(), kernel_profile(), with(cores, policy, left_out)) {}

  template <class Action>
  X86TlbCounts of(Event event, Action&& action) {
    const X86TlbCounts before = counts(event);
    action();
    X86TlbCounts after = counts(event);
    for (std::size_t c = 0; c < after.size(); ++c) after[c] -= before[c];
    return after;
  }
  // Interrupts that reached each core but `sender`, which alone makes calls.
  template <class Action>
  X86TlbCounts interrupts(unsigned sender, Action&& action) {
    X86TlbCounts user, kernel;
    user = of(Event::kExceptionEl0, [&] { kernel = of(Event::kExceptionEl1, action); });
    for (std::size_t c = 0; c < user.size(); ++c) user[c] += kernel[c];
    user[sender] = 0;
    return user;
  }
  void spawn(std::uint32_t id, unsigned core) {
    k.spawn(id);
    place(id, core);
  }
  void thread(std::uint32_t of, std::uint32_t id, unsigned core) {
    k.clone_thread(of, id);
    place(id, core);
  }
  void place(std::uint32_t id, unsigned core) {
    k.migrate(id, core);
    k.null_syscall(id);
  }
  // A flush of one page, which frees no table: a page is made read-only, and writable again.
  void protect(std::uint32_t id, std::uint64_t at) {
    k.mprotect(id, at, kPageSize, true, false, false);
    k.mprotect(id, at, kPageSize, true, true, false);
    ASSERT_TRUE(k.touch(id, at, poe::AccessKind::kWrite));
  }
  std::uint64_t stale() const {
    const AuditResult a = k.audit();
    return a.stale_leaves + a.stale_tables + a.bbm_violations;
  }

  Kernel k;

 private:
  static Config with(unsigned cores, const char* policy, FlushSite left_out) {
    Config c;
    c.policy = parse_policy(policy);
    c.memory_bytes = 512ull << 20;
    c.cores = cores;
    c.injections = without_tlbis(left_out);
    return c;
  }
  X86TlbCounts counts(Event event) {
    X86TlbCounts out;
    for (std::size_t c = 0; c < k.system().machine.core_count(); ++c) {
      out.push_back(k.system().machine.core(c).happened(event));
    }
    return out;
  }
};

// `tasks` take turns on one core, each in an address space of its own.
X86TlbCounts flushes_of_turns(unsigned tasks) {
  X86TlbMachine m(1);
  for (std::uint32_t id = 1; id <= tasks; ++id) m.k.spawn(id);
  const auto turn = [&] {
    for (std::uint32_t id = 1; id <= tasks; ++id) m.k.null_syscall(id);
  };
  turn();
  return {m.of(kCr3Flush, turn)[0], m.of(kCr3Keep, turn)[0]};
}

TEST(X86Tlb, ACoreKeepsSixAddressSpaces_AndWhatTheSeventhNeedsIsFlushedForIt) {
  EXPECT_EQ(flushes_of_turns(6), (X86TlbCounts{0, 6}));
  EXPECT_EQ(flushes_of_turns(7), (X86TlbCounts{7, 0}));  // each takes the slot that is needed next
}

TEST(X86Tlb, AnAddressSpaceThatComesBackFindsItsTranslations) {
  X86TlbMachine m(1);
  m.k.spawn(1);
  m.k.spawn(2);
  const std::uint64_t at = map_and_write(m.k, 1, kPageSize);
  m.k.null_syscall(2);
  m.k.null_syscall(1);
  const auto touch = [&] { m.k.touch(1, at, poe::AccessKind::kWrite); };
  EXPECT_EQ(m.of(Event::kWalk, touch), (X86TlbCounts{0}));
}

// Core 0 has task 1's pages cached under a slot that is not loaded when core 1 changes them: it is
// not interrupted, but flushes when it comes back, and that once.
TEST(X86Tlb, ACoreThatComesBackToAnOldGenerationFlushes) {
  X86TlbMachine m(2);
  m.spawn(1, 0);
  const std::uint64_t at = map_and_write(m.k, 1, kPageSize);
  m.thread(1, 3, 1);
  m.spawn(2, 0);
  const auto change = [&] { m.k.mprotect(3, at, kPageSize, true, false, false); };
  EXPECT_EQ(m.interrupts(1, change), (X86TlbCounts{0, 0}));
  EXPECT_EQ(m.stale(), 0u);
  const auto back = [&] { m.k.null_syscall(1); };
  EXPECT_EQ(m.of(kCr3Flush, back), (X86TlbCounts{1, 0}));
  EXPECT_FALSE(m.k.touch(1, at, poe::AccessKind::kWrite));
  m.k.null_syscall(2);
  EXPECT_EQ(m.of(kCr3Flush, back), (X86TlbCounts{0, 0}));
}

TEST(X86Tlb, WithoutThatFlushItUsesWhatIsGone) {
  X86TlbMachine m(2, "none,buddy,pte", FlushSite::kPcidSwitch);
  m.spawn(1, 0);
  const std::uint64_t at = map_and_write(m.k, 1, kPageSize);
  m.thread(1, 3, 1);
  m.spawn(2, 0);
  m.k.mprotect(3, at, kPageSize, true, false, false);
  m.k.null_syscall(1);
  EXPECT_GT(m.stale(), 0u);
}

TEST(X86Tlb, ALazyCoreThatMissedChangesDropsAllWhenItGoesOn) {
  X86TlbMachine m(2);
  m.spawn(1, 0);
  m.thread(1, 2, 1);
  const std::uint64_t at = map_and_write(m.k, 1, 8 * kPageSize);
  const auto protect = [&](bool write) {
    return [&m, at, write] { m.k.mprotect(1, at, 8 * kPageSize, true, write, false); };
  };
  EXPECT_EQ(m.of(kInvlpg, protect(false)), (X86TlbCounts{8, 8}));
  m.k.migrate(2, 0);  // core 1 is lazy, and misses two
  protect(true)();
  protect(false)();
  m.k.migrate(2, 1);
  EXPECT_EQ(m.of(kCr3Flush, [&] { m.k.null_syscall(2); }), (X86TlbCounts{0, 1}));
  EXPECT_EQ(m.of(kInvlpg, protect(true)), (X86TlbCounts{8, 8}));
  EXPECT_EQ(m.stale(), 0u);
}

// A page is flushed while others are still pending: both are missing, so that all goes at once, and
// nothing is left for the end of the batch.
TEST(X86Tlb, PagesAreInvalidatedOneByOneOnlyIfNothingElseIsMissing) {
  X86TlbMachine m(2);
  System& system = m.k.system();
  cpu::Core& core = system.machine.core(0);
  AddressSpace space;
  for (unsigned c = 0; c < 2; ++c) {
    system.flush.x86()->switch_mm(system.machine.core(c), space, system.zero_page);
  }
  const VirtAddr one(kPmdSize), other(2 * kPmdSize);
  const auto page = [&] { system.flush.page(core, FlushSite::kUnmap, space, other); };
  EXPECT_EQ(m.of(kInvlpg, page), (X86TlbCounts{1, 1}));
  system.flush.page_pending(core, FlushSite::kUnmap, space, one);
  X86TlbCounts pages;
  EXPECT_EQ(m.of(kCr3Flush, [&] { pages = m.of(kInvlpg, page); }), (X86TlbCounts{1, 1}));
  EXPECT_EQ(pages, (X86TlbCounts{0, 0}));
  const auto end = [&] { system.flush.pending_done(core, FlushSite::kUnmap); };
  EXPECT_EQ(m.of(kCr3Flush, end), (X86TlbCounts{0, 0}));
}

// The thread on core 1 has exited. Its core keeps the address space, and is let alone, until tables
// are freed, which its walker may still read: then it leaves, and is let alone for good.
TEST(X86Tlb, ALazyCoreIsInterruptedOnlyWhereTablesAreFreed) {
  X86TlbMachine m(2);
  m.spawn(1, 0);
  m.thread(1, 2, 1);
  const std::uint64_t at = map_and_write(m.k, 1, kBytes);
  m.k.touch(2, at, poe::AccessKind::kRead);
  m.k.exit(2);
  EXPECT_EQ(m.interrupts(0, [&] { m.protect(1, at); }), (X86TlbCounts{0, 0}));
  EXPECT_EQ(m.stale(), 0u);
  const auto unmap = [&](std::uint64_t from) {
    return [&m, from] { m.k.munmap(1, from, kBytes / 2); };
  };
  EXPECT_EQ(m.interrupts(0, unmap(at)), (X86TlbCounts{0, 1}));
  EXPECT_EQ(m.interrupts(0, unmap(at + kBytes / 2)), (X86TlbCounts{0, 0}));
  EXPECT_EQ(m.stale(), 0u);
}

TEST(X86Tlb, ALazyCoreThatMissedNothingWritesNoCr3) {
  X86TlbMachine m(2);
  m.spawn(1, 0);
  const std::uint64_t at = map_and_write(m.k, 1, kPageSize);
  m.thread(1, 2, 1);
  m.place(2, 0);
  m.k.migrate(2, 1);
  const auto go_on = [&] { m.k.null_syscall(2); };
  X86TlbCounts flushes;
  EXPECT_EQ(m.of(kCr3Keep, [&] { flushes = m.of(kCr3Flush, go_on); }), (X86TlbCounts{0, 0}));
  EXPECT_EQ(flushes, (X86TlbCounts{0, 0}));
  m.place(2, 0);
  m.k.migrate(2, 1);
  m.protect(1, at);
  EXPECT_EQ(m.of(kCr3Flush, go_on), (X86TlbCounts{0, 1}));
}

TEST(X86Tlb, ATaskThatExitsLeavesItsTablesBeforeTheyAreFreed) {
  X86TlbMachine m(1);
  m.k.spawn(1);
  m.k.spawn(2);
  map_and_write(m.k, 2, kBytes);
  m.k.exit(2);
  EXPECT_EQ(m.stale(), 0u);
  X86TlbMachine without(1, "none,buddy,pte", FlushSite::kExitMm);
  without.k.spawn(1);
  without.k.spawn(2);
  map_and_write(without.k, 2, kBytes);
  without.k.exit(2);
  EXPECT_GT(without.stale(), 0u);
}

// A random program of threads and processes that move between cores. Who must hear of a flush is
// told by the story alone: the last task that ran on a core, and whether it still does.
TEST(X86Tlb, ShootdownsReachExactlyTheCoresThatHaveTheAddressSpace) {
  EXPECT_TRUE(rc::check([] {
    struct Place {
      std::uint32_t process = 0;
      bool lazy = true;
    };
    const auto cores = *rc::gen::inRange(1u, 9u);
    X86TlbMachine m(cores);
    std::vector<Place> places(cores);
    std::map<std::uint32_t, std::uint32_t> process_of;  // of a task: its first thread
    std::map<std::uint32_t, unsigned> core_of;
    std::map<std::uint32_t, std::uint64_t> page_of;  // of a process
    std::map<std::uint32_t, bool> writable;
    std::uint32_t last = 0;
    const auto runs = [&](std::uint32_t id) { places[core_of[id]] = {process_of[id], false}; };
    const auto move = [&](std::uint32_t id, unsigned to) {
      places[core_of[id]] = {process_of[id], true};
      core_of[id] = to;
      m.place(id, to);
      runs(id);
    };
    const auto begins = [&](std::uint32_t process) {  // tasks are put on cores in turn
      process_of[++last] = process;
      core_of[last] = (last - 1) % cores;
    };
    for (unsigned c = 0; c < cores; ++c) {
      begins(last + 1);
      m.k.spawn(last);
      runs(last);
      page_of[last] = map_and_write(m.k, last, kPageSize);
      writable[last] = true;
    }
    const auto steps =
        *rc::gen::container<std::vector<std::tuple<unsigned, unsigned, unsigned>>>(rc::gen::tuple(
            rc::gen::inRange(0u, 4u), rc::gen::inRange(0u, 64u), rc::gen::inRange(0u, 8u)));
    for (const auto& [what, who, where] : steps) {
      auto at = process_of.begin();
      std::advance(at, who % process_of.size());
      const std::uint32_t id = at->first, process = at->second;
      const unsigned own = core_of[id];
      if (what == 0) {
        move(id, where % cores);
        continue;
      }
      m.k.null_syscall(id);
      runs(id);
      if (what == 1 && process_of.size() < 3 * cores) {
        begins(process);
        m.k.clone_thread(id, last);
        m.k.null_syscall(last);
        runs(last);
        continue;
      }
      bool& write = writable[process];
      write = !write;
      const X86TlbCounts got = m.interrupts(
          own, [&] { m.k.mprotect(id, page_of[process], kPageSize, true, write, false); });
      for (unsigned c = 0; c < cores; ++c) {
        const bool has = c != own && places[c].process == process && !places[c].lazy;
        RC_ASSERT(got[c] == (has ? 1u : 0u));
      }
      RC_ASSERT(m.k.touch(id, page_of[process], poe::AccessKind::kRead));
      RC_ASSERT(m.k.touch(id, page_of[process], poe::AccessKind::kWrite) == write);
      RC_ASSERT(m.stale() == 0);
    }
  }));
}

TEST(X86Tlb, RandomCallsOnOneToEightCoresLeaveNothingStale) {
  for (const char* policy : {"kpkeys-pks+lazy,pba,block", "kpkeys-pks,per-page,pte,invlpgb"}) {
    rc::detail::TestParams params = rc::detail::configuration().testParams;
    params.maxSuccess = 100;
    const auto result = rc::detail::checkTestable(
        [&] {
          Config c;
          c.policy = parse_policy(policy);
          c.memory_bytes = 256ull << 20;
          c.cores = *rc::gen::inRange(1u, 9u);
          const auto steps = *rc::gen::container<std::vector<Step>>(step());
          World world(c);
          for (const Step& s : steps) {
            Step move = s;  // more often than the steps themselves have it
            move.call = MemoryCall::kMigrate;
            move.how = s.to;
            world.execute(move);
            world.execute(s);
          }
          world.end();
        },
        rc::detail::TestMetadata(), params);
    std::ostringstream message;
    rc::detail::printResultMessage(result, message);
    EXPECT_TRUE(result.template is<rc::detail::SuccessResult>()) << policy << ": " << message.str();
  }
}

// Reclaim clears many entries before anyone waits: one interrupt for each core, and all of the
// address space goes there, whichever pages these were.
TEST(X86Tlb, ABatchOfReclaimInterruptsEachCoreOnce) {
  X86TlbMachine m(3);
  m.spawn(1, 0);
  m.thread(1, 2, 1);
  m.spawn(3, 2);
  Vma file = rw();
  file.write = false;
  file.file = true;
  file.file_id = 7;
  const std::uint64_t at = m.k.mmap(1, file, 16 * kPageSize, 0);
  for (unsigned i = 0; i < 16; ++i) {
    ASSERT_TRUE(m.k.touch(1, at + i * kPageSize, poe::AccessKind::kRead));
    ASSERT_TRUE(m.k.touch(2, at + i * kPageSize, poe::AccessKind::kRead));
  }
  X86TlbCounts got, all, pages;
  all = m.of(kCr3Flush, [&] {
    pages = m.of(kInvlpg, [&] {
      got = m.interrupts(0, [&] { m.k.madvise_pageout(1, at, 16 * kPageSize); });
    });
  });
  EXPECT_EQ(got, (X86TlbCounts{0, 1, 0}));
  EXPECT_EQ(all, (X86TlbCounts{1, 1, 0}));
  EXPECT_EQ(pages, (X86TlbCounts{0, 0, 0}));
  EXPECT_EQ(m.stale(), 0u);
}

// Four cores run the address space. The first flush interrupts them, and gives it a PCID that all
// share, which each takes up at the next; from then on nobody is interrupted.
TEST(X86Tlb, Invlpgb_ReachesManyCoresWithoutInterrupts) {
  X86TlbMachine m(5, "none,buddy,pte,invlpgb");
  m.spawn(1, 0);
  for (std::uint32_t id = 2; id <= 4; ++id) m.thread(1, id, id - 1);
  m.spawn(9, 4);
  const std::uint64_t at = map_and_write(m.k, 1, 20 * kPageSize);
  const auto protect = [&](bool write) {
    return [&m, at, write] { m.k.mprotect(1, at, 20 * kPageSize, true, write, false); };
  };
  EXPECT_EQ(m.interrupts(0, protect(false)), (X86TlbCounts{0, 1, 1, 1, 0}));
  EXPECT_EQ(m.of(kCr3Keep, protect(true)), (X86TlbCounts{1, 1, 1, 1, 0}));
  X86TlbCounts sync, pages;
  const X86TlbCounts got = m.interrupts(0, [&] {
    sync = m.of(Event::kDsbIsh,
                [&] { pages = m.of(cpu::tlbi_event(mmu::TlbiKind::kRvae1), protect(false)); });
  });
  EXPECT_EQ(got, (X86TlbCounts{0, 0, 0, 0, 0}));
  EXPECT_EQ(sync, (X86TlbCounts{1, 0, 0, 0, 0}));
  EXPECT_EQ(pages, (X86TlbCounts{3, 0, 0, 0, 0}));  // of 8, 8 and 4 pages
  for (std::uint32_t id = 1; id <= 4; ++id) {
    EXPECT_FALSE(m.k.touch(id, at, poe::AccessKind::kWrite));
  }
  EXPECT_EQ(m.stale(), 0u);
}

TEST(X86Tlb, Invlpgb_IsNotForAnAddressSpaceOfThreeCores) {
  X86TlbMachine m(4, "none,buddy,pte,invlpgb");
  m.spawn(1, 0);
  m.thread(1, 2, 1);
  m.thread(1, 3, 2);
  const std::uint64_t at = map_and_write(m.k, 1, kPageSize);
  m.protect(1, at);
  EXPECT_EQ(m.interrupts(0, [&] { m.k.mprotect(1, at, kPageSize, true, false, false); }),
            (X86TlbCounts{0, 1, 1, 0}));
}

// A page and a huge page that were read-only for a fork's sake. Two cores have cached that. The
// write of one makes the page writable, and tells nobody; the write of the other meets a fault,
// which drops what it has.
TEST(X86Tlb, WhatGainsRightsByAFaultIsNotFlushed_AndAnotherCoresWriteMeetsAFaultMore) {
  for (const bool huge : {false, true}) {
    X86TlbMachine m(2);
    m.spawn(1, 0);
    m.thread(1, 2, 1);
    Vma vma = rw();
    vma.huge = huge ? HugeAdvice::kHugepage : HugeAdvice::kNoHugepage;
    const std::uint64_t at = m.k.mmap(1, vma, 4 << 20, 0);
    const std::uint64_t page = align_up(at, 2 << 20);
    ASSERT_TRUE(m.k.touch(1, page, poe::AccessKind::kWrite));
    m.k.fork(1, 9);
    m.k.exit(9);
    for (const std::uint32_t id : {1u, 2u}) {
      ASSERT_TRUE(m.k.touch(id, page, poe::AccessKind::kRead));
    }
    const auto write = [&](std::uint32_t id) {
      return [&m, id, page] { ASSERT_TRUE(m.k.touch(id, page, poe::AccessKind::kWrite)); };
    };
    X86TlbCounts faults, interrupts, pages;
    pages = m.of(kInvlpg, [&] {
      interrupts = m.interrupts(0, [&] { faults = m.of(Event::kFaultPermission, write(1)); });
    });
    EXPECT_EQ(faults, (X86TlbCounts{1, 0})) << huge;
    EXPECT_EQ(interrupts, (X86TlbCounts{0, 0})) << huge;
    EXPECT_EQ(pages, (X86TlbCounts{0, 0})) << huge;
    EXPECT_EQ(m.stale(), 0u) << "what allows less is dropped where it is met";
    EXPECT_EQ(m.of(Event::kFaultPermission, write(2)), (X86TlbCounts{0, 1})) << huge;
    EXPECT_EQ(m.of(Event::kFaultPermission, write(2)), (X86TlbCounts{0, 0})) << huge;
  }
}

TEST(X86Tlb, EachFlushIsNeeded) {
  const auto stale = [](FlushSite left_out, const char* policy) -> std::uint64_t {
    try {
      X86TlbMachine m(5, policy, left_out);
      std::uint64_t sum = 0;
      m.spawn(1, 0);
      for (std::uint32_t id = 2; id <= 4; ++id) m.thread(1, id, id - 1);
      const std::uint64_t at = map_and_write(m.k, 1, 64 * kPageSize);
      for (int round = 0; round < 3; ++round) {  // with a PCID of their own, and with a global one
        for (std::uint32_t id = 2; id <= 4; ++id) m.k.touch(id, at, poe::AccessKind::kWrite);
        m.k.mprotect(1, at, kPageSize, true, false, false);
        sum += m.stale();
        m.k.mprotect(1, at, kPageSize, true, true, false);
      }
      m.k.touch(1, at, poe::AccessKind::kWrite);
      m.k.fork(1, 8);
      sum += m.stale();
      // Two cores have the old page; the fault of the one that writes drops its own.
      for (const std::uint32_t id : {1u, 2u}) m.k.touch(id, at, poe::AccessKind::kRead);
      m.k.touch(1, at, poe::AccessKind::kWrite);
      sum += m.stale();
      m.k.munmap(1, at, 64 * kPageSize);
      sum += m.stale();
      const VirtAddr v(m.k.memory().vmalloc(1, false));
      EXPECT_FALSE(m.k.system().machine.core(3).load64(v).fault);
      m.k.memory().vfree(v.value);
      m.k.memory().vm_unmap_aliases();
      return sum + m.stale();
    } catch (const KernelOops&) {
      return 1;
    }
  };
  for (const char* policy : {"kpkeys-pks,per-page,block", "none,buddy,pte,invlpgb"}) {
    EXPECT_EQ(stale(FlushSite::kNone, policy), 0u) << policy;
    for (const FlushSite site : {FlushSite::kForkParent, FlushSite::kCowBreak, FlushSite::kUnmap,
                                 FlushSite::kMprotect, FlushSite::kVmallocPurge}) {
      EXPECT_GT(stale(site, policy), 0u)
          << policy << " without " << kFlushSiteNames[static_cast<std::size_t>(site)];
    }
  }
  EXPECT_GT(stale(FlushSite::kSetMemoryPkey, "kpkeys-pks,per-page,block"), 0u);
}

}  // namespace
}  // namespace kpksim::kernel
