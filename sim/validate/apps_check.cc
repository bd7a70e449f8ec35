#include "sim/validate/apps_check.h"

#include <algorithm>
#include <cmath>

namespace kpksim::validate {
namespace {

using cpu::Event;

// What one timer interrupt executes, with the kernel threads that it wakes: sqlite, python and perl
// under tools/kernel-truth's plugin, whose ISBs less one for each call and fault are 15 to 15.6 per
// interrupt; instructions as in tools/fit-paths.
constexpr double kIsbPerInterrupt = 15, kInstructionsPerInterrupt = 3774;

// How far apart real and model may be. Counts of single events differ by a few between two runs of
// the same program.
struct Limit {
  std::string_view counter;
  double relative;
  std::string_view base;  // the variant that ratios refer to
};
constexpr Limit kLimits[] = {
    {"page_faults", 0.05, "off"},
    {"msr_por", 0.10, "keyed"},
    {"kernel_instructions", 0.15, "off"},
};
constexpr double kTlbiLimit = 0.10, kRatioLimit = 0.03, kFewEvents = 5;

double value(const AppCounts& counts, const std::string& name) {
  const auto it = counts.find(name);
  return it == counts.end() ? 0 : it->second;
}

double value(const Measurement& m, const std::string& name) {
  const auto it = m.counts.find(name);
  return it == m.counts.end() ? 0 : static_cast<double>(it->second[0]);
}

Verdict judge(double real, double model, double room) {
  if (real == model) return Verdict::kExact;
  return std::abs(real - model) <= room ? Verdict::kWithin : Verdict::kOff;
}

}  // namespace

AppCounts model_app_counts(const workload::PhaseResult& result) {
  AppCounts out;
  for (const auto& [name, n] : model_counts(result)) out[name] = static_cast<double>(n);
  cpu::Counters all;
  for (const cpu::Counters& core : result.cores) all += core;
  out["page_faults"] =
      static_cast<double>(all.total(Event::kFaultTranslation) + all.total(Event::kFaultAccessFlag) +
                          all.total(Event::kFaultPermission));
  out["kernel_instructions"] = static_cast<double>(all.total(Event::kInstruction));
  return out;
}

AppCounts real_app_counts(const Measurement& program, const Measurement& nothing,
                          const AppCounts& model) {
  AppCounts out;
  for (const auto& [name, values] : program.counts) out[name] = value(program, name);
  for (const auto& [name, values] : nothing.counts) out[name] -= value(nothing, name);
  // Each exception return has an ISB of its own, as has each write of the key register.
  const auto beyond = [](const AppCounts& c) {
    return value(c, "isb") - value(c, "eret") - value(c, "msr_por");
  };
  const double interrupts =
      out.contains("irqs") ? out["irqs"]
                           : std::max(0.0, (beyond(out) - beyond(model)) / (kIsbPerInterrupt - 1));
  out["interrupts"] = interrupts;
  out["page_faults"] = out["eret"] - out["svc"] - interrupts;
  out["kernel_instructions"] -= interrupts * kInstructionsPerInterrupt;
  return out;
}

std::vector<AppRow> compare_app(const AppMeasurement& of, const std::vector<AppMeasurement>& all) {
  std::vector<AppRow> rows;
  const auto row = [&](const std::string& counter, double limit) {
    AppRow r{counter, value(of.real, counter), value(of.model, counter), limit, "", {}, nullptr};
    r.verdict = judge(r.real, r.model, std::max(limit * std::abs(r.real), kFewEvents));
    rows.push_back(std::move(r));
  };
  for (const Limit& l : kLimits) row(std::string(l.counter), l.relative);
  AppCounts either = of.real;
  either.insert(of.model.begin(), of.model.end());
  for (const auto& [name, n] : either) {
    const bool counted = value(of.real, name) != 0 || value(of.model, name) != 0;
    if (name.starts_with("tlbi.") && counted) row(name, kTlbiLimit);
  }
  for (const Limit& l : kLimits) {
    const std::string counter(l.counter);
    const auto base = std::find_if(all.begin(), all.end(), [&](const AppMeasurement& m) {
      return m.program == of.program && m.cpu == of.cpu && m.variant == l.base;
    });
    if (base == all.end() || base->variant == of.variant) continue;
    const double real = value(base->real, counter), model = value(base->model, counter);
    AppRow r{counter,
             value(of.real, counter) / real,
             value(of.model, counter) / model,
             kRatioLimit,
             base->variant,
             {},
             nullptr};
    if (r.real == 0 && r.model == 0) continue;
    r.verdict = judge(r.real, r.model, kRatioLimit * r.real);
    rows.push_back(std::move(r));
  }
  return rows;
}

}  // namespace kpksim::validate
