#include "sim/workload/strace_hugetlb.h"

#include <charconv>

#include "sim/kernel/hugetlb.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kDefault = 1ull << kernel::kDefaultHugetlbShift;

// "1G", "2MB", "64kB", "2048": bytes; 0: none of them.
std::uint64_t size_of(std::string_view text) {
  std::uint64_t n = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{}) return 0;
  if (rest == text.data() + text.size()) return n;
  switch (*rest) {
    case 'K':
    case 'k':
      return n << 10;
    case 'M':
    case 'm':
      return n << 20;
    case 'G':
    case 'g':
      return n << 30;
    default:
      return 0;
  }
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"') text = text.substr(1, text.find('"', 1) - 1);
  while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::uint64_t hugetlb_flag(std::string_view flags, std::string_view prefix) {
  const std::string flag = std::string(prefix) + "_HUGETLB";
  const std::string shift = "<<" + std::string(prefix) + "_HUGE_SHIFT";
  const std::string name = std::string(prefix) + "_HUGE_";
  bool huge = false;
  std::uint64_t bytes = kDefault;
  while (!flags.empty()) {
    const std::size_t end = std::min(flags.find('|'), flags.size());
    const std::string_view word = flags.substr(0, end);
    flags.remove_prefix(std::min(end + 1, flags.size()));
    if (word == flag) {
      huge = true;
    } else if (word.ends_with(shift)) {
      const std::uint64_t log = strace_number(word).value_or(0);
      bytes = log == 0 ? kDefault : log < 64 ? 1ull << log : 0;
    } else if (word.starts_with(name)) {
      bytes = size_of(word.substr(name.size()));
    }
  }
  return huge ? bytes : 0;
}

std::uint64_t HugetlbMounts::page_of(std::string_view path) const {
  for (std::string_view at = path; !at.empty(); at = at.substr(0, at.rfind('/'))) {
    if (const auto it = pages_.find(at); it != pages_.end()) return it->second;
    if (at.rfind('/') == std::string_view::npos) break;
  }
  return 0;
}

void HugetlbMounts::add(std::string_view path, std::uint64_t page) {
  if (!path.empty() && path != "/") pages_[std::string(path)] = page;
}

void HugetlbMounts::mounted(const StraceLine& line) {
  if (line.text(2) != "\"hugetlbfs\"") return;
  constexpr std::string_view kOption = "pagesize=";
  const std::string_view options = unquoted(line.text(4));
  const std::size_t at = options.find(kOption);
  const std::uint64_t page =
      at == std::string_view::npos
          ? kDefault
          : size_of(
                options.substr(at + kOption.size(), options.find(',', at) - (at + kOption.size())));
  add(unquoted(line.text(1)), page);
}

void HugetlbMounts::asked(const StraceLine& line) {
  if (line.text(1).find("f_type=HUGETLBFS_MAGIC") == std::string_view::npos) return;
  const auto page = line.field("f_bsize");
  std::string_view path = StraceLine::path_of(line.text(0));
  if (path.empty()) path = unquoted(line.text(0));
  if (page && path.starts_with('/')) add(path, *page);
}

}  // namespace kpksim::workload
