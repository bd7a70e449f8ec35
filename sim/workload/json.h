#pragma once
// Workloads written by hand as JSON; workloads/README.md describes the format.

#include <string>

#include "sim/workload/operation.h"

namespace kpksim {
class JsonFile;
}

namespace kpksim::workload {

// Reads, validates against `schema_text` (JSON Schema draft 7, normally kWorkloadSchema) and checks
// what a schema cannot say: that tasks and regions exist where they are used, sizes and ranges.
// Names become ids from 1 in the order of first appearance. Every region operation of the result
// has its length filled in. Throws InputError.
Workload read_json_workload(const std::string& path, const std::string& schema_text);

// The same with the schema built in.
Workload read_json_workload(const std::string& path);
// Of a file that has been read, in which values may have been set.
Workload read_json_workload(const JsonFile& file);

// Of one that is valid already, against a schema that has all of the workload's in it.
Workload read_valid_workload(const JsonFile& file);

}  // namespace kpksim::workload
