// Claims about what is recorded beside the counters: distributions, and counters over time.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "sim/base/error.h"
#include "sim/watch/distribution.h"
#include "sim/watch/recorder.h"
#include "tests/command_line.h"
#include "tests/kernel/fixture.h"

namespace kpksim::watch {
namespace {

using nlohmann::json;

RC_GTEST_PROP(Distribution, HasThePercentilesOfTheSortedValues, ()) {
  const auto values = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(0, 1000)));
  Distribution first, second;
  for (std::size_t i = 0; i < values.size(); ++i) (i % 3 == 0 ? first : second).add(values[i]);
  first += second;
  std::vector<std::uint64_t> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  RC_ASSERT(first.count() == sorted.size());
  RC_ASSERT(first.sum() == std::accumulate(sorted.begin(), sorted.end(), std::uint64_t{0}));
  RC_ASSERT(first.least() == sorted.front());
  RC_ASSERT(first.most() == sorted.back());
  for (const std::uint64_t parts : {0u, 1u, 500u, 900u, 990u, 999u, 1000u}) {
    // The first value with at least so many values up to it.
    std::size_t rank = 0;
    while ((rank + 1) * 1000 < parts * sorted.size()) ++rank;
    RC_ASSERT(first.quantile(parts, 1000) == sorted[rank]);
  }
}

TEST(Distribution, OfNothingIsZero) {
  const Distribution none;
  EXPECT_EQ(none.count(), 0u);
  EXPECT_EQ(none.quantile(99, 100), 0u);
  EXPECT_EQ(none.most(), 0u);
}

TEST(Interval, IsCyclesOrOperations) {
  EXPECT_EQ(parse_interval("--i", "500").length, 500u);
  EXPECT_FALSE(parse_interval("--i", "500cycles").operations);
  EXPECT_TRUE(parse_interval("--i", "7ops").operations);
  for (const char* wrong :
       {"", "0", "0ops", "-1", "5op", "5 ops", "ops", "1.5", "99999999999999999999"}) {
    EXPECT_THROW(parse_interval("--i", wrong), InputError) << wrong;
  }
}

// What a TLBI is said to drop is what the TLBs and the walk cache lose by it.
class Losses final : public cpu::Observer {
 public:
  explicit Losses(cpu::Core& core) : core_(core) { core.set_observer(this); }
  ~Losses() override { core_.set_observer(nullptr); }
  Losses(const Losses&) = delete;
  Losses& operator=(const Losses&) = delete;

  void reaching(const mmu::TlbiEffect& effect, cpu::Core& on, std::size_t) override {
    said += entries_dropped(on, effect, false);
    ++tlbis;
  }
  void leaf_cached(PhysAddr, VirtAddr, Asid, const mmu::Leaf&) override {}
  void table_cached(PhysAddr, VirtAddr, Asid, const mmu::WalkState&) override {}
  void updating(PhysAddr, std::uint64_t) override {}
  void judged(VirtAddr, const mmu::Leaf&, const poe::Access&) override {}
  void tlbi(const mmu::TlbiOp&, const mmu::TlbiEffect&, const cpu::CoreSet*) override {}
  void before_barrier(cpu::Barrier) override { before_ = held(); }
  void after_barrier(cpu::Barrier) override { lost += before_ - held(); }
  void register_written() override {}
  void exception(unsigned) override {}
  void eret(unsigned) override {}

  std::uint64_t said = 0, lost = 0, tlbis = 0;

 private:
  std::uint64_t held() const {
    const auto& tables = core_.mmu().walk_cache().entries();
    return tlb_entries(core_.mmu()) +
           static_cast<std::uint64_t>(
               std::count_if(tables.begin(), tables.end(), [](const auto& e) { return e.valid; }));
  }

  cpu::Core& core_;
  std::uint64_t before_ = 0;
};

TEST(EntriesDropped, AreWhatTlbsAndWalkCacheLose) {
  kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(),
                        kernel::config("kpkeys-poe", false, "per-page", kernel::Granularity::kPte));
  Losses losses(kernel.system().machine.core(0));
  kernel.spawn(1);
  const std::uint64_t at = kernel.mmap(1, kernel::rw(), 1 << 20, 0);
  for (std::uint64_t page = 0; page < 256; ++page) {
    kernel.touch(1, at + page * kPageSize, poe::AccessKind::kWrite);
  }
  kernel.fork(1, 2);
  for (std::uint64_t page = 0; page < 64; ++page) {
    kernel.touch(1, at + page * kPageSize, poe::AccessKind::kWrite);
  }
  kernel.mprotect(1, at, 1 << 19, true, false, false);
  kernel.munmap(1, at, 1 << 20);
  kernel.exit(2);
  EXPECT_GT(losses.tlbis, 70u);
  EXPECT_GT(losses.said, 64u);
  EXPECT_EQ(losses.said, losses.lost);
}

constexpr const char* kPhases = R"({"name":"two","phases":[
  {"name":"grow","ops":[
    {"op":"spawn","task":"p"},
    {"op":"mmap","task":"p","region":"h","size":"2M","prot":"rw"},
    {"op":"touch","task":"p","region":"h","access":"write"}]},
  {"name":"forks","ops":[
    {"op":"fork","task":"p","child":"c"},
    {"op":"touch","task":"p","region":"h","access":"write"},
    {"op":"exit","task":"c"},
    {"op":"fork","task":"p","child":"d"},
    {"op":"exit","task":"d"},
    {"op":"munmap","task":"p","region":"h"}]}]})";

class Recorded : public test::CommandLine {
 protected:
  json record(const std::string& options) {
    write("w.json", kPhases);
    EXPECT_EQ(run("run -q -o r.json " + options + " w.json"), 0) << message_;
    const std::string text = read(file("r.json"));
    EXPECT_EQ(test::violation(text, read(test::source_path("docs/result.schema.json"))), "");
    return json::parse(text)["runs"][0];
  }
  static std::uint64_t sum(const json& list) {
    const auto numbers = list.get<std::vector<std::uint64_t>>();
    return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
  }
  static void expect_sums(const json& phase) {
    const json& series = phase["series"];
    const std::size_t parts = series["end_cycles"].size();
    EXPECT_EQ(sum(series["cycles"]), phase["cycles"]["total"].get<std::uint64_t>());
    EXPECT_EQ(sum(series["page_table_writes"]), phase["page_table_writes"].get<std::uint64_t>());
    EXPECT_EQ(series["events"].size(), phase["events"].size());
    for (const auto& [name, e] : phase["events"].items()) {
      EXPECT_EQ(sum(series["events"][name]), e["total"].get<std::uint64_t>()) << name;
      EXPECT_EQ(series["events"][name].size(), parts) << name;
    }
    EXPECT_EQ(series["tables"].back(), phase["allocator"]["live"]);
    EXPECT_EQ(series["cached"].back(), phase["allocator"]["cached"]);
    EXPECT_TRUE(std::is_sorted(series["end_cycles"].begin(), series["end_cycles"].end()));
    if (!series.contains("exposure")) return;
    for (const char* when : {"at_rest", "in_windows"}) {
      for (const char* owner : {"own", "kernel", "other"}) {
        EXPECT_EQ(sum(series["exposure"][when][owner]), phase["exposure"][when][owner]) << owner;
      }
    }
    EXPECT_EQ(sum(series["exposure"]["windows"]), phase["exposure"]["windows"]);
  }
};

TEST_F(Recorded, SeriesSumUpToTheirPhases) {
  for (const char* options : {"--interval 20000 -p kpkeys-poe,per-page,pte",
                              "--interval 1ops -p kpkeys-poe+lazy,pba,block",
                              "--interval 50000cycles --cores 3 -p none,buddy,pte",
                              "--interval 20000 --interleave --cores 2 -p kpkeys-poe,per-page,pte",
                              "--interval 2ops --interleave --cores 2 -p none,buddy,pte"}) {
    const json run = record(options);
    for (const json& phase : run["phases"]) expect_sums(phase);
  }
}

TEST_F(Recorded, PartsAreAsLongAsWasAskedFor) {
  const json cycles = record("--interval 2000 -p none,buddy,pte")["phases"][0]["series"];
  const auto ends = cycles["end_cycles"].get<std::vector<std::uint64_t>>();
  ASSERT_GT(ends.size(), 5u);
  // A part ends with the first event behind its interval.
  for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
    EXPECT_GE(ends[i], (i + 1) * 2000);
    EXPECT_TRUE(i == 0 || ends[i] / 2000 > ends[i - 1] / 2000) << i;
  }
  EXPECT_EQ(cycles["unit"], "cycles");
  // Six operations: three parts of two, and what comes behind them.
  const json operations = record("--interval 2ops -p none,buddy,pte")["phases"][1]["series"];
  EXPECT_EQ(operations["unit"], "operations");
  EXPECT_EQ(operations["cycles"].size(), 4u);
  EXPECT_EQ(operations["cycles"].back(), 0);
}

TEST_F(Recorded, TooManyIntervalsAreRefused) {
  EXPECT_EQ(run("run -q --interval 1 vmalloc-p1"), 2);
  EXPECT_NE(message_.find("more than 65536 intervals of 1 cycles"), std::string::npos) << message_;
}

TEST_F(Recorded, DistributionsCountWhatTheRunCounts) {
  for (const char* options :
       {"-p kpkeys-poe,per-page,pte", "-p kpkeys-poe+lazy,pba,block --cores 2",
        "-p kpkeys-poe,per-page,block --interleave --cores 2"}) {
    const json run = record(std::string("--distributions ") + options);
    std::uint64_t faults = 0, forks = 0;
    std::vector<json> parts = run["phases"];
    parts.push_back(run["total"]);
    for (const json& part : parts) {
      const json& d = part["distributions"];
      std::uint64_t tlbis = 0, part_faults = 0, walks = 0;
      for (const auto& [name, e] : part["events"].items()) {
        if (name.starts_with("tlbi_")) tlbis += e["total"].get<std::uint64_t>();
        if (name.starts_with("fault_")) part_faults += e["total"].get<std::uint64_t>();
      }
      EXPECT_EQ(d["tlbi_entries_dropped"]["count"], tlbis) << options;
      for (const auto& [bytes, n] : d["walks_by_page_bytes"].items())
        walks += n.get<std::uint64_t>();
      EXPECT_EQ(walks, part["events"]["walk"]["total"]) << options;
      EXPECT_EQ(d["latency_cycles"]["page_fault"]["count"], part_faults) << options;
      const json& keyed = part["linear_map"]["set_memory_pkey"];
      const json& latencies = d["latency_cycles"];
      EXPECT_EQ(
          latencies.contains("set_memory_pkey") ? latencies["set_memory_pkey"]["count"] : json(0),
          keyed)
          << options;
      for (const auto& [name, one] : latencies.items()) {
        EXPECT_LE(one["least"], one["p50"]);
        EXPECT_LE(one["p50"], one["p99"]);
        EXPECT_LE(one["p99"], one["most"]);
      }
    }
    forks = run["total"]["distributions"]["latency_cycles"]["fork"]["count"];
    faults = run["total"]["distributions"]["latency_cycles"]["page_fault"]["count"];
    EXPECT_EQ(forks, 2u);
    EXPECT_GT(faults, 512u);
    EXPECT_GT(run["total"]["distributions"]["walks_by_page_bytes"]["4096"], 0);
  }
}

TEST_F(Recorded, ChangesNothingElse) {
  for (const char* options : {"-p kpkeys-poe+lazy,pba,block --cores 2",
                              "-p kpkeys-poe,per-page,pte --interleave --cores 2"}) {
    json with = record(std::string("--distributions --interval 10000 ") + options);
    const json plain = record(options);
    for (json& phase : with["phases"]) {
      EXPECT_EQ(phase.erase("distributions") + phase.erase("series"), 2u);
    }
    EXPECT_EQ(with["total"].erase("distributions"), 1u);
    EXPECT_EQ(with, plain) << options;
    EXPECT_FALSE(plain["total"].contains("distributions"));
  }
}

TEST_F(Recorded, TheTableShowsDistributionsWhereThereAreAny) {
  write("w.json", kPhases);
  EXPECT_EQ(run("run -q -p kpkeys-poe,per-page,pte --distributions w.json"), 0);
  for (const char* line : {"How long it took, in cycles", "fork, median", "page_fault, how often",
                           "set_memory_pkey, 99 of 100 at most", "Entries that a TLBI dropped",
                           "Table walks, by the page"}) {
    EXPECT_NE(printed().find(line), std::string::npos) << line << printed();
  }
  EXPECT_EQ(run("run -q -p kpkeys-poe,per-page,pte w.json"), 0);
  EXPECT_EQ(printed().find("How long it took"), std::string::npos);
}

TEST_F(Recorded, PlotsDrawTheSeriesOverTime) {
  const json run_of = record("--interval 50000 -p kpkeys-poe+lazy,pba,block");
  EXPECT_EQ(run("plot r.json --x time --y events.store -o f.csv"), 0) << message_;
  std::istringstream lines(read(file("f.csv")));
  std::string line;
  std::getline(lines, line);  // the head
  double sum = 0, last = -1;
  std::size_t points = 0;
  for (; std::getline(lines, line); ++points) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 3; ++i) std::getline(fields, field, ',');
    EXPECT_GE(std::stod(field), last);
    last = std::stod(field);
    std::getline(fields, field, ',');
    sum += std::stod(field);
  }
  EXPECT_GT(points, 20u);
  EXPECT_EQ(sum, run_of["total"]["events"]["store"]["total"].get<double>());
  record("-p none,buddy,pte");
  EXPECT_EQ(run("plot r.json --x time --y events.store -o f.csv"), 2);
  EXPECT_NE(message_.find("has no series over time"), std::string::npos) << message_;
}

}  // namespace
}  // namespace kpksim::watch
