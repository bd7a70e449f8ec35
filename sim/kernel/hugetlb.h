#pragma once
// Reserved huge pages (mm/hugetlb.c, fs/hugetlbfs): a pool of each size that arm64 has with 4 KB
// pages, what mappings have reserved of it, and the pages that files of them hold. The page tables
// are mm_hugetlb.cc's.
//
// The pool is as large as nr_hugepages says. As long as nobody has said it, it is as large as it
// has to be: what a mapping reserves or a copy needs joins it, as if it had been there since boot.
// So a recording, which shows that its pages were there, but not how many there were, runs.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/kernel/buddy.h"

namespace kpksim::kernel {

class Mm;

// One of hstates[]: how its pages are mapped (arch/arm64/mm/hugetlbpage.c).
struct HugetlbSize {
  std::string_view name;
  unsigned shift;    // log2 of the bytes
  unsigned level;    // of the entries that map it
  unsigned entries;  // how many: more than one have the contiguous bit

  constexpr std::uint64_t bytes() const { return 1ull << shift; }
  constexpr std::uint64_t pages() const { return bytes() >> kPageShift; }
  constexpr unsigned order() const { return shift - kPageShift; }
  constexpr std::uint64_t entry_bytes() const { return bytes() / entries; }
};
inline constexpr auto kHugetlbSizes = std::to_array<HugetlbSize>({
    {"64K", 16, 3, kContiguousEntries},
    {"2M", kPmdShift, 2, 1},
    {"32M", 25, 2, kContiguousEntries},
    {"1G", kPudShift, 1, 1},
});
inline constexpr unsigned kDefaultHugetlbShift = kPmdShift;  // default_hugepagesz
// nullptr: there are none of this size.
const HugetlbSize* find_hugetlb_size(std::uint64_t bytes);
const HugetlbSize& hugetlb_size(unsigned shift);

// Ranges of indexes (struct resv_map).
class IndexRanges {
 public:
  // How many of [first, last) are in it; were not yet and now are; were and no longer are.
  std::uint64_t count(std::uint64_t first, std::uint64_t last) const;
  std::uint64_t add(std::uint64_t first, std::uint64_t last);
  std::uint64_t remove(std::uint64_t first, std::uint64_t last);

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // first: last
};

class Hugetlb {
 public:
  // `runs`: the architecture has the contiguous bit.
  Hugetlb(Buddy& buddy, bool runs) : buddy_(buddy), runs_(runs) {}

  // /sys/kernel/mm/hugepages/.../nr_hugepages: pages in use stay until they are given back.
  void resize(const HugetlbSize& size, std::uint64_t pages);
  std::uint64_t free_pages(const HugetlbSize& size) const { return pool(size).free.size(); }
  std::uint64_t reserved_pages(const HugetlbSize& size) const { return pool(size).reserved; }
  std::uint64_t pages(const HugetlbSize& size) const { return pool(size).total; }

  // hugetlb_reserve_pages(), of a private mapping: its reservation's number, for its VMA; and
  // hugetlb_vm_op_close() of the part [first, last) of it. InputError: the pool does not have them.
  std::uint32_t reserve(const HugetlbSize& size, std::uint64_t pages);
  void close(const HugetlbSize& size, std::uint32_t reservation, std::uint64_t first,
             std::uint64_t last);
  // The same of a shared mapping of a file, and the file's pages.
  void reserve_file(const HugetlbSize& size, std::uint32_t file, std::uint64_t first,
                    std::uint64_t last);
  std::optional<Pfn> find(std::uint32_t file, std::uint64_t index) const;

  // alloc_hugetlb_folio(): for page `index` of a reservation, or of a file; or out of what nobody
  // has reserved (0).
  Pfn allocate(const HugetlbSize& size, std::uint32_t reservation, std::uint64_t index);
  Pfn allocate_for_file(const HugetlbSize& size, std::uint32_t file, std::uint64_t index);
  // folio_set_hugetlb_restore_reserve(): the page goes back, and its mapping has it reserved again.
  void restore(const HugetlbSize& size, std::uint32_t reservation, std::uint64_t index);
  // free_huge_folio()
  void free(const HugetlbSize& size, Pfn pfn);
  // Pages [first, last) of 4 KB leave the file; `whole`: with what is reserved for it. Returns
  // them: who has them mapped keeps them.
  std::vector<std::pair<const HugetlbSize*, Pfn>> drop(std::uint32_t file, std::uint64_t first,
                                                       std::uint64_t last, bool whole);

  // Page tables of 2 MB pages that address spaces share (ptdesc's pt_share_count): how many beyond
  // the first map this one; and who there is that a table may be shared with.
  std::map<Pfn, unsigned> sharers;
  std::vector<Mm*> spaces;

 private:
  struct Pool {
    std::vector<Pfn> free;  // the page given back last goes out first
    std::uint64_t total = 0, reserved = 0, surplus = 0;
    bool fixed = false;  // nr_hugepages was written
  };
  struct File {
    const HugetlbSize* size = nullptr;
    IndexRanges reserved;  // or taken
    std::map<std::uint64_t, Pfn> pages;
  };

  const Pool& pool(const HugetlbSize& size) const { return pools_[index_of(size)]; }
  Pool& pool(const HugetlbSize& size) { return pools_[index_of(size)]; }
  static std::size_t index_of(const HugetlbSize& size) {
    return static_cast<std::size_t>(&size - kHugetlbSizes.data());
  }
  bool grow(const HugetlbSize& size);
  void shrink(const HugetlbSize& size, Pfn pfn);
  void check(const HugetlbSize& size) const;
  void take_reserves(const HugetlbSize& size, std::uint64_t pages);
  Pfn dequeue(const HugetlbSize& size, bool reserved);

  Buddy& buddy_;
  const bool runs_;
  std::array<Pool, kHugetlbSizes.size()> pools_;
  std::map<std::uint32_t, IndexRanges> used_;  // by reservation: whose page it has taken
  std::map<std::uint32_t, File> files_;
  std::uint32_t last_reservation_ = 0;
};

}  // namespace kpksim::kernel
