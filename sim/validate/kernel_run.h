#pragma once
// Runs the model through measured phases as the measurements were made, and holds each phase to its
// counts.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/validate/counts.h"
#include "sim/validate/kernel_check.h"
#include "sim/workload/operation.h"

namespace kpksim::validate {

// Where a measured phase is: a workload, and which of its phases.
struct Place {
  const workload::Workload* workload = nullptr;
  std::string phase;
};
// By each name of a phase. The workloads must outlive it.
using Places = std::map<std::string, Place>;
Places places_of(const std::vector<workload::Workload>& workloads);

// One run of a workload serves all its phases that a file measured on one CPU under one variant.
struct KernelRun {
  const workload::Workload* workload = nullptr;
  const CountsFile* file = nullptr;
  std::string cpu, variant, kernel;
  std::vector<const Measurement*> measurements;
};
// The runs that these measurements need, which are of `files`; each phase has a place.
std::vector<KernelRun> runs_of(const std::vector<CountsFile>& files, const Places& places,
                               const std::set<const Measurement*>& wanted);

// What the model did in one measured phase.
struct Outcome {
  const Measurement* measurement = nullptr;
  workload::PhaseResult model;
  Surroundings around;
};
std::vector<Outcome> execute(const KernelRun& run, const cpu::CoreProfile& core,
                             const kernel::KernelProfile& profile, const Places& places);

// Compares all outcomes, those of runs[i] being outcomes[i]: neighbouring phases are looked at
// together, and a variant beside "off". `cores`: by the measurements' names of CPUs.
std::vector<PhaseCheck> check(const std::vector<CountsFile>& files,
                              const std::vector<KernelRun>& runs,
                              std::vector<std::vector<Outcome>>& outcomes,
                              const std::map<std::string, cpu::CoreProfile>& cores);

}  // namespace kpksim::validate
