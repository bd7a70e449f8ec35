#pragma once
// The result of one run as a JSON document: configuration, counters per phase and core, allocator
// and linear-map statistics, cycles by cause. Tables and CSV are views of it.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/check/report.h"
#include "sim/watch/records.h"
#include "sim/workload/driver.h"

namespace kpksim::report {

// Of kpksim, as documents and --version have it.
const char* version();

inline constexpr int kSchemaVersion = 2;

// `records`: of each phase, where the run was recorded.
nlohmann::ordered_json run_document(const workload::Workload& workload,
                                    const kernel::Kernel& kernel,
                                    const std::vector<workload::PhaseResult>& phases,
                                    std::uint64_t ignored, std::uint64_t beyond_memory = 0,
                                    const check::Report* checked = nullptr,
                                    const std::vector<watch::Records>* records = nullptr);

// A document as it is written to a file or printed. ASCII alone: what names hold beyond it is
// escaped, bytes that are no UTF-8 are replaced.
std::string document_text(const nlohmann::ordered_json& document);

}  // namespace kpksim::report
