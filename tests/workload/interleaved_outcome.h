#pragma once
// Runs of a workload for tests of interleaved cores: what they leave, and whether two are alike.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/workload/driver.h"
#include "sim/workload/json.h"
#include "tests/kernel/fixture.h"
#include "tests/scratch.h"

namespace kpksim::workload {

inline kernel::Config interleaved(const std::string& protection, bool batching,
                                  const std::string& allocator, kernel::Granularity map,
                                  unsigned cores) {
  kernel::Config config = kernel::config(protection, batching, allocator, map, cores);
  config.interleave = true;
  return config;
}

struct Outcome {
  std::vector<PhaseResult> phases;
  cpu::Counters counters;
  kernel::AllLockWaits waits{};
  std::uint64_t stale = 0, refills = 0;

  const kernel::LockWaits& of(kernel::LockKind kind) const {
    return waits[static_cast<std::size_t>(kind)];
  }
};

inline Outcome outcome_of(const Workload& workload, const kernel::Config& config) {
  kernel::Kernel kernel(kernel::core_profile_for(config.policy), kernel::kernel_profile(), config);
  Outcome out;
  out.phases = Driver(kernel).run(workload);
  for (const PhaseResult& phase : out.phases) {
    for (const cpu::Counters& core : phase.cores) out.counters += core;
    if (phase.interleaved) kernel::append_waits(out.waits, phase.interleaved->waits);
    out.stale += phase.audit.stale_leaves + phase.audit.stale_tables + phase.audit.bbm_violations;
    out.refills += phase.allocator.own_value("refills_order_9");
  }
  return out;
}

inline Workload of_text(const std::string& text) {
  const std::string path = kpksim::test::scratch_file("interleaved.json");
  std::ofstream(path) << text;
  const Workload workload = read_json_workload(path);
  std::filesystem::remove(path);
  return workload;
}

inline Workload shipped(const std::string& name) {
  return read_json_workload(kpksim::test::source_path("workloads/" + name + ".json"));
}

// All that phases count, of each core by itself, and what only interleaved ones have.
inline bool same(const Outcome& a, const Outcome& b, bool times) {
  if (a.phases.size() != b.phases.size()) return false;
  for (std::size_t i = 0; i < a.phases.size(); ++i) {
    const PhaseResult &p = a.phases[i], &q = b.phases[i];
    for (std::size_t c = 0; c < p.cores.size(); ++c) {
      if (p.cores[c].count != q.cores[c].count) return false;
      if (p.cores[c].millicycles != q.cores[c].millicycles) return false;
    }
    if (p.exposure.at_rest != q.exposure.at_rest) return false;
    if (p.exposure.in_windows != q.exposure.in_windows) return false;
    if (!times) continue;
    if (p.interleaved->millicycles != q.interleaved->millicycles) return false;
    for (std::size_t k = 0; k < kernel::kLockKinds; ++k) {
      if (p.interleaved->waits[k].millicycles != q.interleaved->waits[k].millicycles) return false;
    }
  }
  return true;
}

}  // namespace kpksim::workload
