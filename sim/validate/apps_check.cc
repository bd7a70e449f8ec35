#include "sim/validate/apps_check.h"

#include <algorithm>
#include <cmath>

namespace kpksim::validate {
namespace {

using cpu::Event;

// What one timer interrupt executes (four programs whose interrupts tools/kernel-truth's plugin has
// counted; instructions as in tools/fit-paths), and one switch to a thread that the model does not
// have: kernel threads that interrupts, exits and pipes wake.
constexpr double kIsbPerInterrupt = 11, kInstructionsPerInterrupt = 3774;
constexpr double kIsbPerSwitch = 5, kDsbPerSwitch = 1;

// How far apart real and model may be; counts of single events differ by a few between two runs of
// the same program.
struct Limit {
  std::string_view counter;
  double relative;
  std::string_view base;  // the variant that ratios refer to; empty: none
};
constexpr Limit kLimits[] = {
    {"page_faults", 0.05, ""},
    {"msr_por", 0.10, "keyed"},
    {"kernel_instructions", 0.15, "off"},
};
constexpr double kTlbiLimit = 0.10, kRatioLimit = 0.03, kFewEvents = 5;

// What no variant changes, but for the invalidation of kernel mappings: how far apart it lies over
// the variants is chance (which side of a fork writes first, where randomised addresses fall), as
// each was run once.
bool same_in_all_variants(std::string_view counter) {
  return counter == "page_faults" || (counter.starts_with("tlbi.") && counter != "tlbi.VAALE1IS" &&
                                      counter != "tlbi.VMALLE1IS");
}

double value(const AppCounts& counts, const std::string& name) {
  const auto it = counts.find(name);
  return it == counts.end() ? 0 : it->second;
}

double value(const Measurement& m, const std::string& name) {
  const auto it = m.counts.find(name);
  return it == m.counts.end() ? 0 : static_cast<double>(it->second[0]);
}

}  // namespace

AppCounts model_app_counts(const workload::PhaseResult& result) {
  AppCounts out;
  const ModelCounts counts = model_counts(result);
  for (const auto& [name, n] : counts.all) out[name] = static_cast<double>(n);
  cpu::Counters all;
  for (const cpu::Counters& core : result.cores) all += core;
  out["page_faults"] =
      static_cast<double>(all.total(Event::kFaultTranslation) + all.total(Event::kFaultAccessFlag) +
                          all.total(Event::kFaultPermission));
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
  const double switches = (value(out, "dsb_ish") - value(model, "dsb_ish")) / kDsbPerSwitch;
  const double isb = beyond(out) - beyond(model) - switches * kIsbPerSwitch;
  const double interrupts =
      out.contains("irqs") ? out["irqs"] : std::max(0.0, isb / (kIsbPerInterrupt - 1));
  out["interrupts"] = interrupts;
  out["page_faults"] = out["eret"] - out["svc"] - interrupts;
  out["kernel_instructions"] -= interrupts * kInstructionsPerInterrupt;
  return out;
}

std::vector<AppRow> compare_app(const AppMeasurement& of, const std::vector<AppMeasurement>& all) {
  std::vector<AppRow> rows;
  const auto row = [&](const std::string& counter, double limit) {
    AppRow r{counter, value(of.real, counter), value(of.model, counter), "", {}};
    double least = r.real, most = r.real;
    for (const AppMeasurement& m : all) {
      if (!same_in_all_variants(counter) || m.program != of.program || m.cpu != of.cpu) continue;
      least = std::min(least, value(m.real, counter));
      most = std::max(most, value(m.real, counter));
    }
    const double room = std::max(limit * std::abs(r.real), kFewEvents);
    const bool within = r.model >= least - room && r.model <= most + room;
    r.verdict = r.model == r.real ? Verdict::kExact : within ? Verdict::kWithin : Verdict::kOff;
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
    if (real == 0 || model == 0) continue;
    AppRow r{counter,
             value(of.real, counter) / real,
             value(of.model, counter) / model,
             base->variant,
             {}};
    if (r.real == 0 && r.model == 0) continue;
    const bool within = std::abs(r.model - r.real) <= kRatioLimit * r.real;
    r.verdict = within ? Verdict::kWithin : Verdict::kOff;
    rows.push_back(std::move(r));
  }
  return rows;
}

}  // namespace kpksim::validate
