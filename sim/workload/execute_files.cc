// Operations on a file whose pages may be mapped.

#include <array>

#include "sim/workload/execution.h"

namespace kpksim::workload {
namespace {

void punch_hole(Execution& x, const Operation& op) {
  x.refuse_unless(x.kernel.punch_hole(op.task, x.address_of(op), op.length), op,
                  "no file is mapped in this range");
}

void truncate(Execution& x, const Operation& op) {
  x.kernel.truncate(op.task, op.file_id, op.length);
}

void close(Execution& x, const Operation& op) {
  if (op.unnamed) {
    x.kernel.was_closed(op.file_id);
  } else {
    x.kernel.close_file(op.task, op.file_id, op.call);
  }
}

constexpr auto kFileExecutors = std::to_array<Executor>({
    {OpKind::kPunchHole, punch_hole},
    {OpKind::kTruncate, truncate},
    {OpKind::kClose, close},
});

}  // namespace

std::span<const Executor> file_executors() { return kFileExecutors; }

}  // namespace kpksim::workload
