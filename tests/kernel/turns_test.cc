// Claims about the order of strands (sim/cpu/interleaver.h): who comes first at one moment, what
// happens to a core at its turn, and a strand that fails.

#include <gtest/gtest.h>

#include <deque>

#include "sim/base/error.h"
#include "sim/cpu/interleaver.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

class StrandsInTurn : public testing::Test {
 protected:
  StrandsInTurn() : machine_(core_profile(), 3), interleaver_(machine_), turn_jobs_(3) {}

  void job(unsigned core, std::function<void(cpu::Core&)> fn) {
    turn_jobs_[core].push_back([this, core, fn] { fn(machine_.core(core)); });
  }
  void run(std::function<void(cpu::Core&)> at_turn = {}) {
    struct NothingKept final : cpu::Interleaver::Kept {
      void exchange() override {}
    };
    interleaver_.run({[this](unsigned core) {
                        std::function<void()> next;
                        if (turn_jobs_[core].empty()) return next;
                        next = turn_jobs_[core].front();
                        turn_jobs_[core].pop_front();
                        return next;
                      },
                      [] { return std::make_unique<NothingKept>(); }, [](unsigned) {}, at_turn});
  }
  void say(const cpu::Core& core, const std::string& what) {
    order_ += std::to_string(core.id()) + what + " ";
  }

  cpu::Machine machine_;
  cpu::Interleaver interleaver_;
  std::vector<std::deque<std::function<void()>>> turn_jobs_;
  std::string order_;
};

TEST_F(StrandsInTurn, WhoLetsPassComesAfterAllAtTheSameMoment) {
  for (const bool passes : {false, true}) {
    order_.clear();
    job(0, [&](cpu::Core& core) {
      say(core, "a");
      passes ? interleaver_.let_pass(core) : core.turn();
      say(core, "b");
    });
    job(1, [&](cpu::Core& core) { say(core, "c"); });
    job(2, [&](cpu::Core& core) { say(core, "d"); });
    run();
    EXPECT_EQ(order_, passes ? "0a 1c 2d 0b " : "0a 0b 1c 2d ");
  }
}

TEST_F(StrandsInTurn, WhoLetsPassComesBeforeAllThatAreLater) {
  job(0, [&](cpu::Core& core) {
    core.execute(1000);
    interleaver_.let_pass(core);
    say(core, "a");
  });
  job(1, [&](cpu::Core& core) {
    core.execute(2000);
    core.turn();
    say(core, "b");
  });
  run();
  EXPECT_EQ(order_, "0a 1b ");
}

TEST_F(StrandsInTurn, AtTheTurnOfACoreNobodyIsBehindIt) {
  unsigned turns = 0;
  for (const unsigned id : {0u, 1u}) {
    job(id, [&](cpu::Core& core) {
      for (int i = 0; i < 5; ++i) {
        core.execute(core.id() == 0 ? 700 : 1000);
        core.turn();
      }
    });
  }
  run([&](cpu::Core& core) {
    ++turns;
    const unsigned other = 1 - core.id();
    const bool ended = interleaver_.idles(other);
    EXPECT_TRUE(ended || machine_.core(other).time() >= core.time()) << core.id();
  });
  EXPECT_EQ(turns, 10u);
}

// Core 0 executes 2,000 instructions, of which core 1 sees the half, then as many as the bound on
// how far it may get ahead has cycles: at the second point it is too far ahead.
TEST_F(StrandsInTurn, WhatNobodySeesNeedsNoOrderAmongCores_ButForWhoIsFarAhead) {
  for (const bool unseen : {false, true}) {
    for (const bool by_all : {false, true}) {
      order_.clear();
      job(0, [&](cpu::Core& core) {
        EXPECT_FALSE(interleaver_.current().set_unseen(unseen));
        core.execute(2000);
        core.turn(by_all ? cpu::Seen::kByAll : cpu::Seen::kByAddressSpace);
        say(core, "near");
        while (core.time() < machine_.core(1).time() + 50'000'000) core.execute(1000);
        core.turn(cpu::Seen::kByAddressSpace);
        say(core, "far");
      });
      job(1, [&](cpu::Core& core) {
        core.execute(1000);
        core.turn();
        say(core, "early");
        core.execute(100'000);
        core.turn();
        say(core, "late");
      });
      run();
      const bool ahead = unseen && !by_all;
      EXPECT_EQ(order_, ahead ? "0near 1early 1late 0far " : "1early 0near 1late 0far ");
    }
  }
}

TEST_F(StrandsInTurn, AJobIsSeenUntilItSaysThatItIsNot) {
  for (int i = 0; i < 2; ++i) {
    job(0, [&](cpu::Core&) { EXPECT_FALSE(interleaver_.current().set_unseen(true)); });
  }
  run();
}

TEST_F(StrandsInTurn, AStrandThatFailsGoesNoFurtherAndRunThrowsWhy) {
  job(0, [&](cpu::Core& core) {
    core.turn();
    say(core, "on");
  });
  job(1, [&](cpu::Core& core) {
    core.execute(1000);
    core.turn();
    say(core, "on");
  });
  try {
    run([&](cpu::Core& core) {
      if (core.id() != 1) return;
      interleaver_.fail(std::make_exception_ptr(InputError("it cannot be done")));
    });
    ADD_FAILURE() << "nothing is thrown";
  } catch (const InputError& e) {
    EXPECT_STREQ(e.what(), "it cannot be done");
  }
  EXPECT_EQ(order_, "0on ");
  // It can be used again.
  job(1, [&](cpu::Core& core) { say(core, "again"); });
  run();
  EXPECT_EQ(order_, "0on 1again ");
}

}  // namespace
}  // namespace kpksim::kernel
