#include "sim/kernel/boot_tables.h"

#include "sim/kernel/prot.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kEntries = kEntriesPerTable;
// Tables of a full subtree, by the level of its top: that table and all below it.
constexpr std::uint64_t kBelow2 = 1 + kEntries;
constexpr std::uint64_t kBelow1 = 1 + kEntries * kBelow2;

// Pages that a table of `level` maps.
constexpr std::uint64_t reach(unsigned level) { return 1ull << (9 * (4 - level)); }

// Which frame table number `n` of its level is in, counted from the root's.
constexpr std::uint64_t place(unsigned level, std::uint64_t n) {
  if (level == 1) return 1 + n * kBelow1;
  const std::uint64_t above = place(level - 1, n / kEntries);
  return above + 1 + n % kEntries * (level == 2 ? kBelow2 : 1);
}

}  // namespace

std::uint64_t BootTables::count(std::uint64_t pages) {
  return pages == 0 ? 1 : place(3, (pages - 1) / reach(3)) + 1;
}

std::uint64_t BootTables::table(unsigned level, std::uint64_t n) const {
  if (n * reach(level) >= pages_) return 0;
  return table_descriptor(tables_ + place(level, n)).raw;
}

std::uint64_t BootTables::leaf(std::uint64_t page) const {
  if (page >= pages_) return 0;
  const bool whole_run = align_down(page, kContiguousEntries) + kContiguousEntries <= pages_;
  return linear_leaf(address_of(memory_ + page), 3, contiguous_ && whole_run).raw;
}

// The inverse of place(): which table is this?
std::uint64_t BootTables::word(std::uint64_t frame, std::size_t word) const {
  if (frame == 0) return table(1, word);
  const std::uint64_t level_1 = (frame - 1) / kBelow1, in_1 = (frame - 1) % kBelow1;
  if (in_1 == 0) return table(2, level_1 * kEntries + word);
  const std::uint64_t level_2 = level_1 * kEntries + (in_1 - 1) / kBelow2;
  const std::uint64_t in_2 = (in_1 - 1) % kBelow2;
  if (in_2 == 0) return table(3, level_2 * kEntries + word);
  return leaf((level_2 * kEntries + in_2 - 1) * kEntries + word);
}

}  // namespace kpksim::kernel
