#pragma once
// What the sanitizer found and what was injected, as text.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/check/report.h"
#include "sim/report/table.h"

namespace kpksim::report {

// Of a run's document, named by its policy: each finding with its history, hints in a line each.
std::string check_text(const nlohmann::ordered_json& run, const std::string& policy,
                       const TableStyle& style);

// How many findings runs that were checked have between them, by their documents.
std::uint64_t findings(const std::vector<nlohmann::ordered_json>& runs);

// For a simulated kernel that died: what killed it, and what had been found before.
std::string with_findings(const std::string& what, const check::Report& report);

}  // namespace kpksim::report
