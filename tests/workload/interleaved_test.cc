// Claims about cores that run at once (docs/interleaving.md).

#include "sim/workload/interleaved.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "sim/base/error.h"
#include "tests/kernel/cores_at_once.h"
#include "tests/workload/interleaved_outcome.h"

namespace kpksim::workload {
namespace {

using cpu::Event;
using kernel::Granularity;
using kernel::LockKind;

class OneCore : public testing::TestWithParam<std::string> {};

TEST_P(OneCore, DoesTheSameInterleavedAsWhereOperationsTakeTurns) {
  const Workload workload = shipped(GetParam());
  for (const char* allocator : {"per-page", "pba"}) {
    const auto map = allocator == std::string("pba") ? Granularity::kBlock : Granularity::kPte;
    kernel::Config config = kernel::config("kpkeys-poe", true, allocator, map);
    config.memory_bytes = 8ull << 30;
    const Outcome turns = outcome_of(workload, config);
    config.interleave = true;
    const Outcome at_once = outcome_of(workload, config);
    EXPECT_TRUE(same(turns, at_once, false)) << allocator;
    for (const kernel::LockWaits& w : at_once.waits) EXPECT_EQ(w.waits, 0u);
    EXPECT_GT(at_once.of(LockKind::kPageTable).taken, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Interleaved, OneCore,
                         testing::Values("mixed", "fork-exec-server", "thread-churn", "thp",
                                         "page-cache-mapping", "pressure"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Core 0 has a window open for a table from its first store to its last; meanwhile core 1 stores to
// the same table, and is refused: the window is core 0's alone.
TEST(Interleaved, AWindowOnOneCoreOverlapsAStoreOnAnother) {
  kernel::Kernel k(kernel::core_profile(), kernel::kernel_profile(),
                   interleaved("kpkeys-poe", true, "per-page", Granularity::kPte, 2));
  k.spawn(1);
  kernel::System& system = k.system();
  const Pfn table = k.root_of(1);
  const VirtAddr va = kernel::linear_va(address_of(table) + 8 * 100);
  std::uint64_t opened = 0, closed = 0, stored = 0;
  std::vector<bool> refused;
  const auto window = [&](cpu::Core& core) {
    const kernel::Window open(system.tables, core, table);
    opened = core.time();
    for (int i = 0; i < 10; ++i) {
      core.execute(1000);
      core.turn();
      refused.push_back(static_cast<bool>(core.store64(va, 0)));
    }
    closed = core.time();
  };
  const auto store = [&](cpu::Core& core) {
    core.execute(3000);
    core.turn();
    stored = core.time();
    refused.push_back(static_cast<bool>(core.store64(va, 0)));
  };
  kernel::run_at_once(system, {window, store});
  EXPECT_LT(opened, stored);
  EXPECT_LT(stored, closed);
  ASSERT_EQ(refused.size(), 11u);
  EXPECT_EQ(std::count(refused.begin(), refused.end(), true), 1);
  EXPECT_FALSE(refused.front() || refused.back()) << "core 1's store did not come in between";
}

TEST(Interleaved, SeveralTasksThatFindPbasReserveReachedAllRefill) {
  const Workload workload = shipped("pba-refill-race");
  kernel::Config config = interleaved("kpkeys-poe", true, "pba", Granularity::kBlock, 16);
  config.memory_bytes = 8ull << 30;
  const Outcome at_once = outcome_of(workload, config);
  config.interleave = false;
  Workload turns = workload;
  turns.interleave = false;
  const Outcome one_by_one = outcome_of(turns, config);
  EXPECT_GT(at_once.refills, one_by_one.refills + 4);
  EXPECT_GT(at_once.of(LockKind::kAllocator).waits, 4u);
  EXPECT_EQ(at_once.stale, 0u);
}

// Four threads of one process unmap and map, each its own region: they wait for mmap_lock; faults
// alone do not.
Workload threads(bool calls) {
  std::string ops;
  for (const char* t : {"a", "b", "c", "d"}) {
    const std::string task = std::string("\"task\":\"") + t + "\"", region = std::string(t) + "r";
    const std::string where = task + ",\"region\":\"" + region + "\"";
    if (calls) {
      ops += R"({"repeat":50,"ops":[{"op":"mprotect",)" + where +
             R"(,"prot":"r"},{"op":"mprotect",)" + where + R"(,"prot":"rw"}]},)";
    } else {
      ops += R"({"op":"touch",)" + where + R"(,"access":"write"},)";
    }
  }
  ops.pop_back();
  std::string start = R"({"op":"spawn","task":"a"})";
  for (const char* t : {"b", "c", "d"}) {
    start += std::string(R"(,{"op":"clone","task":"a","child":")") + t + "\"}";
  }
  for (const char* t : {"a", "b", "c", "d"}) {
    start += std::string(R"(,{"op":"mmap","task":"a","region":")") + t +
             R"(r","size":"4M","prot":"rw","huge":"never"})";
    // Neighbours that are alike are one VMA, whose lock all would wait for.
    start += std::string(R"(,{"op":"mmap","task":"a","region":"gap)") + t +
             R"(","size":"64K","prot":"r"})";
  }
  return of_text(R"({"name":"t","phases":[{"name":"start","ops":[)" + start +
                 R"(]},{"name":"all","ops":[)" + ops + "]}]}");
}

TEST(Interleaved, CallsThatChangeAnAddressSpaceWaitForItsLock_FaultsInOtherVmasDoNot) {
  const kernel::Config config = interleaved("kpkeys-poe", true, "per-page", Granularity::kPte, 4);
  const Outcome calls = outcome_of(threads(true), config),
                faults = outcome_of(threads(false), config);
  EXPECT_GT(calls.of(LockKind::kMmap).waits, 50u);
  EXPECT_EQ(faults.of(LockKind::kMmap).waits, 0u);
  EXPECT_GT(faults.of(LockKind::kVma).taken, 4000u);
  EXPECT_EQ(calls.stale + faults.stale, 0u);
}

// dup_mmap() write-locks each VMA: it waits for faults in them, and new ones wait for it.
TEST(Interleaved, AForkWaitsForFaultsInItsVmas_AndFaultsForTheFork) {
  Workload workload = threads(false);
  std::vector<Step>& steps = workload.phases[1].steps;
  for (TaskId child = 100; child < 110; ++child) {
    for (const OpKind kind : {OpKind::kFork, OpKind::kExit, OpKind::kWait}) {
      Operation op;
      op.kind = kind;
      op.task = kind == OpKind::kExit ? child : workload.task_names.at("a");
      op.child = kind == OpKind::kExit ? 0 : child;
      steps.push_back({op, 1, {}});
    }
  }
  std::erase_if(steps, [&](const Step& s) {
    return s.op.kind == OpKind::kTouch && s.op.task == workload.task_names.at("a");
  });
  const Outcome out =
      outcome_of(workload, interleaved("kpkeys-poe", true, "per-page", Granularity::kPte, 4));
  EXPECT_GT(out.of(LockKind::kVma).waits, 0u);
  EXPECT_GT(out.of(LockKind::kMmap).waits, 0u);
  EXPECT_EQ(out.stale, 0u);
}

// Two tasks touch as many pages, each its own. Their faults need an order if both are of one
// process; of two processes none can see the other's.
TEST(Interleaved, FaultsOfAnAddressSpaceThatOneTaskHasTakeNoTurns) {
  std::array<std::uint64_t, 2> times_left{};
  for (const bool threads : {false, true}) {
    const std::string second =
        threads ? R"({"op":"clone","task":"a","child":"b"},)" : R"({"op":"spawn","task":"b"},)";
    const Workload w = of_text(R"({"name":"w","phases":[{"name":"p","ops":[
      {"op":"spawn","task":"a"},)" +
                               second + R"(
      {"op":"mmap","task":"a","region":"x","size":"256K","prot":"rw"},
      {"op":"mmap","task":"b","region":"y","size":"256K","prot":"rw"},
      {"op":"touch","task":"a","region":"x","access":"write"},
      {"op":"touch","task":"b","region":"y","access":"write"}]}]})");
    kernel::Kernel k(kernel::core_profile(), kernel::kernel_profile(),
                     interleaved("none", false, "buddy", Granularity::kPte, 2));
    Driver(k).run(w);
    times_left[threads ? 1 : 0] = k.system().interleaving->locks.interleaver().changes();
  }
  EXPECT_LT(times_left[0], 64u) << "fewer than pages that one task touches";
  EXPECT_GT(times_left[1], 128u) << "at least once for each page of both";
}

// Notes whether the core was seen by all that emptied an entry.
class CutsSeen final : public kernel::Observer {
 public:
  explicit CutsSeen(cpu::Interleaver& interleaver) : interleaver_(interleaver) {}
  void writing(cpu::Core&, PhysAddr, std::uint64_t now) override {
    if (now != 0) return;
    ++(interleaver_.current().unseen() ? unseen_ : seen_);
  }

  unsigned seen() const { return seen_; }
  unsigned unseen() const { return unseen_; }

 private:
  cpu::Interleaver& interleaver_;
  unsigned seen_ = 0, unseen_ = 0;
};

// Who unmaps its own pages is alone with them; who cuts a file takes its turns among those that map
// it.
TEST(Interleaved, WhoCutsAFileIsSeenByWhoMapsIt) {
  const Workload w = of_text(R"({"name":"w","phases":[{"name":"p","ops":[
    {"op":"spawn","task":"a"}, {"op":"spawn","task":"b"},
    {"op":"mmap","task":"a","region":"x","size":"64K","prot":"rw","file":"f","shared":true},
    {"op":"mmap","task":"b","region":"y","size":"64K","prot":"rw"},
    {"op":"touch","task":"a","region":"x","access":"write"},
    {"op":"touch","task":"b","region":"y","access":"write"},
    {"op":"munmap","task":"b","region":"y"},
    {"op":"truncate","task":"b","file":"f","size":"0"}]}]})");
  kernel::Kernel k(kernel::core_profile(), kernel::kernel_profile(),
                   interleaved("none", false, "buddy", Granularity::kPte, 2));
  CutsSeen cuts(k.system().interleaving->locks.interleaver());
  k.system().set_observer(&cuts);
  Driver(k).run(w);
  k.system().set_observer(nullptr);
  EXPECT_EQ(cuts.unseen(), 16u) << "y's pages";
  EXPECT_EQ(cuts.seen(), 16u) << "x's pages";
}

TEST(Interleaved, TheSameBytesAgain_WhateverOtherThreadsOfTheHostDo) {
  const Workload workload = threads(false);
  const kernel::Config config = interleaved("kpkeys-poe", false, "per-page", Granularity::kPte, 4);
  std::vector<Outcome> outcomes(4);
  std::vector<std::thread> host;
  for (Outcome& out : outcomes) host.emplace_back([&] { out = outcome_of(workload, config); });
  for (std::thread& t : host) t.join();
  for (const Outcome& out : outcomes) EXPECT_TRUE(same(outcomes[0], out, true));
}

// Processes of eight cores; the first unmaps again and again, and the others too, or only compute.
Workload unmapping(bool all) {
  std::string start, ops;
  for (const char* t : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    const std::string task = std::string(R"("task":")") + t + "\"";
    start += std::string(start.empty() ? "" : ",") + R"({"op":"spawn",)" + task + "}";
    const std::string region = task + R"(,"region":"r)" + t + "\"";
    ops += std::string(ops.empty() ? "" : ",");
    if (all || *t == 'a') {
      ops += R"({"repeat":100,"ops":[{"op":"mmap",)" + region + R"(,"size":")" +
             std::to_string(8 + 4 * (*t - 'a')) + R"(K","prot":"rw"},)" + R"({"op":"touch",)" +
             region + R"(,"access":"write"},{"op":"munmap",)" + region + "}]}";
    } else {
      ops += R"({"repeat":100,"ops":[{"op":"touch",)" + task +
             R"(,"region":"@data","access":"read"}]})";
    }
  }
  return of_text(R"({"name":"t","phases":[{"name":"start","ops":[)" + start +
                 R"(]},{"name":"all","ops":[)" + ops + "]}]}");
}

TEST(Interleaved, ADsbFindsRivalsWhereOtherCoresWaitAtThatMoment) {
  kernel::Config config = interleaved("none", false, "buddy", Granularity::kPte, 8);
  const auto rivals = [&](const Workload& w) {
    const Outcome out = outcome_of(w, config);
    std::uint64_t n = 0;
    for (const cpu::Counters& core : out.phases[1].cores) {
      n += core.total(Event::kDvmRival);
    }
    return n;
  };
  EXPECT_EQ(rivals(unmapping(false)), 0u);
  EXPECT_GT(rivals(unmapping(true)), 0u);
}

TEST(Interleaved, WhatExposureIsOverTimeAddsUpToWhatItIsInAll) {
  const Outcome out =
      outcome_of(threads(false), interleaved("none", false, "buddy", Granularity::kPte, 4));
  for (const PhaseResult& phase : out.phases) {
    ASSERT_TRUE(phase.interleaved);
    kernel::ExposureAmounts parts, cores;
    for (const auto& part : phase.interleaved->exposure.parts()) parts += part;
    for (const auto& core : phase.interleaved->exposure.cores()) cores += core;
    for (std::size_t i = 0; i < kernel::kTableOwners; ++i) {
      const auto all = static_cast<double>(phase.exposure.at_rest[i]);
      EXPECT_NEAR(static_cast<double>(parts.at_rest[i]), all, all * 1e-6);
      EXPECT_NEAR(static_cast<double>(cores.at_rest[i]), all, all * 1e-6);
    }
    EXPECT_LE(phase.interleaved->exposure.parts().size(), kernel::ExposureSeries::kParts);
  }
}

TEST(Interleaved, AnErrorOfOneCoreEndsAllAndSaysWhere) {
  Workload workload = threads(false);
  workload.phases[1].steps[2].op.length = 64ull << 20;  // beyond the region
  workload.phases[1].steps[2].op.line = 77;
  try {
    outcome_of(workload, interleaved("kpkeys-poe", true, "per-page", Granularity::kPte, 4));
    FAIL() << "not refused";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find(":77:"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace kpksim::workload
