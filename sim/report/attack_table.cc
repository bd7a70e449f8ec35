#include "sim/report/attack_table.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "sim/report/result.h"
#include "sim/report/text_table.h"

namespace kpksim::report {
namespace {

using nlohmann::ordered_json;

ordered_json blow_json(const attack::Blow& blow) {
  ordered_json out = {{"do", blow.what}, {"happened", blow.happened}};
  if (!blow.happened) return out;
  out["core"] = blow.core;
  out["hits_table"] = blow.on_table;
  if (!blow.fault) return out;
  const poe::Access access{blow.fault.write ? poe::AccessKind::kWrite : poe::AccessKind::kRead, 1,
                           false};
  out["fault"] = {{"syndrome", fmt::format("{:#x}", mmu::esr_of(blow.fault, access))},
                  {"address", fmt::format("{:#x}", blow.fault.far.value)},
                  {"level", blow.fault.level},
                  {"overlay", blow.fault.overlay},
                  {"stage2", blow.fault.stage2}};
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
                             const std::vector<std::vector<attack::Verdict>>& verdicts,
                             const std::string& core, const std::string& kernel) {
  ordered_json out = {{"schema", 1}, {"version", version()}, {"core", core}, {"kernel", kernel}};
  out["scenarios"] = ordered_json::array();
  for (std::size_t s = 0; s < scenarios.size(); ++s) {
    ordered_json scenario = {{"name", scenarios[s].name},
                             {"description", scenarios[s].description},
                             {"source", scenarios[s].source}};
    scenario["verdicts"] = ordered_json::array();
    for (std::size_t p = 0; p < configs.size(); ++p) {
      const attack::Verdict& v = verdicts[s][p];
      ordered_json verdict = {{"policy", kernel::text_of(configs[p].policy)},
                              {"outcome", attack::name_of(v.outcome)},
                              {"text", attack::text_of(v)},
                              {"draws", v.draws},
                              {"successes", v.draws > 1                                ? v.successes
                                            : v.outcome == attack::Outcome::kSucceeded ? 1u
                                                                                       : 0u}};
      if (!v.proof.empty()) verdict["proof"] = v.proof;
      verdict["strikes"] = ordered_json::array();
      for (const attack::Blow& blow : v.blows) verdict["strikes"].push_back(blow_json(blow));
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

std::string attack_explanation(const ordered_json& document, const TableStyle& style) {
  std::string out;
  for (const ordered_json& scenario : document["scenarios"]) {
    out += "\n" + wrapped(fmt::format("{}: {} ({})", scenario["name"].get<std::string>(),
                                      scenario["description"].get<std::string>(),
                                      scenario["source"].get<std::string>()),
                          style);
    for (const ordered_json& v : scenario["verdicts"]) {
      out += wrapped(
          fmt::format("  {}: {}", v["policy"].get<std::string>(), v["text"].get<std::string>()),
          style);
      for (const ordered_json& blow : v["strikes"]) {
        std::string text = "    " + blow["do"].get<std::string>();
        if (!blow["happened"].get<bool>()) {
          text += ": its occasion never came";
        } else {
          text +=
              fmt::format(" on core {}, {}", blow["core"].get<unsigned>(),
                          blow["hits_table"].get<bool>() ? "a page table then" : "no page table");
          if (blow.contains("fault")) {
            text += fmt::format(": refused at {} (syndrome {})",
                                blow["fault"]["address"].get<std::string>(),
                                blow["fault"]["syndrome"].get<std::string>());
          } else {
            text += ": went through";
          }
        }
        out += wrapped(text, style);
      }
      if (v.contains("proof")) out += wrapped("    " + v["proof"].get<std::string>(), style);
    }
  }
  return out;
}

}  // namespace kpksim::report
