#pragma once
// Verdicts of attacks as a document (docs/attack.schema.json), and as a matrix: a row for each
// scenario, a column for each policy.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/attack/battle.h"
#include "sim/report/table.h"

namespace kpksim::report {

// `verdicts`: by scenario and policy.
nlohmann::ordered_json attack_document(const std::vector<attack::Scenario>& scenarios,
                                       const std::vector<kernel::Config>& configs,
                                       const std::vector<std::vector<attack::Verdict>>& verdicts,
                                       const std::string& core, const std::string& kernel);

std::string attack_table(const nlohmann::ordered_json& document, const TableStyle& style);
// Each strike of each fight, with the fault that it met, and the proof of each success.
std::string attack_explanation(const nlohmann::ordered_json& document, const TableStyle& style);

}  // namespace kpksim::report
