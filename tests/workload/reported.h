#pragma once
// Runs an input of tests/reported/ as `kpksim run` does by default, for the tests that hold its
// counts to what tests/reported/README.md says is right.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "sim/base/error.h"
#include "sim/workload/driver.h"
#include "sim/workload/strace.h"
#include "tests/kernel/fixture.h"
#include "tests/paths.h"

namespace kpksim::workload {

struct Reported {
  std::map<std::string, std::uint64_t, std::less<>> events;  // by the names of cpu::kEventInfo
  std::map<std::string, std::uint64_t, std::less<>> not_understood;
  std::vector<std::string> assumptions;
  std::uint64_t ignored = 0;        // calls without mapping
  std::uint64_t beyond_memory = 0;  // pages that the rule would have touched
  std::string error;                // that refused the input or ended the run; empty: none

  // 0 where nothing of it happened. A name that no event has is an error of the test.
  std::uint64_t operator()(std::string_view event) const {
    const auto known = std::any_of(cpu::kEventInfo.begin(), cpu::kEventInfo.end(),
                                   [&](const auto& info) { return info.name == event; });
    EXPECT_TRUE(known) << "no event is called " << event;
    const auto it = events.find(event);
    return it == events.end() ? 0 : it->second;
  }
  std::uint64_t unclear(std::string_view kind) const {
    const auto it = not_understood.find(kind);
    return it == not_understood.end() ? 0 : it->second;
  }
};

// The policy that the reported counts are of: no keys, buddy allocator, linear map of pages.
inline kernel::Config reported_policy() {
  kernel::Config config = kernel::config("none", false, "buddy", kernel::Granularity::kPte);
  config.memory_bytes = 8ull << 30;
  return config;
}

// A recording, whole path.
inline Reported run_recording(const std::string& path,
                              const kernel::Config& config = reported_policy()) {
  Reported out;
  try {
    const Workload workload = read_strace(path);
    out.not_understood = {workload.not_understood.begin(), workload.not_understood.end()};
    out.assumptions = workload.assumptions;
    kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), config);
    Driver driver(kernel);
    for (const PhaseResult& phase : driver.run(workload)) {
      EXPECT_EQ(phase.audit.stale_leaves + phase.audit.stale_tables, 0u);
      for (const cpu::Counters& core : phase.cores) {
        for (std::size_t e = 0; e < cpu::kEvents; ++e) {
          for (const std::uint64_t n : core.count[e]) {
            if (n != 0) out.events[std::string(cpu::kEventInfo[e].name)] += n;
          }
        }
      }
    }
    out.ignored = driver.ignored();
    out.beyond_memory = driver.beyond_memory();
  } catch (const InputError& error) {
    out.error = error.what();
  }
  return out;
}

// tests/reported/NAME.strace.
inline Reported run_reported(const std::string& name,
                             const kernel::Config& config = reported_policy()) {
  return run_recording(kpksim::test::source_path("tests/reported/" + name + ".strace"), config);
}

}  // namespace kpksim::workload
