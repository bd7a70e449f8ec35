#pragma once
// What a result says when the numbers that nobody has measured are drawn from their ranges. Cycles
// are counts times prices, so a draw needs no further simulation.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/cpu/profile.h"
#include "sim/report/table.h"

namespace kpksim::report {

// For the runs of one workload on `core`: cycles of each phase and policy over the draws, the
// overhead over the first run, both with the core's own numbers too, and for each pair of policies
// in how many draws the one needs fewer cycles. An interval is [5th percentile, median, 95th].
nlohmann::ordered_json uncertainty(const std::vector<nlohmann::ordered_json>& runs,
                                   const cpu::CoreProfile& core,
                                   const std::vector<cpu::CoreProfile>& draws);

// For people: medians and intervals, which results of the core's own numbers lie outside them and
// why, then which order of policies holds in every draw.
std::string uncertainty_table(const nlohmann::ordered_json& uncertainty, const TableStyle& style);

}  // namespace kpksim::report
