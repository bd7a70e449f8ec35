// Claims about locks of interleaved cores (sim/kernel/lock.h).

#include "sim/kernel/lock.h"

#include <gtest/gtest.h>

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

// Cores that execute jobs, one after the other, and note what they do.
class InterleavedLocks : public testing::Test {
 protected:
  InterleavedLocks() : machine_(core_profile(), 4), locks_(machine_), jobs_(4) {
    locks_.before = [](cpu::Core&) -> void* { return nullptr; };
    locks_.slept = [this](cpu::Core& core, void*) { note(core, "woke"); };
  }

  void job(unsigned core, std::function<void(cpu::Core&)> fn) {
    jobs_[core].push_back([this, core, fn] { fn(machine_.core(core)); });
  }
  void run() {
    struct Nothing final : cpu::Interleaver::Kept {
      void exchange() override {}
    };
    locks_.interleaver().run({[this](unsigned core) {
                                std::function<void()> next;
                                if (jobs_[core].empty()) return next;
                                next = jobs_[core].front();
                                jobs_[core].pop_front();
                                return next;
                              },
                              [] { return std::make_unique<Nothing>(); }, [](unsigned) {}});
  }
  void note(const cpu::Core& core, const std::string& what) {
    said_ += std::to_string(core.id()) + what + " ";
  }
  // Executes for a while, in which others may act.
  static void work(cpu::Core& core, unsigned n = 1) {
    for (unsigned i = 0; i < n; ++i) {
      core.execute(1000);
      core.turn();
    }
  }
  const LockWaits& waits() const {
    return locks_.waits()[static_cast<std::size_t>(LockKind::kMmap)];
  }

  cpu::Machine machine_;
  Locks locks_;
  std::vector<std::deque<std::function<void()>>> jobs_;
  std::string said_;
  SleepingLock lock_{LockKind::kMmap};
};

TEST_F(InterleavedLocks, WhoComesFirstGetsItFirst_FromTheMomentAtWhichItIsDropped) {
  std::uint64_t dropped = 0, got = 0;
  for (const unsigned id : {0u, 1u, 2u}) {
    job(id, [&, id](cpu::Core& core) {
      work(core, (3 - id) % 3 + 1);  // 0, 2, 1
      lock_.lock(locks_, core);
      if (id == 2) got = core.time();
      note(core, "has");
      work(core, 10);
      if (id == 0) dropped = core.time();
      lock_.unlock(locks_, core);
    });
  }
  run();
  EXPECT_EQ(said_, "0has 2has 1has ");
  EXPECT_EQ(got, dropped);
  EXPECT_EQ(waits().taken, 3u);
  EXPECT_EQ(waits().waits, 2u);
  EXPECT_EQ(waits().slept, 0u) << "their owner ran, and they were mutexes";
}

TEST_F(InterleavedLocks, ReadersShareIt_AWriterWaitsForAll_WhoComesAfterItWaitsBehindIt) {
  for (const unsigned id : {0u, 1u}) {
    job(id, [&](cpu::Core& core) {
      lock_.lock_shared(locks_, core);
      note(core, "reads");
      work(core, 10);
      note(core, "done");
      lock_.unlock_shared(locks_, core);
    });
  }
  job(2, [&](cpu::Core& core) {
    work(core);
    lock_.lock(locks_, core);
    note(core, "writes");
    work(core);
    lock_.unlock(locks_, core);
  });
  job(3, [&](cpu::Core& core) {
    work(core, 2);
    lock_.lock_shared(locks_, core);
    note(core, "reads");
    lock_.unlock_shared(locks_, core);
  });
  run();
  EXPECT_EQ(said_, "0reads 1reads 0done 1done 2woke 2writes 3woke 3reads ");
  EXPECT_EQ(waits().slept, 2u);
}

// Core 1 spins for what core 0 holds. When the owner sleeps, core 1 gets on with something else.
TEST_F(InterleavedLocks, WhoSpinsGoesToSleepWithTheOwner) {
  SleepingLock other(LockKind::kMmap);
  job(0, [&](cpu::Core& core) {
    lock_.lock(locks_, core);
    work(core, 5);
    other.lock(locks_, core);  // behind a reader
    note(core, "both");
    other.unlock(locks_, core);
    lock_.unlock(locks_, core);
  });
  job(1, [&](cpu::Core& core) {
    work(core);
    lock_.lock(locks_, core);
    note(core, "has");
    lock_.unlock(locks_, core);
  });
  job(1, [&](cpu::Core& core) { note(core, "else"); });
  job(2, [&](cpu::Core& core) {
    other.lock_shared(locks_, core);
    work(core, 20);
    other.unlock_shared(locks_, core);
  });
  run();
  EXPECT_EQ(said_, "1else 0woke 0both 1woke 1has ");
}

// The next owner sleeps, and its core is the one that another one spins on.
TEST_F(InterleavedLocks, NobodySpinsOnTheCoreThatTheNextOwnerNeeds) {
  job(0, [&](cpu::Core& core) {
    lock_.lock_shared(locks_, core);
    work(core, 4);
    lock_.unlock_shared(locks_, core);
  });
  job(2, [&](cpu::Core& core) {  // first behind the reader
    work(core, 1);
    lock_.lock(locks_, core);
    work(core, 10);
    lock_.unlock(locks_, core);
  });
  job(1, [&](cpu::Core& core) {  // and second: it sleeps too
    work(core, 2);
    lock_.lock(locks_, core);
    note(core, "first");
    lock_.unlock(locks_, core);
  });
  job(1, [&](cpu::Core& core) {  // spins for core 2, on the core of the second
    work(core, 5);
    lock_.lock(locks_, core);
    note(core, "second");
    lock_.unlock(locks_, core);
  });
  run();
  EXPECT_EQ(said_, "2woke 1woke 1first 1woke 1second ");
}

TEST_F(InterleavedLocks, WhoLooksIntoAnotherAddressSpaceIsSeen) {
  job(0, [&](cpu::Core& core) {
    locks_.interleaver().current().set_unseen(true);
    {
      const Locks::Looking others(&locks_);
      EXPECT_FALSE(locks_.interleaver().current().unseen());
    }
    EXPECT_TRUE(locks_.interleaver().current().unseen()) << "as it was before";
    note(core, "looked");
  });
  run();
  EXPECT_EQ(said_, "0looked ");
  const Locks::Looking nobody_runs(&locks_), no_locks(nullptr);
}

TEST_F(InterleavedLocks, LocksOfTheWholeKernelAreAPointForAll_EvenForWhoIsUnseen) {
  for (const LockKind kind : {LockKind::kMmap, LockKind::kSplit, LockKind::kAllocator}) {
    said_.clear();
    SleepingLock lock(kind);
    job(0, [&](cpu::Core& core) {
      locks_.interleaver().current().set_unseen(true);
      core.execute(2000);
      const Holding held(&locks_, lock, core);
      note(core, "holds");
    });
    job(1, [&](cpu::Core& core) {
      work(core);
      note(core, "is earlier");
    });
    run();
    const bool by_all = kind != LockKind::kMmap;
    EXPECT_EQ(said_, by_all ? "1is earlier 0holds " : "0holds 1is earlier ");
  }
  PageTableLocks tables(locks_);
  for (const cpu::Seen by : {cpu::Seen::kByAll, cpu::Seen::kByAddressSpace}) {
    said_.clear();
    job(0, [&](cpu::Core& core) {
      locks_.interleaver().current().set_unseen(true);
      core.execute(2000);
      tables.lock(core, Pfn(1), by);
      note(core, "holds");
      tables.unlock(core, Pfn(1), by);
    });
    job(1, [&](cpu::Core& core) {
      work(core);
      note(core, "is earlier");
    });
    run();
    const bool by_all = by == cpu::Seen::kByAll;
    EXPECT_EQ(said_, by_all ? "1is earlier 0holds " : "0holds 1is earlier ");
  }
}

TEST_F(InterleavedLocks, CoresThatWaitForEachOtherAreADefect) {
  SleepingLock other(LockKind::kMmap);
  job(0, [&](cpu::Core& core) {
    lock_.lock(locks_, core);
    work(core, 5);
    other.lock(locks_, core);
  });
  job(1, [&](cpu::Core& core) {
    other.lock(locks_, core);
    work(core, 5);
    lock_.lock(locks_, core);
  });
  EXPECT_THROW(run(), ModelError);
}

}  // namespace
}  // namespace kpksim::kernel
