#pragma once
// The tables that boot makes for a linear map of pages, before the first of their words is changed:
// root, and in front of all tables below it each table of the levels 1 to 3, as a walk through the
// addresses in their order allocates them. A table's place and each of its descriptors follow from
// the size of memory, so that memory of any size boots at once (mmu::FirstContents).

#include "sim/mmu/physical_memory.h"

namespace kpksim::kernel {

class BootTables final : public mmu::FirstContents {
 public:
  // For `pages` pages from `memory` on, with the tables in the frames from `tables` on.
  // `contiguous`: entries have the contiguous bit.
  BootTables(Pfn memory, std::uint64_t pages, Pfn tables, bool contiguous)
      : memory_(memory), pages_(pages), tables_(tables), contiguous_(contiguous) {}

  // How many tables `pages` pages need, the root included.
  static std::uint64_t count(std::uint64_t pages);

  std::uint64_t word(std::uint64_t frame, std::size_t word) const override;

 private:
  // The descriptor for table number `n` of `level`; 0 beyond the last.
  std::uint64_t table(unsigned level, std::uint64_t n) const;
  std::uint64_t leaf(std::uint64_t page) const;

  Pfn memory_;
  std::uint64_t pages_;
  Pfn tables_;
  bool contiguous_;
};

}  // namespace kpksim::kernel
