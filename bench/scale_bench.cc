// Time per page and host memory of fork and exit, over sizes: each size runs in a process of its
// own, so that its peak resident set is its own. A plain program: one figure for each size matters,
// not its distribution.
//
// scale_bench [SIZE...] in MB; default 64 to 16384. 65536 takes some minutes.

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "sim/kernel/kernel.h"
#include "sim/workload/driver.h"
#include "sim/workload/json.h"
#include "tests/paths.h"

namespace kpksim::bench {
namespace {

struct Figure {
  double seconds = 0;
  long peak_kb = 0;
};

std::string workload_file(std::uint64_t megabytes) {
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("kpksim-scale-{}.json", getpid()))
          .string();
  std::ofstream(path) << R"({"name":"scale","phases":[{"name":"all","ops":[
    {"op":"spawn","task":"p"},
    {"op":"mmap","task":"p","region":"h","size":")"
                      << megabytes << R"(M","prot":"rw","huge":"never"},
    {"op":"touch","task":"p","region":"h","access":"write"},
    {"op":"fork","task":"p","child":"c"},
    {"op":"exit","task":"c"}]}]})";
  return path;
}

Figure simulate(std::uint64_t megabytes) {
  const std::string path = workload_file(megabytes);
  const workload::Workload workload = workload::read_json_workload(path);
  std::filesystem::remove(path);
  kernel::Config config;
  config.policy.protection.name = "kpkeys-poe";
  config.policy.window = kernel::WindowScope::kLazy;
  config.policy.allocator.name = "pba";
  config.policy.linear_map = kernel::Granularity::kBlock;
  config.memory_bytes = std::max<std::uint64_t>(megabytes * 5 / 4, megabytes + 1024) << 20;
  kernel::Kernel kernel(
      cpu::read_core_profile(kpksim::test::source_path("profiles/cores/neoverse-v1.json")),
      kernel::read_kernel_profile(kpksim::test::source_path("profiles/kernels/linux-6.12.json")),
      config);
  workload::Driver driver(kernel);
  const auto start = std::chrono::steady_clock::now();
  driver.run(workload);
  Figure figure;
  figure.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  figure.peak_kb = usage.ru_maxrss;
  return figure;
}

// In a child process. The fastest of `repetitions`.
Figure measure(std::uint64_t megabytes, unsigned repetitions) {
  Figure best;
  for (unsigned i = 0; i < repetitions; ++i) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    const pid_t child = fork();
    if (child == 0) {
      const Figure figure = simulate(megabytes);
      _exit(write(ends[1], &figure, sizeof figure) == sizeof figure ? 0 : 1);
    }
    close(ends[1]);
    Figure figure;
    int status = 0;
    const bool got = read(ends[0], &figure, sizeof figure) == sizeof figure;
    close(ends[0]);
    waitpid(child, &status, 0);
    if (!got || status != 0) {
      fmt::print(stderr, "scale_bench: the run of {} MB failed\n", megabytes);
      std::exit(1);
    }
    if (i == 0 || figure.seconds < best.seconds) best = figure;
  }
  return best;
}

int run(int argc, char** argv) {
  std::vector<std::uint64_t> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {64, 256, 1024, 4096, 16384};
  if (std::find(sizes.begin(), sizes.end(), 0u) != sizes.end()) {
    fmt::print(stderr, "usage: scale_bench [SIZE_IN_MB...]\n");
    return 2;
  }
  fmt::print("{:>9} {:>10} {:>12} {:>12} {:>10}\n", "MB", "seconds", "ns per page", "peak MB",
             "per page");
  double low = 0, high = 0;
  for (const std::uint64_t megabytes : sizes) {
    const Figure f = measure(megabytes, megabytes <= 512 ? 15 : megabytes <= 8192 ? 5 : 2);
    const auto pages = static_cast<double>(megabytes << 8);
    const double ns = 1e9 * f.seconds / pages;
    low = low == 0 ? ns : std::min(low, ns);
    high = std::max(high, ns);
    fmt::print("{:>9} {:>10.3f} {:>12.1f} {:>12.1f} {:>10.1f}\n", megabytes, f.seconds, ns,
               static_cast<double>(f.peak_kb) / 1024,
               static_cast<double>(f.peak_kb) * 1024 / pages);
    std::fflush(stdout);
  }
  fmt::print("slowest over fastest page: {:.2f} (goal: 1.15)\n", high / low);
  return 0;
}

}  // namespace
}  // namespace kpksim::bench

int main(int argc, char** argv) { return kpksim::bench::run(argc, argv); }
