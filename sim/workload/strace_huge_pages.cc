// Which mappings of a trace have reserved huge pages: by their flags, or by the file.

#include "sim/kernel/hugetlb.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {

void StraceReader::mount(const StraceLine& line) {
  syscall();
  hugetlb_mounts_.mounted(line);
}

void StraceReader::statfs(const StraceLine& line) {
  syscall();
  hugetlb_mounts_.asked(line);
}

// Bytes of a page; 0: the mapping has none, or none that arm64 has.
std::uint64_t StraceReader::huge_page_of(const StraceArea& area, const StraceFile* file,
                                         std::uint64_t offset) {
  std::uint64_t bytes = area.huge_page;
  if (file != nullptr) {
    bytes = file->huge_page != 0 ? file->huge_page : hugetlb_mounts_.page_of(file->path);
  }
  if (bytes == 0) return 0;
  if (kernel::find_hugetlb_size(bytes) == nullptr) {
    unclear("huge pages of a size that arm64 has not (64K, 2M, 32M, 1G)");
    return 0;
  }
  if (area.start % bytes != 0 || offset % bytes != 0) {
    unclear("mapping whose address is no multiple of its huge pages");
    return 0;
  }
  return bytes;
}

}  // namespace kpksim::workload
