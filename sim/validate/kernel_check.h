#pragma once
// Holds the kernel model to a real kernel's counts: runs the workload of each phase under the
// configuration of each variant and compares counter by counter.

#include <map>
#include <string>
#include <vector>

#include "sim/kernel/system.h"
#include "sim/validate/counts.h"
#include "sim/workload/driver.h"

namespace kpksim::validate {

enum class Verdict : std::uint8_t { kExact, kWithin, kOff };

struct Row {
  std::string counter;
  std::vector<std::uint64_t> real;  // one for each repetition
  std::uint64_t model = 0;
  Verdict verdict = Verdict::kExact;
};

struct PhaseCheck {
  const Measurement* measurement = nullptr;
  std::vector<Row> rows;
};

// Counters of the model for one phase, under the names of the files.
std::map<std::string, std::uint64_t> model_counts(const workload::PhaseResult& phase);

// The configuration that a variant's name stands for.
kernel::Config config_of(const std::string& variant);

// What else is known of a phase when its counts are compared.
struct Surroundings {
  std::uint64_t moved_tables =
      0;                  // page-table pages whose free may have waited for RCU over a border
  bool chance = false;    // it ends amid the copy-on-write faults of a forked child
  double scheduling = 0;  // how far apart readings of many processes at once lie, relative
};

// The rows of one phase: the counters that the file has and the model predicts.
PhaseCheck compare(const Measurement& measurement, const workload::PhaseResult& model,
                   const Surroundings& surroundings);

}  // namespace kpksim::validate
