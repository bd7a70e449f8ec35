// What happens to files that are mapped.

#include <fmt/core.h>

#include "sim/base/error.h"
#include "sim/workload/json_reader.h"

namespace kpksim::workload {

void JsonOperations::Reader::truncate(From from, Task, Operation& op) {
  op.file_id = mapped_file(from);
  op.length = from.size("size");
}

void JsonOperations::Reader::close(From from, Task, Operation& op) {
  op.file_id = mapped_file(from);
  if (!in_memory_.at(from.text("file"))) {
    from.fail("file", "only a file in memory goes with its users");
  }
}

std::uint32_t JsonOperations::Reader::mapped_file(From from) {
  const std::string name = from.text("file");
  if (!in_memory_.contains(name)) {
    std::vector<std::string> known;
    for (const auto& [file, unused] : in_memory_) known.push_back(file);
    from.fail("file", fmt::format("no mmap before this is of a file '{}'{}", name,
                                  known.empty() ? "" : suggest(name, known)));
  }
  return file_ids_[name];
}

}  // namespace kpksim::workload
