// What is kept of a sweep, and what outlives what: points here are texts, no simulations.

#include "sim/sweep/store.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "sim/base/error.h"
#include "sim/sweep/pareto.h"
#include "sim/sweep/runner.h"
#include "tests/scratch.h"

namespace kpksim::sweep {
namespace {

using namespace std::chrono_literals;

class SweepStore : public testing::Test {
 protected:
  SweepStore() { std::filesystem::create_directories(folder_); }
  ~SweepStore() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  static Identity identity(Point points) {
    return {"s", "the spec", "1", points, {{"core:a", "its text"}}};
  }
  static Row row(Point p) {
    if (p % 7 == 3) return {p, "h", "{}", "", fmt::format("point {} fails", p)};
    return {p, "h", "{}", fmt::format("{{\"n\":{}}}", p * p), ""};
  }
  static std::string all(Store& store) {
    std::string text;
    store.each([&](const Row& r) {
      text += fmt::format("{} {} {} {} {}\n", r.point, r.hash, r.config, r.totals, r.error);
    });
    return text;
  }
  // What a sweep that nothing interrupted has.
  std::string whole(Point points) {
    Store store = Store::open(file("whole"), identity(points));
    run_missing(store, {{}, 1, row});
    return all(store);
  }
  template <class Work>
  static std::string refusal(const Work& work) {
    try {
      work();
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }

  const std::filesystem::path folder_ = kpksim::test::scratch_folder() / "store";
};

TEST_F(SweepStore, DoesNotDependOnThreads) {
  const std::string one = whole(2000);
  for (const unsigned jobs : {2u, 7u}) {
    Store store = Store::open(file(std::to_string(jobs)), identity(2000));
    run_missing(store, {{}, jobs, row});
    EXPECT_EQ(all(store), one);
  }
}

TEST_F(SweepStore, OnlyMissingPointsAreRun) {
  Store store = Store::open(file("a"), identity(1000));
  store.add({row(5), row(999), row(400), row(3)});
  std::mutex mutex;
  std::set<Point> run;
  const auto note = [&](Point p) {
    const std::scoped_lock lock(mutex);
    EXPECT_TRUE(run.insert(p).second) << p;
    return row(p);
  };
  run_missing(store, {{}, 3, note});
  EXPECT_EQ(run.size(), 996u);
  EXPECT_FALSE(run.contains(400) || run.contains(3));
  EXPECT_EQ(all(store), whole(1000));
  run.clear();
  run_missing(store, {{}, 3, note});
  EXPECT_TRUE(run.empty());
  store.forget_failed();
  run_missing(store, {{}, 3, note});
  EXPECT_EQ(run.size(), 143u);  // those that fail
}

// 50 times, at moments that a commit may be in; each process lives for less than a tenth of a
// second, so that the test is short.
TEST_F(SweepStore, AKillLosesNothingThatIsKept) {
  constexpr Point kPoints = 3000;
  std::mt19937 random(1);
  Point kept = 0;
  bool progressed = false;
  for (int kill_number = 0; kill_number < 50; ++kill_number) {
    const pid_t child = fork();
    if (child == 0) {
      Store store = Store::open(file("a"), identity(kPoints));
      run_missing(store, {{}, 2, [](Point p) {
                            std::this_thread::sleep_for(200us);
                            return row(p);
                          }});
      _exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 200'000));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    if (!std::filesystem::exists(file("a")) || std::filesystem::file_size(file("a")) == 0) continue;
    Store store = Store::open(file("a"), identity(kPoints));
    const Point now = store.counts().done;
    EXPECT_GE(now, kept);
    progressed = progressed || (now > kept && now < kPoints);
    kept = now;
  }
  EXPECT_TRUE(progressed);
  Store store = Store::open(file("a"), identity(kPoints));
  run_missing(store, {{}, 2, row});
  EXPECT_EQ(all(store), whole(kPoints));
}

TEST_F(SweepStore, WhatIsDoneIsKeptWhenOneThrows) {
  Store store = Store::open(file("a"), identity(100));
  EXPECT_THROW(run_missing(store, {{},
                                   1,
                                   [](Point p) {
                                     if (p == 50) throw std::bad_alloc();
                                     return row(p);
                                   }}),
               std::bad_alloc);
  EXPECT_EQ(store.counts().done, 50u);
}

TEST_F(SweepStore, AStopKeepsWhatIsDone) {
  Store store = Store::open(file("a"), identity(100));
  std::atomic<bool> stop = false;
  Task task{{}, 1, row};
  task.on_done = [&, n = 0](bool) mutable { stop = ++n == 10; };
  task.stop = &stop;
  run_missing(store, task);
  EXPECT_EQ(store.counts().done, 10u);
}

TEST_F(SweepStore, OneProcessAtATimeWritesAndOthersRead) {
  Store store = Store::open(file("a"), identity(10));
  store.add({row(1)});
  EXPECT_NE(refusal([&] { Store::open(file("a"), identity(10)); }).find("another process"),
            std::string::npos);
  Store reader = Store::read(file("a"));
  EXPECT_EQ(reader.counts().done, 1u);
}

TEST_F(SweepStore, AnotherSweepsIsRefused) {
  { Store::open(file("a"), identity(10)); }
  Identity other = identity(10);
  other.spec = "another";
  EXPECT_NE(refusal([&] { Store::open(file("a"), other); }).find("specification"),
            std::string::npos);
  other = identity(10);
  other.version = "2";
  EXPECT_NE(refusal([&] { Store::open(file("a"), other); }).find("version"), std::string::npos);
  other = identity(10);
  other.inputs["core:a"] = "another text";
  EXPECT_NE(refusal([&] { Store::open(file("a"), other); }).find("'core:a' is not what it was"),
            std::string::npos);
  std::ofstream(file("text")) << "no database, but a text of some length";
  EXPECT_NE(refusal([&] { Store::open(file("text"), other); }).find("no store"), std::string::npos);
  EXPECT_NE(refusal([&] { Store::read(file("none")); }).find("no such store"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(file("none")));
}

TEST_F(SweepStore, ShardsAreThePointsOnce) {
  Point sum = 0;
  std::set<Point> met;
  for (Point i = 0; i < 7; ++i) {
    const Shard shard{i, 7};
    sum += shard.size(1000);
    Store store = Store::open(file(std::to_string(i)), identity(1000));
    run_missing(store, {shard, 2, [&](Point p) {
                          EXPECT_TRUE(shard.has(p));
                          return row(p);
                        }});
    EXPECT_EQ(store.counts().done, shard.size(1000));
    for (const Point p : store.done(0, 1000)) EXPECT_TRUE(met.insert(p).second);
  }
  EXPECT_EQ(sum, 1000u);
  EXPECT_EQ(met.size(), 1000u);
}

TEST_F(SweepStore, MergedShardsAreTheWholeAndMergingAgainChangesNothing) {
  const auto shard = [&](Point i) {
    Store store = Store::open(file(std::to_string(i)), identity(300));
    run_missing(store, {{i, 3}, 1, row});
  };
  shard(0);
  shard(2);
  Store store = Store::open(file("all"), identity(300));
  store.merge({file("2"), file("0")});
  using Ranges = std::vector<std::pair<Point, Point>>;
  EXPECT_EQ(store.missing(2), (Ranges{{1, 1}, {4, 4}}));
  EXPECT_EQ(store.counts().done, 200u);
  shard(1);
  for (int again = 0; again < 2; ++again) {
    store.merge({file("1")});
    EXPECT_EQ(all(store), whole(300));
    EXPECT_TRUE(store.missing(5).empty());
    store.merge({file("0")});
  }
}

TEST_F(SweepStore, AMergeRefusesOtherSweepsAndOtherResults) {
  Store store = Store::open(file("all"), identity(10));
  store.add({row(1), row(3)});
  { Store::open(file("other"), identity(11)).add({row(2)}); }
  EXPECT_NE(refusal([&] { store.merge({file("other")}); }).find("cannot be merged"),
            std::string::npos);
  Row wrong = row(1);
  wrong.totals = "{}";
  { Store::open(file("wrong"), identity(10)).add({row(0), wrong}); }
  EXPECT_NE(refusal([&] { store.merge({file("wrong")}); }).find("point 1 has another result"),
            std::string::npos);
  EXPECT_EQ(store.counts().done, 2u);
  // One that failed here and not there is taken from there.
  Row better = row(2);
  better.point = 3;
  { Store::open(file("better"), identity(10)).add({better}); }
  store.merge({file("better")});
  EXPECT_EQ(store.counts().failed, 0u);
}

TEST_F(SweepStore, AFrontHasWhatNothingIsBetterThan) {
  ParetoFront front;
  front.add(0, {1, 9});
  front.add(1, {5, 5});
  front.add(2, {6, 5});  // worse than 1
  front.add(3, {9, 1});
  front.add(4, {5, 5});  // as good
  front.add(5, {0, 9});  // better than 0
  std::vector<Point> points;
  for (const auto& m : front.members()) points.push_back(m.point);
  EXPECT_EQ(points, (std::vector<Point>{5, 1, 4, 3}));
}

}  // namespace
}  // namespace kpksim::sweep
