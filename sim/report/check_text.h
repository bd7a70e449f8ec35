#pragma once
// What the sanitizer found and what was injected, as text.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/check/report.h"
#include "sim/report/table.h"

namespace kpksim::report {

// Of a run's document, named by its policy: each finding with its history, hints in a line each.
std::string check_text(const nlohmann::ordered_json& run, const std::string& policy,
                       const TableStyle& style);

// For a simulated kernel that died: what killed it, and what had been found before.
std::string with_findings(const std::string& what, const check::Report& report);

}  // namespace kpksim::report
