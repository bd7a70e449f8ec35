#pragma once
// Where the cycles of the difference between policies went: a view of a result document.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/report/table.h"

namespace kpksim::report {

struct ExplainRequest {
  std::string phase;            // empty: the whole workload
  std::string from;             // a policy as --policy takes it; empty: the first of the document
  std::vector<std::string> to;  // empty: all others
};

// For each workload of the document, a table (by kind of cost and by what the kernel was doing, one
// column for each policy of `to`) and a paragraph on each policy. A document of one run (kpksim
// run) has no difference to explain: its table is of that run's own cycles. InputError: a phase or
// policy that the document does not have.
std::string explain(const nlohmann::ordered_json& document, const ExplainRequest& request,
                    const TableStyle& style);

}  // namespace kpksim::report
