// What a sweep costs besides its simulations: threads, overhead of a point, merging, host memory.
// A plain program, as scale_bench is. Compare on an idle machine.
//
// sweep_bench [POINTS [STORES [POINTS_OF_A_STORE]]]; default 1000, 100 and 10000.

#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/sweep/runner.h"
#include "sim/sweep/store.h"
#include "tests/paths.h"

namespace kpksim::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

template <class Work>
double seconds_of(const Work& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void shell(const std::string& command) {
  if (std::system(command.c_str()) == 0) return;
  fmt::print(stderr, "failed: {}\n", command);
  std::exit(1);
}

// A workload of about 10 ms, and `points` prices of a core under which it runs.
void write_files(const fs::path& folder, sweep::Point points) {
  std::ofstream(folder / "w.json") << R"({"name":"w","phases":[{"name":"all","ops":[
    {"op":"spawn","task":"p"},
    {"op":"mmap","task":"p","region":"h","size":"48M","prot":"rw","huge":"never"},
    {"op":"touch","task":"p","region":"h","access":"write"}]}]})";
  std::ofstream(folder / "s.json") << R"({"name":"s","base":{"workload":"w.json"},"space":[
    {"random":{"core:/cycles/isb":{"from":27,"to":35}},"points":)"
                                   << points << "}]}";
}

void threads(const fs::path& folder, sweep::Point points) {
  write_files(folder, points);
  const std::string sweep =
      fmt::format("cd '{}' && {} sweep -q s.json -o ", folder.string(), test::kpksim_binary());
  const double one = seconds_of([&] { shell(sweep + "1.sqlite -j1 >/dev/null"); });
  const double two = seconds_of([&] { shell(sweep + "2.sqlite -j2 >/dev/null"); });
  fmt::print(
      "{} points of a small workload: {:.1f} ms each with -j1; -j2 is {:.2f} times as fast\n",
      points, one * 1000 / static_cast<double>(points), one / two);
}

// A row as those of real points are.
sweep::Row row(sweep::Point p) {
  constexpr std::size_t kConfig = 900, kTotals = 3900;
  std::string totals = fmt::format("{{\"n\":{},\"text\":\"", p);
  totals.resize(kTotals, 'x');
  return {p, "0123456789abcdef", std::string(kConfig, 'c'), totals + "\"}", ""};
}

sweep::Identity identity(sweep::Point points) { return {"s", "spec", "1", points, {}}; }

// Peak of this process's resident set, in a process of its own.
long fill(const std::string& path, sweep::Point points, double& seconds) {
  const auto begin = Clock::now();
  const pid_t child = fork();
  if (child == 0) {
    sweep::Store store = sweep::Store::open(path, identity(points));
    sweep::run_missing(store, {{}, 1, row});
    _exit(0);
  }
  rusage usage{};
  int status = 0;
  wait4(child, &status, 0, &usage);
  seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return usage.ru_maxrss;
}

void overhead(const fs::path& folder) {
  for (const sweep::Point points : {1'000u, 10'000u, 100'000u}) {
    double seconds = 0;
    const long peak = fill((folder / fmt::format("fill-{}", points)).string(), points, seconds);
    fmt::print("{} points that cost nothing: {:.3f} ms each, {} MB of host memory at most\n",
               points, seconds * 1000 / static_cast<double>(points), peak / 1024);
  }
}

void merging(const fs::path& folder, sweep::Point stores, sweep::Point each) {
  for (sweep::Point i = 0; i < stores; ++i) {
    sweep::Store store =
        sweep::Store::open((folder / fmt::format("part-{}", i)).string(), identity(stores * each));
    sweep::run_missing(store, {{i, stores}, 1, row});
  }
  const double seconds = seconds_of([&] {
    sweep::Store all = sweep::Store::open((folder / "all").string(), identity(stores * each));
    std::vector<std::string> parts;
    for (sweep::Point i = 0; i < stores; ++i) {
      parts.push_back((folder / fmt::format("part-{}", i)).string());
    }
    all.merge(parts);
    if (all.counts().done != stores * each) std::exit(1);
  });
  fmt::print("merging {} stores of {} points: {:.1f} s\n", stores, each, seconds);
}

}  // namespace
}  // namespace kpksim::bench

int main(int argc, char** argv) {
  using namespace kpksim::bench;
  const auto number = [&](int i, unsigned long otherwise) {
    return argc > i ? std::strtoul(argv[i], nullptr, 10) : otherwise;
  };
  const fs::path folder = fs::temp_directory_path() / fmt::format("kpksim-sweep-{}", getpid());
  fs::create_directories(folder);
  threads(folder, number(1, 1000));
  overhead(folder);
  merging(folder, number(2, 100), number(3, 10'000));
  fs::remove_all(folder);
  return 0;
}
