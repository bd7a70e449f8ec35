// The cost model: what things cost depends on what was there before, and every cycle has a cause.

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/cpu/core.h"
#include "tests/paths.h"
#include "tests/place.h"
#include "tests/scratch.h"

namespace kpksim::cpu {
namespace {

const std::string kProfile = kpksim::test::source_path("profiles/cores/neoverse-v1.json");

std::uint64_t total(const Core& core, Event event) { return core.counters().total(event); }

// A cache as a list of each set, from least to most recently used.
class Lists {
 public:
  Lists(std::uint32_t sets, std::uint32_t ways) : ways_(ways), sets_(sets) {}
  bool access(std::uint64_t line) {
    auto& set = sets_[line % sets_.size()];
    const auto at = std::find(set.begin(), set.end(), line);
    const bool there = at != set.end();
    if (there) set.erase(at);
    set.push_back(line);
    if (set.size() > ways_) set.pop_front();
    return there;
  }

 private:
  std::uint32_t ways_;
  std::vector<std::deque<std::uint64_t>> sets_;
};

// A few, and of 64 TB and more: their tags are long, and agree with others' in 32 bits.
std::vector<std::uint64_t> some_lines(std::uint32_t sets, std::uint32_t ways) {
  auto lines = *rc::gen::container<std::vector<std::uint64_t>>(
      200, rc::gen::inRange<std::uint64_t>(0, 2 * std::uint64_t{sets} * ways));
  const auto far = *rc::gen::inRange<std::size_t>(0, lines.size() + 1);
  for (std::size_t i = far; i < lines.size(); ++i) {
    if (i % 2 != 0) lines[i] += std::uint64_t{sets} << 32;
  }
  return lines;
}

RC_GTEST_PROP(Cache, KeepsTheLinesUsedLast, ()) {
  const auto sets = *rc::gen::inRange<std::uint32_t>(1, 5);
  const auto ways = *rc::gen::inRange<std::uint32_t>(1, 19);  // some are more than an order holds
  CacheRoom room(Cache::bytes({sets, ways}));
  Cache cache({sets, ways}, room);
  Lists reference(sets, ways);
  for (const std::uint64_t line : some_lines(sets, ways)) {
    RC_ASSERT(cache.access(line) == reference.access(line));
  }
}

TEST(CacheRoom, AreNotGivenTwice) {
  CacheRoom room(Cache::bytes({4, 2}) + Cache::bytes({4, 4}));
  Cache one({4, 2}, room), other({4, 4}, room);
  for (std::uint64_t line = 0; line < 16; ++line) EXPECT_FALSE(other.access(line));
  for (std::uint64_t line = 0; line < 8; ++line) EXPECT_FALSE(one.access(line)) << "empty still";
  EXPECT_THROW(Cache({1, 1}, room), ModelError);
}

TEST(StreamPrefetcher, ForeseesTheThirdLineOfAStream) {
  StreamPrefetcher prefetcher;
  EXPECT_FALSE(prefetcher.predicts(1000));
  EXPECT_FALSE(prefetcher.predicts(5000));  // another stream between
  EXPECT_FALSE(prefetcher.predicts(1001));
  EXPECT_TRUE(prefetcher.predicts(1002));
  EXPECT_FALSE(prefetcher.predicts(4999));  // downwards
  EXPECT_TRUE(prefetcher.predicts(4998));
  EXPECT_FALSE(prefetcher.predicts(1004));  // a line left out
  EXPECT_FALSE(prefetcher.predicts(1003 + (1ull << 32))) << "goes on in the lower half alone";
  EXPECT_TRUE(prefetcher.predicts(1003)) << "of the stream that was at 1002";
}

TEST(DataCaches, FindALineWhereItIs) {
  CacheRoom room(4096);
  Cache llc({64, 4}, room);
  DataCaches caches({2, 1}, {4, 2}, llc, room);
  const auto line = [](std::uint64_t n) { return PhysAddr(n * 1024 << kLineShift); };  // one set
  EXPECT_EQ(caches.access(line(1)), MemoryLevel::kDram);
  EXPECT_EQ(caches.access(line(1)), MemoryLevel::kL1);
  EXPECT_EQ(caches.access(line(3)), MemoryLevel::kDram);
  EXPECT_EQ(caches.access(line(1)), MemoryLevel::kL2);
  EXPECT_EQ(caches.access(line(5)), MemoryLevel::kDram);
  EXPECT_EQ(caches.access(line(7)), MemoryLevel::kDram);
  EXPECT_EQ(caches.access(line(1)), MemoryLevel::kLlc);
}

// Whatever way finds a line in the first level, all look at the same.
RC_GTEST_PROP(DataCaches, FindWhatPlainListsFind, ()) {
  const auto sets = *rc::gen::element<std::uint32_t>(1, 2, 3);
  const auto ways = *rc::gen::element<std::uint32_t>(1, 2, 4, 6);
  const CacheGeometry l1d{sets, ways}, others{4, 2};
  CacheRoom room(Cache::bytes(l1d) + 2 * Cache::bytes(others));
  Cache llc(others, room);
  DataCaches caches(l1d, others, llc, room);
  Lists reference(sets, ways);
  for (const std::uint64_t line : some_lines(sets, ways)) {
    const bool first = caches.access(PhysAddr(line << kLineShift)) == MemoryLevel::kL1;
    RC_ASSERT(first == reference.access(line));
  }
}

class Cost : public testing::Test {
 protected:
  Machine machine_{read_core_profile(kProfile), 4};
  Core& core_ = machine_.core(0);
};

// The clock is added up from where it was asked last; whoever asks it, all say the same.
TEST_F(Cost, IsTheSameByTheClockAndByTheCounters) {
  const auto page = VirtAddr(0x40000000);
  for (unsigned i = 0; i < 40; ++i) {
    const CauseScope scope(core_, static_cast<CauseId>(i % 3));
    if (i % 5 == 0) core_.msr_por_el1(i % 2 == 0 ? ~0ull : 0);
    if (i % 5 == 1) core_.isb();
    core_.load64(page);
    core_.store64(page, i);
    if (i % 7 == 0) core_.time();
    core_.user_access(page, poe::AccessKind::kRead);
    const auto [rest, open] = core_.elapsed();
    std::uint64_t millicycles = 0;
    const Counters counters = core_.counters();
    for (const auto& event : counters.millicycles) {
      for (const std::uint64_t m : event) millicycles += m;
    }
    EXPECT_EQ(rest + open, millicycles) << i;
    if (i % 11 == 0) {
      EXPECT_EQ(core_.time(), millicycles);
    }
  }
}

TEST_F(Cost, OfAnIsb_DependsOnTheWorkInFlight) {
  core_.execute(100);
  core_.isb();
  EXPECT_EQ(total(core_, Event::kInFlight), 100u);
  core_.isb();  // nothing since the last one
  EXPECT_EQ(total(core_, Event::kInFlight), 100u);
  core_.execute(100'000);  // more than the pipeline holds
  core_.isb();
  EXPECT_EQ(total(core_, Event::kInFlight), 100u + machine_.profile().window);
}

TEST_F(Cost, OfADsb_GrowsWithTheCoresThatMustAnswer) {
  core_.dsb_ish();  // nothing to wait for
  core_.tlbi({mmu::TlbiKind::kVmalle1, mmu::Domain::kLocal}, 0);
  core_.dsb_ish();
  EXPECT_EQ(total(core_, Event::kDvmSync), 0u);
  core_.tlbi({mmu::TlbiKind::kVmalle1}, 0);
  core_.tlbi({mmu::TlbiKind::kVmalle1}, 0);
  core_.dsb_ish();
  EXPECT_EQ(total(core_, Event::kDvmSync), 1u);
  EXPECT_EQ(total(core_, Event::kDvmCore), 3u);
  EXPECT_EQ(total(core_, Event::kDvmRival), 0u);
}

TEST_F(Cost, OfADsb_GrowsWithTheCoresThatBroadcastToo) {
  const auto broadcast = [&](unsigned core) {
    machine_.core(core).tlbi({mmu::TlbiKind::kVmalle1}, 0);
    machine_.core(core).dsb_ish();
  };
  for (int round = 0; round < 2; ++round) {
    for (const unsigned core : {0u, 1u, 2u}) broadcast(core);
  }
  EXPECT_EQ(total(core_, Event::kDvmRival), 2u);
  broadcast(0);
  broadcast(0);  // alone again
  EXPECT_EQ(total(core_, Event::kDvmRival), 4u);
}

TEST_F(Cost, OfKernelCode_IsHigherAfterUserCode) {
  core_.execute(16'000);
  EXPECT_EQ(total(core_, Event::kCodeLine), 0u);
  core_.execute_user(10'000'000);  // displaces all of the L1I
  core_.execute(1600);
  const std::uint64_t cold = total(core_, Event::kCodeLine);
  EXPECT_EQ(cold, 100u);  // a line for each 16 instructions
  core_.execute_loop(1'000'000);
  EXPECT_EQ(total(core_, Event::kCodeLine), cold);
  core_.execute(10'000'000);
  EXPECT_LE(total(core_, Event::kCodeLine), machine_.profile().l1i.lines());
}

TEST_F(Cost, OfAnInterprocessorInterrupt_IsPaidByBoth) {
  core_.send_ipi(2, [](Core&) {});
  core_.hvc();
  EXPECT_EQ(total(core_, Event::kIpi), 1u);
  EXPECT_EQ(total(core_, Event::kHvc), 1u);
  EXPECT_EQ(total(machine_.core(2), Event::kExceptionEl1), 1u);
  EXPECT_EQ(total(machine_.core(2), Event::kEret), 1u);
}

RC_GTEST_PROP(Cycles, SumExactlyOverCausesAndEvents, ()) {
  Machine machine(read_core_profile(kProfile), 2);
  Core& core = machine.core(0);
  std::array<std::uint64_t, kCauses> by_cause{};
  for (const auto step :
       *rc::gen::container<std::vector<unsigned>>(rc::gen::inRange<unsigned>(0, 7 * 16))) {
    const auto cause = static_cast<CauseId>(step % 16);
    const std::uint64_t before = core.counters().total_millicycles();
    {
      const CauseScope scope(core, cause);
      switch (step / 16) {
        case 0:
          core.execute(step * 37);
          break;
        case 1:
          core.execute_user(step * 1000);
          break;
        case 2:
          core.isb();
          break;
        case 3:
          core.touch_line(PhysAddr(step * 4096));
          break;
        case 4:
          core.tlbi({mmu::TlbiKind::kVmalle1}, 0);
          break;
        case 5:
          core.dsb_ish();
          break;
        default:
          core.atomic(PhysAddr(step));
          break;
      }
    }
    by_cause[cause] += core.counters().total_millicycles() - before;
  }
  const Counters counters = core.counters();
  std::uint64_t sum = 0;
  for (std::size_t c = 0; c < kCauses; ++c) {
    std::uint64_t of_cause = 0;
    for (std::size_t e = 0; e < kEvents; ++e) {
      RC_ASSERT(counters.millicycles[e][c] ==
                counters.count[e][c] * machine.profile().millicycles[e]);
      of_cause += counters.millicycles[e][c];
    }
    RC_ASSERT(of_cause == by_cause[c]);
    sum += of_cause;
  }
  RC_ASSERT(sum == counters.total_millicycles());
}

// A shipped profile with one number changed, and the message that refuses it.
class BadProfile : public testing::Test {
 protected:
  std::string refusal(const char* pointer, const nlohmann::json& value) {
    auto profile = nlohmann::json::parse(std::ifstream(kProfile));
    const nlohmann::json::json_pointer at(pointer);
    if (value.is_null()) {
      profile[at.parent_pointer()].erase(at.back());
    } else {
      profile[at] = value;
    }
    const std::string path = kpksim::test::scratch_file("bad-profile.json");
    std::ofstream(path) << profile;
    try {
      read_core_profile(path);
    } catch (const InputError& e) {
      return kpksim::test::without_place(e.what(), path);
    }
    return "accepted";
  }
};

TEST_F(BadProfile, IsRefusedWithItsPointer) {
  EXPECT_EQ(refusal("/cycles/isb", nullptr), "/cycles/isb: missing");
  EXPECT_EQ(refusal("/cycles/eret/value", -1), "/cycles/eret/value: must not be negative");
  EXPECT_EQ(refusal("/cache/l2_kib/value", 32),
            "/cache/l2_kib/value: the L2 is smaller than the L1D");
  EXPECT_EQ(refusal("/cache/llc_latency/range", nullptr),
            "/cache/llc_latency/range: missing: a number that is estimated needs a range");
  EXPECT_EQ(refusal("/cache/l2_latency/value", 3),
            "/cache/l2_latency/value: expected more than at the level before, l1d_latency");
  EXPECT_EQ(refusal("/cycles/eret/range", {50, 90}),
            "/cycles/eret/range: expected two numbers with the value between them");
  EXPECT_EQ(refusal("/core/clock_ghz/value", 0),
            "/core/clock_ghz/value: expected more than 0, up to 10");
}

TEST_F(BadProfile, CannotBeBuilt) {
  const auto measured = [](const nlohmann::json& value) {
    return nlohmann::json{{"value", value}, {"source", "a test"}, {"confidence", "measured"}};
  };
  EXPECT_EQ(refusal("/cache/l1d_ways", measured(3)),
            "/cache/l1d_ways/value: does not divide the number of lines");
  EXPECT_EQ(refusal("/cache/llc_kib", measured(512)),
            "/cache/llc_kib/value: the LLC is smaller than the L2");
  EXPECT_EQ(refusal("/cache/exposed", measured(2)), "/cache/exposed/value: expected a part of 1");
  EXPECT_EQ(refusal("/cache/dram_latency_ns", measured(20)),
            "/cache/dram_latency_ns/value: expected more than at the level before, llc_latency");
  EXPECT_EQ(refusal("/tlb/l2_sets", measured(1)),
            "/tlb: the L2 TLB is smaller than the L1 data TLB");
  EXPECT_EQ(refusal("/tlb/l1d_ways", measured(0)),
            "/tlb/l1d_ways/value: expected a whole number from 1 to 1,000,000");
  EXPECT_EQ(refusal("/cycles/instruction", measured(0)),
            "/cycles/instruction/value: an instruction takes time");
  EXPECT_EQ(refusal("/cycles/isb/value", "28"),
            "/cycles/isb/value: expected a number, found \"28\"");
  EXPECT_EQ(refusal("/cycles/isp", measured(28)), "/cycles/isp: unknown name; did you mean 'isb'?");
}

std::vector<std::string> shipped() {
  std::vector<std::string> paths;
  for (const auto& file :
       std::filesystem::directory_iterator(kpksim::test::source_path("profiles/cores"))) {
    paths.push_back(file.path().string());
  }
  return paths;
}

// No draw from the ranges makes a core that cannot be.
TEST(ShippedProfile, CanBeDrawn) {
  for (const std::string& path : shipped()) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      ASSERT_NO_THROW(draw_core_profile(path, seed)) << path << " " << seed;
    }
  }
}

TEST(ShippedProfile, IsAsItsSchemaSays) {
  std::ostringstream schema;
  schema << std::ifstream(kpksim::test::source_path("docs/core-profile.schema.json")).rdbuf();
  for (const std::string& path : shipped()) {
    EXPECT_NO_THROW(read_json_document(path, schema.str())) << path;
  }
}

// tools/fit-prices writes both.
TEST(ShippedProfile, HasTheFittedPriceWhereItSaysSo) {
  const auto fitted = nlohmann::json::parse(std::ifstream(kProfile))["cycles"];
  unsigned taken = 0;
  for (const std::string& path : shipped()) {
    const auto profile = nlohmann::json::parse(std::ifstream(path));
    for (const auto& [name, price] : profile["cycles"].items()) {
      if (!price["source"].get<std::string>().starts_with("as neoverse-v1")) continue;
      ++taken;
      EXPECT_EQ(price["value"], fitted[name]["value"]) << path << " " << name;
    }
  }
  EXPECT_GT(taken, 10u);
}

}  // namespace
}  // namespace kpksim::cpu
