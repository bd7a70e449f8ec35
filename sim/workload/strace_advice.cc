// What a trace advises the kernel on its memory.

#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {

void StraceReader::madvise(const StraceLine& line) {
  if (!range(line)) return;
  settle(pid_);
  const std::uint64_t start = line.argument(0), length = align_up(line.argument(1), kPageSize);
  const bool write = line.has(2, "MADV_POPULATE_WRITE");
  if (line.has(2, "MADV_DONTNEED") || line.has(2, "MADV_FREE")) {
    std::vector<PageTouch> used;
    space().use_up(start, start + length, used);
    touch(pid_, used);
  }
  Operation& op = emit(OpKind::kMadvise, pid_);
  op.address = start;
  op.length = length;
  op.advice = line.has(2, "MADV_DONTNEED") || line.has(2, "MADV_DONTNEED_LOCKED")
                  ? Advice::kDontNeed
              : line.has(2, "MADV_FREE")       ? Advice::kFree
              : line.has(2, "MADV_HUGEPAGE")   ? Advice::kHugepage
              : line.has(2, "MADV_NOHUGEPAGE") ? Advice::kNoHugepage
                                               : Advice::kOther;
  if (op.advice == Advice::kDontNeed) space().discard(start, start + length);
  if (!write && !line.has(2, "MADV_POPULATE_READ")) return;
  touch(pid_, {{start, length, kPageSize, write}});
  if (write) space().wrote(start, start + length);
}

}  // namespace kpksim::workload
