#pragma once
// Holds replayed recordings of whole programs to what a real kernel executed for them. Both sides
// are taken less the program "nothing", which is what the measurement itself costs.

#include <map>
#include <string>
#include <vector>

#include "sim/validate/counts.h"
#include "sim/validate/kernel_check.h"
#include "sim/workload/driver.h"

namespace kpksim::validate {

inline constexpr const char* kNothing = "nothing";

// Of one program under one variant, by the names of the files, and "page_faults".
using AppCounts = std::map<std::string, double>;

AppCounts model_app_counts(const workload::PhaseResult& result);

struct AppMeasurement {
  std::string program, cpu, variant;
  AppCounts real, model;  // less those of nothing
};

// What was counted, less nothing. Interrupts come by real time and are no part of the program: they
// are taken out of page_faults and kernel_instructions. Where the file does not count them
// ("irqs"), the ISBs tell: those beyond the model's and those of further context switches (DSB
// ISH), over what one interrupt executes.
AppCounts real_app_counts(const Measurement& program, const Measurement& nothing,
                          const AppCounts& model);

struct AppRow {
  std::string counter;
  double real = 0, model = 0;
  std::string base;  // of a ratio: the variant that this one is compared with
  Verdict verdict = Verdict::kExact;
  double error() const { return real == 0 ? 0 : model / real - 1; }
};

// The rows of one program and variant, with its ratios to others of `all`: to the plain kernel, of
// the key register to the one that keys page by page without batching.
std::vector<AppRow> compare_app(const AppMeasurement& of, const std::vector<AppMeasurement>& all);

}  // namespace kpksim::validate
