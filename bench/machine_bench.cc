// Does cost follow the work, or the size of the machine that is modelled? The same workloads on
// machines of 8 GB and 1 TB, and of 1 to 128 cores: CPU time of the fastest of five runs, boot
// included, and the ratio to the smallest machine. A plain program: the ratios matter.

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <utility>

#include "sim/kernel/kernel.h"
#include "sim/workload/driver.h"
#include "sim/workload/json.h"
#include "sim/workload/strace.h"
#include "tests/paths.h"

namespace kpksim::bench {
namespace {

using test::source_path;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

double fastest(const workload::Workload& workload, const kernel::Config& config) {
  static const cpu::CoreProfile core =
      cpu::read_core_profile(source_path("profiles/cores/neoverse-v1.json"));
  static const kernel::KernelProfile profile =
      kernel::read_kernel_profile(source_path("profiles/kernels/linux-6.12-kpkeys.json"));
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const double start = cpu_seconds();
    {
      kernel::Kernel kernel(core, profile, config);
      workload::Driver(kernel).run(workload);
    }
    const double seconds = cpu_seconds() - start;
    best = i == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

kernel::Config config(const char* allocator, kernel::Granularity map) {
  kernel::Config c;
  c.policy.protection.name = "kpkeys-poe";
  c.policy.window = kernel::WindowScope::kLazy;
  c.policy.allocator.name = allocator;
  c.policy.linear_map = map;
  c.memory_bytes = 8ull << 30;
  return c;
}

void memory_sizes(const char* name, kernel::Config c) {
  const workload::Workload mixed =
      workload::read_json_workload(source_path("workloads/mixed.json"));
  const double small = fastest(mixed, c);
  for (const std::uint64_t gigabytes : {64, 1024}) {
    c.memory_bytes = gigabytes << 30;
    const double seconds = fastest(mixed, c);
    fmt::print("{:<28} {:>6} {:>10.3f} {:>8.2f}  at most 1 s more\n", name,
               fmt::format("{}G", gigabytes), seconds, seconds / small);
  }
}

void numbers_of_cores(const char* name, kernel::Config c) {
  const workload::Workload postgres =
      workload::read_strace(source_path("traces/postgres.strace.zst"));
  const double one = fastest(postgres, c);
  for (const unsigned cores : {4u, 64u, 128u}) {
    c.cores = cores;
    const double seconds = fastest(postgres, c);
    fmt::print("{:<28} {:>6} {:>10.3f} {:>8.2f}  <= 1.3\n", name, cores, seconds, seconds / one);
  }
}

int run() {
  fmt::print("{:<28} {:>6} {:>10} {:>8}  goal\n", "workload, policy", "size", "seconds", "ratio");
  memory_sizes("mixed, per-page,pte", config("per-page", kernel::Granularity::kPte));
  memory_sizes("mixed, pba,block", config("pba", kernel::Granularity::kBlock));
  numbers_of_cores("postgres, per-page,pte", config("per-page", kernel::Granularity::kPte));
  numbers_of_cores("postgres, pba,block", config("pba", kernel::Granularity::kBlock));
  return 0;
}

}  // namespace
}  // namespace kpksim::bench

int main() { return kpksim::bench::run(); }
