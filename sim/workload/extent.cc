#include "sim/workload/extent.h"

namespace kpksim::workload {

Extent segment_of(const kernel::ProgramImage& p, const kernel::ProgramPlacement& placement,
                  Segment segment) {
  switch (segment) {
    case Segment::kText:
      return {p.text_base(), p.text_bytes};
    case Segment::kRodata:
      return {p.rodata_base(), p.rodata_bytes};
    case Segment::kHeap:
      return {placement.heap, p.heap_bytes};
    case Segment::kData:
      return {p.data_base(), align_up(p.data_bytes, kPageSize)};
    case Segment::kBss:
      return {p.bss_base(), p.bss_bytes};
    case Segment::kStack:
      return {placement.stack_top - p.stack_bytes, p.stack_bytes};
    case Segment::kGrowth:
      return {placement.stack_top - kernel::kStackLimit, kernel::kStackLimit - p.stack_bytes};
    case Segment::kVdso:
      return {placement.vdso, kPageSize};
  }
  return {};
}

}  // namespace kpksim::workload
