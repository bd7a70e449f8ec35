// Many cores that run at once (docs/interleaving.md): processor time of the host for the workload
// fork-exit-many with 1,000 children for each of 64 parents, and what one fork and exit costs on 1
// core and on 64. A plain program: two figures matter, not their distribution.
//
// many_core_bench [CHILDREN [RUNS]]; default 1000 and 3, of which the shortest counts.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>

#include "sim/workload/driver.h"
#include "sim/workload/json.h"
#include "tests/paths.h"

namespace kpksim::bench {
namespace {

constexpr unsigned kParents = 64;

workload::Workload forks(unsigned parents, unsigned children) {
  workload::Workload w =
      workload::read_json_workload(kpksim::test::source_path("workloads/fork-exit-many.json"));
  for (workload::Phase& phase : w.phases) {
    std::vector<workload::Step>& all = phase.steps.front().body;
    all.resize(parents);
    for (workload::Step& step : all) {
      if (!step.body.empty()) step.repeat = children;
    }
  }
  return w;
}

double seconds(unsigned cores, unsigned children, const char* policy) {
  kernel::Config config;
  config.policy = kernel::parse_policy(policy);
  config.memory_bytes = 8ull << 30;
  config.cores = cores;
  config.interleave = true;
  kernel::Kernel kernel(
      cpu::read_core_profile(kpksim::test::source_path("profiles/cores/neoverse-v1.json")),
      kernel::read_kernel_profile(
          kpksim::test::source_path("profiles/kernels/linux-6.12-kpkeys.json")),
      config);
  const workload::Workload w = forks(cores, children);
  const std::clock_t start = std::clock();
  workload::Driver(kernel).run(w);
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

}  // namespace
}  // namespace kpksim::bench

int main(int argc, char** argv) {
  using namespace kpksim::bench;
  const auto number = [&](int i, unsigned otherwise) {
    return argc > i ? static_cast<unsigned>(std::strtoul(argv[i], nullptr, 10)) : otherwise;
  };
  const unsigned children = number(1, 1000), runs = number(2, 3);
  for (const char* policy :
       {"none,buddy,pte", "kpkeys-poe,per-page,pte", "kpkeys-poe+lazy,pba,block"}) {
    double one = std::numeric_limits<double>::max(), many = one;
    for (unsigned i = 0; i < runs; ++i) {
      one = std::min(one, seconds(1, children, policy));
      many = std::min(many, seconds(kParents, children, policy));
    }
    const double each = 1e6 / children;
    fmt::print(
        "{:26} {} cores: {:6.2f} s; a fork and exit: {:6.1f} us on 1 core, {:6.1f} us on {} "
        "({:.2f} times)\n",
        policy, kParents, many, one * each, many * each / kParents, kParents,
        many / kParents / one);
  }
  return 0;
}
