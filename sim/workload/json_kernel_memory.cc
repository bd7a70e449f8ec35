// The kernel's own mappings, and settings of memory.

#include <bit>

#include "sim/workload/json_reader.h"

namespace kpksim::workload {

void JsonOperations::Reader::kernel_map(From from, Task, Operation& op) {
  op.count = from.object["pages"].get<std::uint64_t>();
  op.huge = from.object.value("huge", false);
  op.write = from.object.value("write", false);
  op.up_to = from.object.value("up_to", std::uint64_t{0});
  if (op.up_to != 0) {
    if (op.up_to < op.count) from.fail("up_to", "less than pages");
    op.seed = from.object.value("seed", seed_);
  }
  tasks_.map_kernel(from.text("region"), from.text("op"), from.at("region"));
}

void JsonOperations::Reader::kernel_unmap(From from, Task, Operation& op) {
  const char* const maker = op.kind == OpKind::kVfree ? "vmalloc" : "vm_map_ram";
  tasks_.unmap_kernel(from.text("region"), maker, from.at("region"));
}

void JsonOperations::Reader::hugepages(From from, Task, Operation& op) {
  op.length = from.pages("size");
  if (!std::has_single_bit(op.length) || op.length < 4 * kPageSize || op.length > kPmdSize) {
    from.fail("size", "expected a power of two from 16K to 2M");
  }
  const std::string enabled = from.text("enabled");
  op.setting = enabled == "always"    ? kernel::HugePages::kAlways
               : enabled == "madvise" ? kernel::HugePages::kMadvise
                                      : kernel::HugePages::kNever;
}

void JsonOperations::Reader::nr_hugepages(From from, Task, Operation& op) {
  op.length = hugetlb_bytes(from, "size");
  op.count = from.object["count"].get<std::uint64_t>();
}

void JsonOperations::Reader::fragment(From from, Task, Operation& op) {
  op.count = from.object["percent"].get<std::uint64_t>();
  tasks_.fragment(from.place);
}

void JsonOperations::Reader::unfragment(From from, Task, Operation&) {
  tasks_.unfragment(from.place);
}

}  // namespace kpksim::workload
