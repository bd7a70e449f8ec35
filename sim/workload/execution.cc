#include "sim/workload/execution.h"

#include <array>

#include "sim/base/error.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kProgressEvery = 16384;
using Executors = std::array<const Executor*, static_cast<std::size_t>(OpKind::kCount)>;

Executors all_executors() {
  Executors all{};
  for (const auto& table : {task_executors(), memory_executors(), file_executors(),
                            access_executors(), kernel_memory_executors()}) {
    for (const Executor& e : table) all[static_cast<std::size_t>(e.kind)] = &e;
  }
  return all;
}

}  // namespace

const Executor* executor_of(OpKind kind) {
  static const Executors all = all_executors();
  return all[static_cast<std::size_t>(kind)];
}

void Execution::begin(const Workload& workload) {
  workload_ = &workload;
  kernel.set_program(workload.program);
  for (const auto& [region, segment] : workload.segments) segments_[region] = segment;
}

void Execution::execute(const Operation& op) {
  // A touch computes before each access.
  if (op.computes != 0 && op.kind != OpKind::kTouch && kernel.alive(op.task)) {
    kernel.compute(op.task, op.computes);
  }
  executor_of(op.kind)->execute(*this, op);
}

void Execution::advance(std::uint64_t steps) {
  new_steps_ += steps;
  if (new_steps_ < kProgressEvery || !progress) return;
  progress(new_steps_);
  new_steps_ = 0;
}

std::optional<VirtAddr> Execution::place_of(const Operation& op) const {
  if (const auto it = segments_.find(op.region); it != segments_.end()) {
    const Extent part = segment_of(kernel.program(), kernel.placement(op.task), it->second);
    return VirtAddr(part.address + op.address);
  }
  const auto it = regions_.find(op.region);
  if (it == regions_.end()) return std::nullopt;
  return VirtAddr(it->second.address + op.address);
}

std::uint64_t Execution::address_of(const Operation& op) const {
  if (op.region == 0) return op.address;
  const auto place = place_of(op);
  if (!place) throw InputError("the region is not mapped at this point");
  return place->value;
}

const kernel::MappedProgram* Execution::image_of(const Operation& op) const {
  return op.image == 0 ? nullptr : &workload_->images[op.image - 1];
}

// Numerical Recipes' "quick and dirty" generator: a phase may say which sizes come.
std::uint64_t Execution::draw(const Operation& op) {
  if (op.up_to == 0) return op.count;
  std::uint32_t& x = draws_.try_emplace(&op, static_cast<std::uint32_t>(op.seed)).first->second;
  x = x * 1664525u + 1013904223u;
  return op.count + (x >> 8) % (op.up_to - op.count + 1);
}

void Execution::refuse_unless(bool done, const Operation& op, const char* what) {
  if (done) return;
  if (!op.may_fail) throw InputError(what);
  ++ignored;
}

}  // namespace kpksim::workload
