#pragma once
// The result of one run as a JSON document: configuration, counters per phase and core, allocator
// and linear-map statistics, cycles by cause. Tables and CSV are views of it.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/workload/driver.h"

namespace kpksim::report {

inline constexpr int kSchemaVersion = 1;

nlohmann::ordered_json run_document(const workload::Workload& workload,
                                    const kernel::Kernel& kernel,
                                    const std::vector<workload::PhaseResult>& phases,
                                    std::uint64_t ignored);

// Writes through a temporary file and a rename, so that no partial file is ever left.
void write_file(const std::string& path, const std::string& text);

}  // namespace kpksim::report
