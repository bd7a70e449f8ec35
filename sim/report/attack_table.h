#pragma once
// Verdicts of attacks as a document (docs/attack.schema.json), and as a matrix: a row for each
// scenario, a column for each policy.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sim/attack/verdict.h"
#include "sim/kernel/system.h"
#include "sim/report/table.h"

namespace kpksim::report {

// One cell: the verdict under the policy and, where the two are compared, without any protection.
struct Fought {
  attack::Verdict under;
  std::optional<attack::Verdict> without;
};

// `verdicts`: by scenario and policy.
nlohmann::ordered_json attack_document(const std::vector<attack::Scenario>& scenarios,
                                       const std::vector<kernel::Config>& configs,
                                       const std::vector<std::vector<Fought>>& verdicts,
                                       const std::string& core, const std::string& kernel);

std::string attack_table(const nlohmann::ordered_json& document, const TableStyle& style);
// Each strike of each fight: the fault that it met, what the walk read and the registers were; the
// proof of each success, and where it goes another way than without protection.
std::string attack_explanation(const nlohmann::ordered_json& document, const TableStyle& style);

}  // namespace kpksim::report
