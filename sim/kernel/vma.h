#pragma once
// The VMAs of an address space (struct vm_area_struct in the maple tree): look-up, splitting,
// merging and the search for a free range, as mm/vma.c and mm/mmap.c do them.

#include <cstdint>
#include <map>
#include <optional>

#include "sim/base/types.h"

namespace kpksim::kernel {

enum class HugeAdvice : std::uint8_t { kDefault, kHugepage, kNoHugepage };

struct Vma {
  std::uint64_t start = 0, end = 0;  // page-aligned, [start, end)
  bool read = false, write = false, exec = false;
  bool shared = false;
  bool file = false;           // of a file or of shared memory (file_id)
  bool shmem = false;          // shared anonymous memory: pages appear when they are touched
  bool special = false;        // VM_PFNMAP: the kernel's own pages (vdso data)
  bool single = false;         // special_mapping_vmops (vdso): no map_pages(), so no fault-around
  bool dont_fork = false;      // MADV_DONTFORK
  bool wipe_on_fork = false;   // MADV_WIPEONFORK
  bool locked = false;         // mlock(): VM_LOCKED
  bool lock_on_fault = false;  // and its pages come by faults alone: VM_LOCKONFAULT
  bool grows_down = false;     // the stack
  bool heap = false;           // of brk(), which merges with nothing below start_brk
  HugeAdvice huge = HugeAdvice::kDefault;
  std::uint8_t hugetlb = 0;  // VM_HUGETLB: log2 of its pages' bytes (0: ordinary pages)
  std::uint32_t reservation =
      0;                       // of a private one, who made it: of these pages (HPAGE_RESV_OWNER)
  std::uint32_t anon_vma = 0;  // private pages may exist (0: no); fork must copy
  bool anon_vma_chained = false;  // a fork gave it further anon_vmas: it merges with no other
  std::uint32_t file_id = 0;
  std::uint64_t file_offset = 0;  // bytes, of `start`; hugetlb without a file: of the reservation
  // How far mremap() has moved pages of anonymous memory: their vm_pgoff stays as it was.
  std::uint64_t moved_by = 0;

  std::uint64_t length() const { return end - start; }
  // Index of the page of the file at `va`.
  std::uint64_t page_index(std::uint64_t va) const {
    return (va - start + file_offset) >> kPageShift;
  }
  // The same in reserved huge pages.
  std::uint64_t hugetlb_index(std::uint64_t va) const {
    return (va - start + file_offset) >> hugetlb;
  }
};

class VmaTree {
 public:
  using Map = std::map<std::uint64_t, Vma>;  // by start

  VmaTree() = default;
  VmaTree(const VmaTree&) = delete;  // found_ points into it
  VmaTree& operator=(const VmaTree&) = delete;

  // TASK_SIZE less the gap for the stack: 8 MB of RLIMIT_STACK, at least 128 MB (mmap_base()).
  static constexpr std::uint64_t kMmapBase = (1ull << 48) - (128ull << 20);
  // With address randomisation the gap has the guard and the stack's randomisation as well.
  void set_mmap_base(std::uint64_t base) { mmap_base_ = base; }
  std::uint64_t mmap_base() const { return mmap_base_; }

  const Map& all() const { return map_; }
  bool empty() const { return map_.empty(); }

  // The VMA that contains `va`, or nullptr.
  Vma* find(std::uint64_t va) {
    const bool again = found_ != nullptr && va >= found_->start && va < found_->end;
    return again ? found_ : look_for(va);
  }
  // The first VMA that ends above `va`.
  Map::iterator first_above(std::uint64_t va);
  Map::iterator end() { return map_.end(); }

  // Adds `vma`, merged with its neighbours where that is possible. The range must be free.
  Vma& insert(Vma vma);
  // The same, never merged: as fork copies them.
  void insert_alone(const Vma& vma) { map_[vma.start] = vma; }
  // Makes `at` a boundary of VMAs, if one contains it.
  void split(std::uint64_t at);
  // Merges the VMA that starts at `start` with neighbours that became alike.
  void merge(std::uint64_t start);
  void erase(std::uint64_t start) {
    found_ = nullptr;
    map_.erase(start);
  }
  // The one VMA [start, end) becomes [start, new_end).
  void resize(std::uint64_t start, std::uint64_t new_end) { map_.at(start).end = new_end; }
  void clear() {
    found_ = nullptr;
    map_.clear();
  }

  // End of the VMA before `va` (0: none) and start of the one from `va` on (nullopt: none).
  std::uint64_t end_below(std::uint64_t va) const;
  std::optional<std::uint64_t> start_above(std::uint64_t va) const;

  // The highest free range of `length` bytes below the mmap base, aligned to 2 MB if `huge`;
  // nullopt if there is none (arch_get_unmapped_area_topdown, thp_get_unmapped_area).
  std::optional<std::uint64_t> find_gap(std::uint64_t length, bool huge) const;
  // The same as hugetlb_get_unmapped_area() does it, for pages of that many bytes.
  std::optional<std::uint64_t> find_hugetlb_gap(std::uint64_t length, std::uint64_t page) const;

 private:
  Vma* look_for(std::uint64_t va);
  std::optional<std::uint64_t> highest_gap(std::uint64_t length) const;

  Map map_;
  Vma* found_ = nullptr;  // by the last find(), until one goes
  std::uint64_t mmap_base_ = kMmapBase;
};

}  // namespace kpksim::kernel
