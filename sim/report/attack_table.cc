#include "sim/report/attack_table.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "sim/report/result.h"
#include "sim/report/text_table.h"

namespace kpksim::report {
namespace {

using nlohmann::ordered_json;

ordered_json blow_json(const attack::Blow& blow, bool x86) {
  ordered_json out = {{"do", blow.what}, {"happened", blow.happened}};
  if (!blow.happened) return out;
  out["core"] = blow.core;
  if (blow.fell != 0) {
    out["moment"] = double(blow.moment) / 1000;
    out["fell"] = double(blow.fell) / 1000;
  }
  out["hits_table"] = blow.on_table;
  if (blow.on_freed_table) out["hits_freed_table"] = true;
  if (blow.by_mmu) {
    out["address"] = fmt::format("{:#x}", blow.address.value);
    out["walk"] = ordered_json::array();
    for (const mmu::WalkStep& step : blow.walk) {
      out["walk"].push_back({{"level", step.level},
                             {"address", fmt::format("{:#x}", step.address.value)},
                             {"descriptor", fmt::format("{:#x}", step.descriptor.raw)}});
    }
    out["from_tlb"] = blow.from_tlb;
    out["ttbr0_el1"] = fmt::format("{:#x}", blow.ttbr0_el1);
    if (blow.tags) {
      out["tags"] = {{"pointer", blow.tags->pointer.value},
                     {"memory", blow.tags->memory.value},
                     {"compared", blow.tags->compared}};
    }
    if (blow.overlays) out["por_el1"] = fmt::format("{:#x}", blow.por_el1);
  }
  if (!blow.fault) return out;
  const poe::Access access{blow.fault.write ? poe::AccessKind::kWrite : poe::AccessKind::kRead, 1,
                           false};
  out["fault"] = {{"syndrome", fmt::format("{:#x}", x86 ? mmu::page_fault_code(blow.fault)
                                                        : mmu::esr_of(blow.fault, access))},
                  {"address", fmt::format("{:#x}", blow.fault.far.value)},
                  {"level", blow.fault.level},
                  {"overlay", blow.fault.overlay},
                  {"stage2", blow.fault.stage2}};
  return out;
}

ordered_json verdict_json(const attack::Verdict& v, const kernel::Policy& policy) {
  const bool succeeded = v.outcome == attack::Outcome::kSucceeded;
  ordered_json out = {{"policy", kernel::text_of(policy)},
                      {"outcome", attack::name_of(v.outcome)},
                      {"text", attack::text_of(v)},
                      {"draws", v.draws},
                      {"successes", v.draws > 1 ? v.successes
                                    : succeeded ? 1u
                                                : 0u}};
  if (v.draws > 1) {
    const auto [low, high] = attack::wilson(v.draws - v.successes, v.draws);
    out["detected"] = {{"low", low}, {"high", high}};
  }
  if (v.points != 0) out["points"] = {{"all", v.points}, {"succeeded", v.points_succeeded}};
  if (!v.proof.empty()) out["proof"] = v.proof;
  if (!v.ended.empty()) out["ended"] = v.ended;
  out["strikes"] = ordered_json::array();
  for (const attack::Blow& blow : v.blows) out["strikes"].push_back(blow_json(blow, v.x86));
  return out;
}

// Lines of a policy's name, so that columns are narrow.
std::vector<std::string> lines(const std::string& policy) {
  std::vector<std::string> out(3);
  std::size_t at = 0;
  for (const char c : policy) {
    if (c == ',' && at + 1 < out.size()) {
      ++at;
    } else {
      out[at] += c;
    }
  }
  return out;
}

}  // namespace

ordered_json attack_document(const std::vector<attack::Scenario>& scenarios,
                             const std::vector<kernel::Config>& configs,
                             const std::vector<std::vector<Fought>>& verdicts,
                             const std::string& core, const std::string& kernel) {
  ordered_json out = {{"schema", 1}, {"version", version()}, {"core", core}, {"kernel", kernel}};
  out["scenarios"] = ordered_json::array();
  for (std::size_t s = 0; s < scenarios.size(); ++s) {
    ordered_json scenario = {{"name", scenarios[s].name},
                             {"description", scenarios[s].description},
                             {"source", scenarios[s].source}};
    if (scenarios[s].workload.interleave || configs[0].interleave) scenario["interleave"] = true;
    scenario["verdicts"] = ordered_json::array();
    for (std::size_t p = 0; p < configs.size(); ++p) {
      ordered_json verdict = verdict_json(verdicts[s][p].under, configs[p].policy);
      if (const auto& without = verdicts[s][p].without) {
        verdict["difference"] = attack::first_difference(verdicts[s][p].under, *without);
      }
      scenario["verdicts"].push_back(verdict);
    }
    out["scenarios"].push_back(scenario);
  }
  return out;
}

std::string attack_table(const ordered_json& document, const TableStyle& style) {
  std::vector<std::vector<std::string>> labels;
  for (const ordered_json& v : document["scenarios"][0]["verdicts"]) {
    labels.push_back(lines(v["policy"].get<std::string>()));
  }
  Table table(labels);
  table.section("attack");
  for (const ordered_json& scenario : document["scenarios"]) {
    Row row{scenario["name"].get<std::string>(), {}};
    for (const ordered_json& v : scenario["verdicts"]) {
      row.cells.push_back(v["text"].get<std::string>());
    }
    table.row(std::move(row));
  }
  return table.print(style);
}

namespace {

// What one strike met, in lines.
std::string explained(std::size_t i, const ordered_json& blow, const TableStyle& style) {
  std::string text = fmt::format("{}. {}", i + 1, blow["do"].get<std::string>());
  if (!blow["happened"].get<bool>()) return wrapped(text + ": its occasion never came", style);
  text += fmt::format(", core {}, {}", blow["core"].get<unsigned>(),
                      blow["hits_table"].get<bool>()      ? "on a page table"
                      : blow.contains("hits_freed_table") ? "on a freed table"
                                                          : "on no page table");
  if (blow.contains("fault")) {
    const ordered_json& fault = blow["fault"];
    text += fmt::format(": refused (syndrome {})", fault["syndrome"].get<std::string>());
  } else {
    text += ": done";
  }
  if (blow.contains("moment")) {
    text += fmt::format("; for the moment {:.3f}, its core got there at {:.3f} cycles",
                        blow["moment"].get<double>(), blow["fell"].get<double>());
  }
  std::string out = wrapped(text, style);
  if (!blow.contains("walk")) return out;
  std::string walk =
      fmt::format("   address {}; the walk reads", blow["address"].get<std::string>());
  for (const ordered_json& step : blow["walk"]) {
    walk += fmt::format(" L{} {}", step["level"].get<unsigned>(),
                        step["descriptor"].get<std::string>());
  }
  if (blow.contains("por_el1")) {
    walk += fmt::format("; POR_EL1 {}", blow["por_el1"].get<std::string>());
  }
  if (blow.contains("tags")) {
    const ordered_json& tags = blow["tags"];
    walk += fmt::format("; tag of the pointer {:#x}, of the memory {:#x}{}",
                        tags["pointer"].get<unsigned>(), tags["memory"].get<unsigned>(),
                        tags["compared"].get<bool>() ? "" : ", not compared (match-all)");
  }
  out += wrapped(walk, style);
  if (blow["from_tlb"].get<bool>()) {
    out +=
        wrapped("   the TLB holds an older entry than the walk gives, and that one counts", style);
  }
  return out;
}

}  // namespace

std::string attack_explanation(const ordered_json& document, const TableStyle& style) {
  std::string out;
  for (const ordered_json& scenario : document["scenarios"]) {
    out += "\n" + wrapped(fmt::format("{}: {} ({})", scenario["name"].get<std::string>(),
                                      scenario["description"].get<std::string>(),
                                      scenario["source"].get<std::string>()),
                          style);
    for (const ordered_json& v : scenario["verdicts"]) {
      out += "\n" + wrapped(fmt::format("{}: {}", v["policy"].get<std::string>(),
                                        v["text"].get<std::string>()),
                            style);
      for (std::size_t i = 0; i < v["strikes"].size(); ++i) {
        out += explained(i, v["strikes"][i], style);
      }
      if (v.contains("ended")) {
        out += wrapped("the workload ends here: " + v["ended"].get<std::string>(), style);
      }
      if (v.contains("proof")) out += wrapped("proof: " + v["proof"].get<std::string>(), style);
      if (v.contains("difference")) {
        const auto difference = v["difference"].get<std::string>();
        out += wrapped("against no protection: " +
                           (difference.empty() ? "nothing goes another way" : difference),
                       style);
      }
    }
  }
  return out;
}

}  // namespace kpksim::report
