#pragma once
// The operations of a workload that is written as JSON: each in the file's order, as what one says
// of tasks and regions is held against those before it.

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/workload/operation.h"
#include "sim/workload/task_table.h"

namespace kpksim::workload {

class JsonOperations {
 public:
  // `lines`: of the file's objects, by JSON pointer. `seed`: of what draws and has none of its own.
  JsonOperations(std::string path, std::unordered_map<std::string, std::uint32_t> lines,
                 std::uint64_t seed);
  ~JsonOperations();

  // The parts of the program image are regions of every task, with ids of their own.
  void set_program(const kernel::ProgramImage& image, Workload& workload);
  // Adds what the object at `pointer` says: an operation, or with "every" several. InputError.
  void read(const nlohmann::json& object, const std::string& pointer, std::vector<Step>& out);
  TaskTable& tasks();
  // What the ids of the operations so far stand for.
  void set_names(Workload& workload) const;

 private:
  class Reader;
  std::unique_ptr<Reader> reader_;
};

}  // namespace kpksim::workload
