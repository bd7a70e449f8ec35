#pragma once

namespace kpksim::workload {

// JSON Schema (draft 7) of a workload file, the same text as workloads/schema.json.
extern const char* const kWorkloadSchema;

}  // namespace kpksim::workload
