#pragma once
// Which mappings of a trace have reserved huge pages, and of which size: flags say it, and the file
// systems (hugetlbfs) that files lie in.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "sim/workload/strace_line.h"

namespace kpksim::workload {

// What an argument like MAP_HUGETLB|30<<MAP_HUGE_SHIFT or MFD_HUGETLB|MFD_HUGE_2MB says, `prefix`
// being MAP, MFD or SHM: bytes of a huge page, the usual size where it names none; 0: no flag.
std::uint64_t hugetlb_flag(std::string_view flags, std::string_view prefix);

// Where hugetlbfs is mounted: /dev/hugepages, as distributions do it, and what calls show.
class HugetlbMounts {
 public:
  // Bytes of a huge page of the file system that the file lies in; 0: it is another one.
  std::uint64_t page_of(std::string_view path) const;
  // mount("none", "/mnt/huge", "hugetlbfs", 0, "pagesize=1G")
  void mounted(const StraceLine& line);
  // statfs("/mnt/huge", {f_type=HUGETLBFS_MAGIC, f_bsize=1073741824, ...})
  void asked(const StraceLine& line);

 private:
  void add(std::string_view path, std::uint64_t page);

  std::map<std::string, std::uint64_t, std::less<>> pages_ = {{"/dev/hugepages", 2ull << 20}};
};

}  // namespace kpksim::workload
