#include "sim/attack/table_search.h"

#include <optional>

#include "sim/mmu/walker.h"

namespace kpksim::attack {
namespace {

using mmu::Descriptor;

class Search {
 public:
  Search(kernel::Kernel& kernel, const std::set<Pfn>& forged, Pfn page)
      : memory_(kernel.system().machine.memory()),
        root_(kernel.system().linear_map.root()),
        forged_(forged),
        page_(page) {}

  // In the tree below `table`, from its entry number `first` on?
  bool below(Pfn table, unsigned level, std::uint64_t first = 0) const {
    if (table == page_) return true;
    if (level == mmu::kLastLevel) return false;
    for (std::uint64_t i = first; i < kEntriesPerTable; ++i) {
      const Descriptor d = word(table, i);
      if (leads_on(d, level) && below(d.pfn(), level + 1)) return true;
    }
    return false;
  }

  // In the kernel's: the linear map has the first half of its addresses.
  bool of_kernel() const {
    if (below(root_, 0, kEntriesPerTable / 2) || level_in_linear_map(page_)) return true;
    for (const Pfn table : forged_) {
      const auto level = level_in_linear_map(table);
      if (level && below_forged(table, *level)) return true;
    }
    return false;
  }

 private:
  Descriptor word(Pfn table, std::uint64_t i) const {
    return {memory_.read64(address_of(table) + i * 8)};
  }
  static bool leads_on(Descriptor d, unsigned level) {
    return level < mmu::kLastLevel && d.valid() && !d.block();
  }

  // What the first entry that says something maps, if `table` is one of that level. A page that is
  // not valid (set_memory_valid()) has its address still.
  std::optional<PhysAddr> first_mapped(Descriptor d, unsigned level) const {
    if (d.raw == 0) return std::nullopt;
    if (!leads_on(d, level)) return d.output();
    for (std::uint64_t i = 0; i < kEntriesPerTable; ++i) {
      const Descriptor next = word(d.pfn(), i);
      if (next.raw != 0) return first_mapped(next, level + 1);
    }
    return std::nullopt;
  }
  bool stands_at(Pfn table, unsigned level, VirtAddr va) const {
    Pfn at = root_;
    for (unsigned l = 0; l < level; ++l) {
      const Descriptor d = word(at, va.value >> mmu::level_shift(l) & (kEntriesPerTable - 1));
      if (!leads_on(d, l)) return false;
      at = d.pfn();
    }
    return at == table;
  }
  // At which level of the linear map the table stands where it belongs. One entry may be forged:
  // each is asked.
  std::optional<unsigned> level_in_linear_map(Pfn table) const {
    if (table == root_) return 0;
    for (unsigned level = 1; level <= mmu::kLastLevel; ++level) {
      for (std::uint64_t i = 0; i < kEntriesPerTable; ++i) {
        const auto pa = first_mapped(word(table, i), level);
        if (pa && stands_at(table, level, kernel::linear_va(*pa))) return level;
      }
    }
    return std::nullopt;
  }
  // By entries of a table of the linear map that lead to what does not belong there.
  bool below_forged(Pfn table, unsigned level) const {
    const std::uint64_t count = table == root_ ? kEntriesPerTable / 2 : kEntriesPerTable;
    for (std::uint64_t i = 0; i < count; ++i) {
      const Descriptor d = word(table, i);
      if (leads_on(d, level) && !level_in_linear_map(d.pfn()) && below(d.pfn(), level + 1)) {
        return true;
      }
    }
    return false;
  }

  const mmu::PhysicalMemory& memory_;
  const Pfn root_;
  const std::set<Pfn>& forged_;
  const Pfn page_;
};

}  // namespace

bool is_table(kernel::Kernel& kernel, const std::set<Pfn>& forged, Pfn page) {
  const Search search(kernel, forged, page);
  for (const std::uint32_t task : kernel.alive_tasks()) {
    if (search.below(kernel.root_of(task), 0)) return true;
  }
  return search.of_kernel();
}

}  // namespace kpksim::attack
