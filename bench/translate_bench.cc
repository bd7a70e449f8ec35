// What one simulated access costs, against a bare two-level tag look-up of the same geometry. The
// figures that count are the ratios printed at the end, taken from the fastest repetition of each.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "bench/address_space.h"
#include "bench/bare_tlb.h"
#include "tests/paths.h"

namespace kpksim::bench {
namespace {

constexpr std::size_t kStreamLength = 1 << 17;

struct Stream {
  const char* name;
  std::uint64_t pages;
  bool random;
  double goal;  // model over bare, at most; 0: see kWalkGoal
};
constexpr Stream kStreams[] = {{"1 page", 1, false, 4},
                               {"16 pages", 16, false, 4},
                               {"1,000 pages", 1000, true, 2.5},
                               {"100,000 pages", 100000, true, 0}};
constexpr double kWalkGoal = 5e6;  // full walks a second

std::vector<VirtAddr> addresses(const Stream& stream) {
  std::mt19937_64 random(1);
  std::vector<VirtAddr> out;
  for (std::size_t i = 0; i < kStreamLength; ++i) {
    const std::uint64_t page = (stream.random ? random() : i) % stream.pages;
    out.emplace_back(kFirstPage + page * kPageSize + i % 64 * 8);
  }
  return out;
}

// Two shapes of TLB: the shipped core's, and small sets as in a Neoverse N1's L2.
cpu::CoreProfile profile(bool set_associative) {
  cpu::CoreProfile p =
      cpu::read_core_profile(kpksim::test::source_path("profiles/cores/neoverse-v1.json"));
  if (set_associative) {
    p.mmu.l1d = {16, 4};
    p.mmu.l2 = {256, 5};
  }
  return p;
}

template <class Tlb>
void bare_loop(benchmark::State& state, const Stream& stream) {
  const auto tlb = std::make_unique<Tlb>();
  const std::vector<VirtAddr> stream_addresses = addresses(stream);
  for (auto _ : state) {
    std::uint64_t misses = 0;
    for (const VirtAddr va : stream_addresses) misses += tlb->look_up(va.value);
    benchmark::DoNotOptimize(misses);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kStreamLength));
}

void bare(benchmark::State& state, const Stream& stream, bool set_associative) {
  return set_associative ? bare_loop<SmallSets>(state, stream)
                         : bare_loop<NeoverseV1>(state, stream);
}

void load(benchmark::State& state, const Stream& stream, bool set_associative) {
  AddressSpace space(profile(set_associative), stream.pages);
  const std::vector<VirtAddr> stream_addresses = addresses(stream);
  cpu::Core& core = space.core();
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (const VirtAddr va : stream_addresses) sum += core.load64(va).value;
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kStreamLength));
}

void store(benchmark::State& state, const Stream& stream, bool set_associative) {
  AddressSpace space(profile(set_associative), stream.pages);
  const std::vector<VirtAddr> stream_addresses = addresses(stream);
  cpu::Core& core = space.core();
  for (auto _ : state) {
    std::uint64_t faults = 0;
    for (const VirtAddr va : stream_addresses) faults += core.store64(va, 1) ? 1 : 0;
    benchmark::DoNotOptimize(faults);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kStreamLength));
}

// Keeps the fastest repetition of each benchmark, in seconds an access.
class Fastest : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      const auto items = run.counters.find("items_per_second");
      if (items == run.counters.end()) continue;
      double& best = seconds_[run.run_name.function_name];
      const double now = 1 / items->second;
      best = best == 0 ? now : std::min(best, now);
    }
    ConsoleReporter::ReportRuns(runs);
  }
  double seconds(const std::string& name) const {
    const auto it = seconds_.find(name);
    return it == seconds_.end() ? 0 : it->second;
  }

 private:
  std::map<std::string, double> seconds_;
};

std::string name_of(const char* what, const Stream& stream, bool set_associative) {
  return fmt::format("{}/{}/{}", what, set_associative ? "4-way+5-way" : "neoverse-v1",
                     stream.name);
}

int run(int argc, char** argv) {
  using Function = void (*)(benchmark::State&, const Stream&, bool);
  const std::pair<const char*, Function> kinds[] = {
      {"bare", bare}, {"load64", load}, {"store64", store}};
  for (const bool set_associative : {true, false}) {
    for (const Stream& stream : kStreams) {
      for (const auto& [what, function] : kinds) {
        benchmark::RegisterBenchmark(
            name_of(what, stream, set_associative).c_str(),
            [=, &stream](benchmark::State& state) { function(state, stream, set_associative); })
            ->Repetitions(5)
            ->MinTime(0.1);
      }
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  Fastest fastest;
  benchmark::RunSpecifiedBenchmarks(&fastest);
  fmt::print("\n{:<14} {:<14} {:>9} {:>10} {:>10} {:>7} {:>7}  goal\n", "geometry", "stream",
             "bare ns", "load64 ns", "store64 ns", "ratio", "ratio");
  for (const bool set_associative : {true, false}) {
    for (const Stream& stream : kStreams) {
      const auto ns = [&](const char* what) {
        return 1e9 * fastest.seconds(name_of(what, stream, set_associative));
      };
      if (ns("bare") == 0 || ns("load64") == 0 || ns("store64") == 0) continue;
      const std::string goal = stream.goal != 0 ? fmt::format("<= {}", stream.goal)
                                                : fmt::format(">= {:.0f} M walks/s; is {:.1f} M",
                                                              kWalkGoal / 1e6, 1e3 / ns("load64"));
      fmt::print("{:<14} {:<14} {:>9.2f} {:>10.2f} {:>10.2f} {:>7.2f} {:>7.2f}  {}\n",
                 set_associative ? "4-way+5-way" : "neoverse-v1", stream.name, ns("bare"),
                 ns("load64"), ns("store64"), ns("load64") / ns("bare"), ns("store64") / ns("bare"),
                 goal);
    }
  }
  return 0;
}

}  // namespace
}  // namespace kpksim::bench

int main(int argc, char** argv) { return kpksim::bench::run(argc, argv); }
