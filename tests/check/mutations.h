#pragma once
// Faults that are injected into the lives of tests/kernel/life.h, and what finds them.

#include <string>
#include <vector>

#include "sim/check/sanitizer.h"
#include "tests/kernel/life.h"

namespace kpksim::check {

// A kernel that lives through all scenes.
struct Surroundings {
  const char* policy = "";
  const char* core = "neoverse-v1";
  const char* kernel = "linux-6.12-kpkeys";
  std::uint64_t timer = 0;  // an interrupt after so many instructions
  bool few_asids = false;   // and then of more address spaces than those
};

struct Outcome {
  std::vector<Finding> findings;
  std::string died;  // of what the simulated kernel did
  std::vector<kernel::Injector::Done> injected;
};

Outcome live(const Surroundings& setup, const std::vector<kernel::Injection>& injections);

}  // namespace kpksim::check
