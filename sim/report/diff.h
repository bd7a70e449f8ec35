#pragma once
// Two documents side by side: what of the configuration and of the numbers is not the same.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace kpksim::report {

// Of two result documents, two of kpksim keys, or two configurations (kpksim config); runs are
// compared in their order, rows of keys by budget and strategy. Numbers are the totals, and with
// `phases` those of each phase and core, or of each context, too. What one side has not
// is 0 there, if it is a count, else "-". Empty: there is no difference.
std::string differences(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b,
                        bool phases);

}  // namespace kpksim::report
