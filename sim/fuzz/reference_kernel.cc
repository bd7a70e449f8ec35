// System calls, the kernel's own memory, and what is set for all of it.

#include <algorithm>
#include <utility>

#include "sim/fuzz/reference.h"

namespace kpksim::fuzz {
namespace {

constexpr std::uint64_t kMaxKernelPages = 16384, kMaxReserved = 32;

}  // namespace

bool Reference::descriptor(const Json& op) {
  if (races(*running(op))) return false;
  const int number = op.value("descriptor", 0);
  std::set<int>& open = *running(op)->descriptors;
  if (text_in(op, "call") == "close") return open.erase(number) != 0;
  return open.insert(number).second;
}

bool Reference::syscall(const Json& op) {
  if (running(op) == nullptr) return false;
  if (op.contains("region")) {
    Range range;
    const bool write = text_in(op, "call") != "write";  // the kernel's access
    if (!find(op, range, true)) return false;
    for (std::uint64_t p = range.first; p < range.end; ++p) {
      if (access(*range.region, p, write ? kWritable : kReadable) != Access::kDone) return false;
    }
  }
  return !op.contains("descriptor") || descriptor(op);
}

bool Reference::kernel_map(const Json& op) {
  const std::string name = text_in(op, "region");
  const std::uint64_t pages = number_in(op, "pages");
  if (!name_is_free(name) || pages == 0 || kernel_pages_ + pages > kMaxKernelPages) return false;
  kernel_pages_ += pages;  // what is freed stays mapped for a while
  regions_so_far_.insert(name);
  kernel_[name] = text_in(op, "op");
  return true;
}

bool Reference::kernel_unmap(const Json& op) {
  const auto found = kernel_.find(text_in(op, "region"));
  const char* const maker = text_in(op, "op") == "vfree" ? "vmalloc" : "vm_map_ram";
  if (found == kernel_.end() || found->second != maker) return false;
  kernel_.erase(found);
  return true;
}

bool Reference::whole_kernel(const Json&) { return true; }

bool Reference::nr_hugepages(const Json& op) {
  const std::uint64_t count = number_in(op, "count");
  // Free memory in pieces is no place for more of them.
  if (number_in(op, "size") != kPmdSize || count > kMaxReserved || fragmented_ ||
      count < (abilities_.interleave ? ever_huge_ : hugetlb_pages())) {
    return false;
  }
  reserved_ = count;
  return true;
}

bool Reference::fragment(const Json& op) {
  if (fragmented_ || op.value("percent", 100u) > 50) return false;
  fragmented_ = true;
  return true;
}

bool Reference::unfragment(const Json&) { return std::exchange(fragmented_, false); }

}  // namespace kpksim::fuzz
