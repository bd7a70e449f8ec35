#include "sim/report/result.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "sim/base/json_text.h"
#include "sim/kernel/object/keyed_classes.h"
#include "sim/kernel/policy_file.h"
#include "sim/report/records_json.h"

namespace kpksim::report {

using nlohmann::ordered_json;

namespace {

ordered_json counters_json(const cpu::Counters& counters) {
  ordered_json out = ordered_json::object();  // of an idle core too
  for (std::size_t e = 0; e < cpu::kEvents; ++e) {
    ordered_json by_cause = ordered_json::object();
    std::uint64_t total = 0;
    for (std::size_t c = 0; c < kernel::kCauseNames.size(); ++c) {
      const std::uint64_t n = counters.count[e][c];
      total += n;
      if (n != 0) by_cause[std::string(kernel::kCauseNames[c])] = n;
    }
    if (total == 0) continue;
    out[std::string(cpu::kEventInfo[e].name)] = {{"total", total}, {"by_cause", by_cause}};
  }
  return out;
}

// Whole cycles of parts in their order, which sum exactly to the whole cycles of their sum.
class WholeCycles {
 public:
  std::uint64_t next(std::uint64_t millicycles) {
    const std::uint64_t before = sum_ / 1000;
    return (sum_ += millicycles) / 1000 - before;
  }

 private:
  std::uint64_t sum_ = 0;
};

ordered_json cycles_json(const cpu::Counters& counters) {
  ordered_json by_event = ordered_json::object();
  ordered_json by_cause = ordered_json::object();
  WholeCycles of_events, of_causes;
  for (std::size_t c = 0; c < kernel::kCauseNames.size(); ++c) {
    std::uint64_t sum = 0;
    for (std::size_t e = 0; e < cpu::kEvents; ++e) sum += counters.millicycles[e][c];
    if (sum != 0) by_cause[std::string(kernel::kCauseNames[c])] = of_causes.next(sum);
  }
  for (std::size_t e = 0; e < cpu::kEvents; ++e) {
    std::uint64_t sum = 0;
    for (const std::uint64_t n : counters.millicycles[e]) sum += n;
    if (sum != 0) by_event[std::string(cpu::kEventInfo[e].name)] = of_events.next(sum);
  }
  return {{"total", counters.total_millicycles() / 1000},
          {"by_event", by_event},
          {"by_cause", by_cause}};
}

template <class S, std::size_t N>
ordered_json statistics_json(const S& statistics, const std::array<Statistic<S>, N>& table) {
  ordered_json out = ordered_json::object();
  for (const Statistic<S>& s : table) out[std::string(s.name)] = statistics.*s.member;
  return out;
}

ordered_json allocator_json(const kernel::AllocatorStatistics& statistics) {
  ordered_json out = statistics_json(statistics, kernel::kAllocatorStatistics);
  for (const kernel::OwnStatistic& s : statistics.own) out[s.name] = s.value;
  return out;
}

// In bytes times thousands of cycles.
ordered_json by_owner_json(const std::array<kernel::ByteMillicycles, kernel::kTableOwners>& sums) {
  constexpr std::array<const char*, kernel::kTableOwners> kNames = {"own", "kernel", "other"};
  ordered_json out = ordered_json::object();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    out[kNames[i]] = static_cast<std::uint64_t>(sums[i] / kernel::kMillicyclesPerKilocycle);
  }
  return out;
}

ordered_json exposure_json(const kernel::ExposureSums& e) {
  return {{"at_rest", by_owner_json(e.at_rest)},
          {"in_windows", by_owner_json(e.in_windows)},
          {"windows", e.windows.count},
          {"window_stores", e.windows.stores},
          {"window_cycles", e.windows.millicycles / 1000},
          {"largest_window_stores", e.windows.most_stores},
          {"largest_window_cycles", e.windows.most_millicycles / 1000}};
}

// All parameters of a part, also those that keep their defaults.
ordered_json part_json(const kernel::Part& part, const std::vector<ParameterInfo>& declared) {
  ordered_json out = {{"name", part.name}};
  const Parameters values(part.name, declared, part.parameters);
  const std::vector<std::pair<std::string, std::string>>& all = values.all();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& [name, value] = all[i];
    if (!declared[i].quiet || part.parameters.contains(name)) out[name] = value;
  }
  return out;
}

ordered_json findings_json(const std::vector<check::Finding>& findings) {
  ordered_json out = ordered_json::array();
  for (const check::Finding& f : findings) {
    ordered_json finding = {{"rule", check::info(f.rule).name},
                            {"text", f.text},
                            {"phase", f.place},
                            {"core", f.core},
                            {"cause", kernel::kCauseNames[f.cause]},
                            {"count", f.count}};
    if (!f.history.empty()) finding["history"] = f.history;
    out.push_back(finding);
  }
  return out;
}

ordered_json injections_json(const kernel::Injector& injector) {
  ordered_json out = ordered_json::array();
  for (const kernel::Injector::Done& d : injector.done()) {
    out.push_back({{"fault", kernel::text_of(d.injection)},
                   {"occurrences", d.occurrences},
                   {"injected", d.broken}});
  }
  return out;
}

// Of soft mode, since boot.
ordered_json violations_json(const kernel::ProtectionStatistics& s) {
  ordered_json out = {{"count", s.violations}};
  if (!s.first) return out;
  out["first"] = {{"address", fmt::format("{:#x}", s.first->address.value)},
                  {"core", s.first->core},
                  {"cause", kernel::kCauseNames[s.first->cause]},
                  {"syndrome", fmt::format("{:#x}", s.first->syndrome)}};
  return out;
}

// Bytes that could have been written, on average over `millicycles`.
ordered_json bytes_json(const kernel::ExposureAmounts& amounts, std::uint64_t millicycles) {
  ordered_json out = ordered_json::array();
  for (const auto* sums : {&amounts.at_rest, &amounts.in_windows}) {
    for (const kernel::ByteMillicycles amount : *sums) {
      out.push_back(static_cast<std::uint64_t>(amount / std::max<std::uint64_t>(millicycles, 1)));
    }
  }
  return out;
}

ordered_json series_json(const kernel::ExposureSeries& series, std::uint64_t millicycles) {
  ordered_json parts = ordered_json::array(), cores = ordered_json::array();
  for (const auto& part : series.parts()) {
    parts.push_back(bytes_json(part, series.part_millicycles()));
  }
  for (const auto& core : series.cores()) cores.push_back(bytes_json(core, millicycles));
  return {{"part_cycles", series.part_millicycles() / 1000}, {"parts", parts}, {"cores", cores}};
}

ordered_json interleaved_json(const workload::PhaseResult::Interleaved& i) {
  ordered_json locks;
  for (std::size_t kind = 0; kind < kernel::kLockKinds; ++kind) {
    const kernel::LockWaits& w = i.waits[kind];
    locks[std::string(kernel::kLockNames[kind])] = {{"taken", w.taken},
                                                    {"waits", w.waits},
                                                    {"slept", w.slept},
                                                    {"wait_cycles", w.millicycles / 1000},
                                                    {"longest_wait_cycles", w.longest / 1000}};
  }
  ordered_json out = {{"cycles", i.millicycles / 1000}, {"locks", locks}};
  if (!i.exposure.cores().empty()) {  // of one phase
    out["exposure"] = series_json(i.exposure, i.millicycles);
  }
  return out;
}

// One phase, or the sum of all.
ordered_json part_json(const workload::PhaseResult& phase, const cpu::Counters& counters) {
  ordered_json out = {
      {"events", counters_json(counters)},
      {"cycles", cycles_json(counters)},
      {"page_table_writes", phase.pt_writes},
      {"allocator", allocator_json(phase.allocator)},
      {"linear_map", statistics_json(phase.linear_map, kernel::kLinearMapStatistics)},
      {"exposure", exposure_json(phase.exposure)},
      {"audit",
       {{"checked", phase.audit.checked},
        {"stale_leaves", phase.audit.stale_leaves},
        {"stale_tables", phase.audit.stale_tables},
        {"bbm_violations", phase.audit.bbm_violations}}}};
  if (phase.creds) out["credentials"] = statistics_json(*phase.creds, kernel::kCredStatistics);
  if (phase.interleaved) out["interleaved"] = interleaved_json(*phase.interleaved);
  if (phase.kernel_data) {
    out["kernel_data"] = statistics_json(*phase.kernel_data, kernel::kKernelDataStatistics);
  }
  return out;
}

// Protected classes, since boot.
ordered_json classes_json(const kernel::KeyedClasses& classes, std::uint64_t table_bytes) {
  const kernel::ClassPlan& plan = classes.plan();
  ordered_json out = {{"name", plan.classes.name},
                      {"source", plan.classes.source},
                      {"unprotected", plan.unprotected}};
  if (!plan.unprotected) {
    out["budget"] = plan.assignment.budget;
    out["strategy"] = pkrs::name_of(plan.assignment.strategy);
  }
  out["classes"] = ordered_json::array();
  for (std::size_t i = 0; i < plan.classes.classes.size(); ++i) {
    const kernel::ProtectedClass& c = plan.classes.classes[i];
    out["classes"].push_back({{"name", c.name},
                              {"bytes", c.page_tables() ? table_bytes : classes.bytes(i)},
                              {"secret", c.secret},
                              {"key", classes.key(i).value}});
  }
  out["contexts"] = ordered_json::array();
  const auto& uses = classes.uses();
  for (std::size_t i = 0; i < uses.size(); ++i) {
    out["contexts"].push_back(
        {{"name", plan.classes.contexts[i].name},
         {"entries", uses[i].entries},
         {"cycles", uses[i].millicycles / 1000},
         {"unneeded_byte_cycles", static_cast<std::uint64_t>(uses[i].over / 1000)}});
  }
  out["statistics"] = statistics_json(classes.statistics(), kernel::kClassStatistics);
  return out;
}

}  // namespace

ordered_json run_document(const workload::Workload& workload, const kernel::Kernel& kernel,
                          const std::vector<workload::PhaseResult>& phases, std::uint64_t ignored,
                          std::uint64_t beyond_memory, const check::Report* checked,
                          const std::vector<watch::Records>* records) {
  const kernel::System& system = kernel.system();
  const kernel::Config& config = system.config;
  const kernel::Policy& policy = config.policy;
  const auto window = kernel::window_of(policy);
  ordered_json injections = ordered_json::array();
  for (const kernel::Injection& fault : config.injections) {
    injections.push_back(kernel::text_of(fault));
  }
  ordered_json out;
  out["schema"] = kSchemaVersion;
  out["version"] = version();
  out["workload"] = {
      {"name", workload.name}, {"source", workload.source}, {"assumptions", workload.assumptions}};
  if (kernel.data() != nullptr) {
    for (const std::string& text : kernel::KernelData::assumptions(kernel.data()->settings())) {
      out["workload"]["assumptions"].push_back(text);
    }
  }
  ordered_json not_understood = ordered_json::object();
  for (const auto& [kind, n] : workload.not_understood) not_understood[kind] = n;
  out["workload"]["not_understood"] = not_understood;
  out["workload"]["notes"] = workload.notes;
  out["workload"]["default_images"] = workload.default_images;
  out["workload"]["calls_without_mapping"] = ignored;
  out["workload"]["pages_without_memory"] = beyond_memory;
  out["configuration"] = ordered_json::object();
  if (!config.policy_name.empty()) out["configuration"]["policy_name"] = config.policy_name;
  out["configuration"].update(ordered_json{
      {"policy", kernel::text_of(policy)},
      {"protection",
       part_json(policy.protection,
                 kernel::Protections::find(policy.protection.name, "protection").parameters)},
      {"window", window ? kernel::name_of(*window) : "none"},
      {"allocator",
       part_json(policy.allocator,
                 kernel::Allocators::find(policy.allocator.name, "allocator").parameters)},
      {"linear_map", kernel::map_json(policy)},
      {"reach", kernel::name_of(policy.reach)},
      {"inject", injections},
      {"memory_bytes", config.memory_bytes},
      {"cores", config.cores},
      {"hz", config.hz},
      {"core", system.machine.profile().name},
      {"kernel", system.profile.name}});
  if (kernel::protects_nothing(policy)) out["configuration"]["protects_nothing"] = true;
  if (system.machine.profile().architecture == cpu::Architecture::kX86) {
    out["configuration"]["architecture"] = "x86-64";
  }
  if (config.interleave) out["configuration"]["interleave"] = true;
  if (config.pressure_every != 0) {
    out["configuration"]["pressure_every"] = config.pressure_every;
  }
  if (!config.injections.empty()) out["injections"] = injections_json(system.taps.injector);
  if (checked != nullptr) {
    out["check"] = {{"findings", findings_json(checked->findings())},
                    {"hints", findings_json(checked->hints())}};
  }
  if (system.soft) out["violations"] = violations_json(system.protection->statistics());
  cpu::Counters all;
  workload::PhaseResult total;
  out["phases"] = ordered_json::array();
  std::optional<watch::Distributions> distributions;  // of all phases
  for (std::size_t i = 0; i < phases.size(); ++i) {
    const workload::PhaseResult& phase = phases[i];
    cpu::Counters sum;
    ordered_json cores = ordered_json::array();
    for (const cpu::Counters& core : phase.cores) {
      sum += core;
      cores.push_back({{"events", counters_json(core)}, {"cycles", cycles_json(core)}});
    }
    all += sum;
    total.pt_writes += phase.pt_writes;
    kernel::append_allocator(total.allocator, phase.allocator);
    kernel::append_exposure(total.exposure, phase.exposure);
    append(total.linear_map, phase.linear_map, kernel::kLinearMapStatistics);
    if (phase.creds) {
      if (!total.creds) total.creds.emplace();
      append(*total.creds, *phase.creds, kernel::kCredStatistics);
    }
    if (phase.kernel_data) {
      if (!total.kernel_data) total.kernel_data.emplace();
      append(*total.kernel_data, *phase.kernel_data, kernel::kKernelDataStatistics);
    }
    if (phase.interleaved) {
      if (!total.interleaved) total.interleaved = workload::PhaseResult::Interleaved{};
      total.interleaved->millicycles += phase.interleaved->millicycles;
      kernel::append_waits(total.interleaved->waits, phase.interleaved->waits);
    }
    total.audit.checked += phase.audit.checked;
    total.audit.stale_leaves += phase.audit.stale_leaves;
    total.audit.stale_tables += phase.audit.stale_tables;
    total.audit.bbm_violations = phase.audit.bbm_violations;  // since boot
    ordered_json part = {{"name", phase.name}};
    part.update(part_json(phase, sum));
    if (records != nullptr) {
      const watch::Records& of_phase = (*records)[i];
      if (of_phase.distributions) {
        part["distributions"] = distributions_json(*of_phase.distributions);
        if (!distributions) distributions.emplace();
        *distributions += *of_phase.distributions;
      }
      if (of_phase.series) {
        part["series"] = series_json(*of_phase.series, !system.machine.interleaved());
      }
    }
    part["cores"] = cores;
    out["phases"].push_back(part);
  }
  out["total"] = part_json(total, all);
  if (distributions) out["total"]["distributions"] = distributions_json(*distributions);
  if (system.classes) {
    out["classes"] = classes_json(*system.classes, system.allocator->live() * kPageSize);
  }
  return out;
}

std::string document_text(const ordered_json& document) {
  constexpr int kIndent = 2;
  return dump(document, kIndent) + "\n";
}

}  // namespace kpksim::report
