// Runs a workload under two allocators, one of them keep.cc's, and prints what keying pages costs.
//
// own_allocator DATA [WORKLOAD]: DATA is the folder share/kpksim of an installed kpksim.

#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

#include "sim/workload/driver.h"
#include "sim/workload/json.h"

namespace {

using namespace kpksim;

void run(const std::string& data, const std::string& workload, const std::string& policy) {
  kernel::Config config;
  config.policy = kernel::parse_policy(policy);
  config.memory_bytes = std::uint64_t{8} << 30;
  kernel::Kernel kernel(
      cpu::read_core_profile(data + "/profiles/cores/neoverse-v1.json"),
      kernel::read_kernel_profile(data + "/profiles/kernels/linux-6.12-kpkeys.json"), config);
  std::uint64_t keyed = 0, stale = 0;
  for (const workload::PhaseResult& phase :
       workload::Driver(kernel).run(workload::read_json_workload(workload))) {
    keyed = phase.linear_map.set_memory_pkey;  // running totals
    stale += phase.audit.stale_leaves + phase.audit.stale_tables;
  }
  fmt::print("{:30} {:5} calls of set_memory_pkey(), {} stale translations\n", policy, keyed,
             stale);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: own_allocator DATA [WORKLOAD]\n");
    return 2;
  }
  const std::string data = argv[1];
  const std::string workload = argc > 2 ? argv[2] : data + "/workloads/fork-exec-server.json";
  try {
    for (const char* policy : {"kpkeys-poe+lazy,per-page,pte", "kpkeys-poe+lazy,keep,pte"}) {
      run(data, workload, policy);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "own_allocator: {}\n", error.what());
    return 1;
  }
  return 0;
}
