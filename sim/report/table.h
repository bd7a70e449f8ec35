#pragma once
// Views of a result document for people: the terminal table and CSV.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace kpksim::report {

struct TableStyle {
  unsigned width = 0;        // columns of the terminal; 0: as wide as it gets
  bool colour = false;       // section titles in bold, warnings in red
  bool assumptions = false;  // each in full, not only how many
};

// A comparison: one column for each run, the overhead in percent over the first.
std::string compare_table(const nlohmann::ordered_json& document, const TableStyle& style);
// The same of many policies: one row for each run, with what they are compared for.
std::string policies_table(const nlohmann::ordered_json& document, const TableStyle& style);
// One run: one column for each phase, and the total.
std::string run_table(const nlohmann::ordered_json& run, const TableStyle& style);

// workload,policy,phase,quantity,cause,value, then the configuration, version and source of the
// run: one line for each figure of the document.
std::string csv(const nlohmann::ordered_json& document);

}  // namespace kpksim::report
