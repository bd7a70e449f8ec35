// Accesses of a program to its memory.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <random>

#include "sim/base/error.h"
#include "sim/workload/execution.h"

namespace kpksim::workload {
namespace {

std::uint64_t offset_of(const Operation& op, std::uint64_t i, std::uint64_t n,
                        std::mt19937_64& random) {
  switch (op.order) {
    case Order::kAscending:
      return i * op.stride;
    case Order::kDescending:
      return (n - 1 - i) * op.stride;
    case Order::kRandom:
      return random() % n * op.stride;
  }
  return 0;
}

// Which pages a recording touches is a guess, which must not exhaust the machine: what is more than
// there is memory for has not been touched. A part of the memory is for what is no guess.
bool has_memory(Execution& x, const Operation& op, std::uint64_t base) {
  if (!op.may_fail) return true;
  constexpr std::uint64_t kPartKept = 64;
  const kernel::Buddy& buddy = x.kernel.system().buddy;
  const std::uint64_t kept = buddy.size() / kPartKept;
  const std::uint64_t spare = buddy.free_pages() - std::min(buddy.free_pages(), kept);
  if (op.length / kPageSize < spare) return true;
  const std::uint64_t missing = x.kernel.missing_pages(op.task, base, op.length);
  if (missing <= spare) return true;
  x.beyond_memory += missing;
  return false;
}

void touch(Execution& x, const Operation& op) {
  const std::uint64_t base = x.address_of(op);
  const std::uint64_t n = accesses(op);
  if (!has_memory(x, op, base)) return x.advance(n);
  const poe::AccessKind kind = op.write     ? poe::AccessKind::kWrite
                               : op.execute ? poe::AccessKind::kExecute
                                            : poe::AccessKind::kRead;
  std::mt19937_64 random(op.seed);
  for (std::uint64_t i = 0; i < n; ++i) {
    x.advance(1);
    const std::uint64_t address = base + offset_of(op, i, n, random);
    if (op.computes != 0) x.kernel.compute(op.task, op.computes);
    const bool done = op.by_kernel ? x.kernel.touch_by_kernel(op.task, address, kind)
                                   : x.kernel.touch(op.task, address, kind);
    if (done != op.refused) continue;
    if (!op.may_fail) {
      throw InputError(fmt::format("task {} touches {:#x}, which its mappings {}allow", op.task,
                                   address, done ? "" : "do not "));
    }
    ++x.ignored;
  }
}

void stray_store(Execution& x, const Operation& op) {
  const auto level = static_cast<unsigned>(op.count);
  x.refuse_unless(
      x.kernel.stray_store(op.task, VirtAddr(x.address_of(op)), level, op.refused), op,
      "no page table of that level maps it: nothing was used there, or a larger page is");
}

constexpr auto kAccessExecutors =
    std::to_array<Executor>({{OpKind::kTouch, touch}, {OpKind::kStrayStore, stray_store}});

}  // namespace

std::span<const Executor> access_executors() { return kAccessExecutors; }

}  // namespace kpksim::workload
