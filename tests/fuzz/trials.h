#pragma once
// Programs in a place, for tests.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/fuzz/trial.h"
#include "tests/kernel/fixture.h"

namespace kpksim::fuzz {

inline Place place_of(const char* policy, const char* core = "neoverse-v1",
                      const char* kernel = "linux-6.12-kpkeys") {
  const auto path = [](const char* kind, const char* name) {
    return test::source_path(fmt::format("profiles/{}/{}.json", kind, name));
  };
  return {
      std::make_shared<cpu::CoreProfile>(cpu::read_core_profile(path("cores", core))),
      std::make_shared<kernel::KernelProfile>(kernel::read_kernel_profile(path("kernels", kernel))),
      core, kernel, kernel::parse_policy(policy)};
}

inline Program program_of(const char* ops, unsigned cores = 1, bool interleave = false) {
  Program program;
  program.ops = Json::parse(ops);
  program.cores = cores;
  program.interleave = interleave;
  return program;
}

// What goes wrong, a line each.
inline std::string failures(const Outcome& outcome) {
  std::string out;
  for (const Failure& f : outcome.failures) out += f.kind + "\n";
  return out;
}

}  // namespace kpksim::fuzz
