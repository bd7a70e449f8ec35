#pragma once
// The document of keys::Budgets as a table: a line for each budget and strategy, and the finding.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/report/table.h"

namespace kpksim::report {

std::string keys_table(const nlohmann::ordered_json& document, const TableStyle& style);

}  // namespace kpksim::report
