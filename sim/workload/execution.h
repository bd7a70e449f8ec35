#pragma once
// Operations, executed one by one on a kernel, and what they leave behind for later ones: where the
// regions are that they name.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>

#include "sim/kernel/kernel.h"
#include "sim/workload/extent.h"
#include "sim/workload/operation.h"

namespace kpksim::workload {

// How many accesses a touch makes.
inline std::uint64_t accesses(const Operation& op) {
  return (op.length + op.stride - 1) / op.stride;
}

class Execution {
 public:
  explicit Execution(kernel::Kernel& on) : kernel(on) {}

  // `workload` outlives its operations: exec loads its images.
  void begin(const Workload& workload);
  void execute(const Operation& op);

  // Where `op` begins to act; nullopt if its region is not mapped now.
  std::optional<VirtAddr> place_of(const Operation& op) const;

  // Called now and then with the number of steps done since the last call.
  std::function<void(std::uint64_t)> progress;
  void advance(std::uint64_t steps);

  // For the functions of the tables below.
  kernel::Kernel& kernel;
  // As place_of(), or the operation's own address; InputError if its region is not mapped.
  std::uint64_t address_of(const Operation& op) const;
  void remember(RegionId region, Extent where) { regions_[region] = where; }
  bool remembers(RegionId region) const { return regions_.contains(region); }
  const kernel::MappedProgram* image_of(const Operation& op) const;
  // Pages of this vmalloc.
  std::uint64_t draw(const Operation& op);
  // Not `done`: InputError, or one more that is ignored, if `op` may fail.
  void refuse_unless(bool done, const Operation& op, const char* what);

  std::uint64_t ignored = 0;        // that may fail, and did
  std::uint64_t beyond_memory = 0;  // pages of touches for which there is no memory

 private:
  const Workload* workload_ = nullptr;
  std::unordered_map<RegionId, Extent> regions_;
  std::unordered_map<RegionId, Segment> segments_;  // regions that are parts of the program
  std::unordered_map<const Operation*, std::uint32_t> draws_;
  std::uint64_t new_steps_ = 0;
};

// A new kind of operation is a function, and a line of the table in its file.
struct Executor {
  OpKind kind;
  void (*execute)(Execution& x, const Operation& op);
};
std::span<const Executor> task_executors();           // execute_tasks.cc
std::span<const Executor> memory_executors();         // execute_memory.cc
std::span<const Executor> file_executors();           // execute_files.cc
std::span<const Executor> access_executors();         // execute_accesses.cc
std::span<const Executor> kernel_memory_executors();  // execute_kernel_memory.cc
// What executes this kind; nullptr: no table has it.
const Executor* executor_of(OpKind kind);

}  // namespace kpksim::workload
