#pragma once
// An address space (mm_struct): its VMAs, page tables and ASID, and the operations that change
// them, as mm/ of Linux does: each .cc file of this class is one of Linux's files or functions
// (mm_fault.cc: memory.c's faults, mm_zap.cc: zap_page_range and free_pgtables, mm_fork.cc:
// copy_page_range, mm_protect.cc: mprotect.c and madvise.c, mm_mlock.cc: mlock.c, mm_reclaim.cc:
// reclaim_pages, mm_guard.cc: guard pages, mm_remap.cc: mremap.c, mm_huge.cc: huge_memory.c,
// mm_hugetlb.cc: hugetlb.c, mm_contpte.cc: arm64's contpte.c).

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "sim/kernel/address_space.h"
#include "sim/kernel/maple_tree.h"
#include "sim/kernel/open_files.h"
#include "sim/kernel/program.h"
#include "sim/kernel/prot.h"
#include "sim/kernel/system.h"
#include "sim/kernel/vma.h"

namespace kpksim::kernel {

class Gather;

// Pages [first, last) of a file.
struct FileRange {
  static constexpr std::uint64_t kEnd = 1ull << 40;  // no file has more pages

  std::uint32_t file_id = 0;
  std::uint64_t first = 0, last = kEnd;
};

// The page cache: which page holds which page of which file.
class PageCache {
 public:
  // The page, if it is there. Files are always read from the disk before (they are there);
  // files in memory and shared anonymous memory only have the pages that were touched.
  std::optional<Pfn> find(System& system, cpu::Core& core, const Vma& vma, std::uint64_t index);
  // The page, allocated at the first use.
  Pfn get(System& system, cpu::Core& core, const Vma& vma, std::uint64_t index);
  bool has(const Vma& vma, std::uint64_t index, Pfn pfn) const;
  // The pages leave the file; who has them mapped keeps them. True: somebody has.
  bool drop(System& system, cpu::Core& core, const FileRange& range);

  // Nobody can open the file any more: it goes with its last mapping.
  void close(std::uint32_t file_id) { closed_.insert(file_id); }
  bool closed(std::uint32_t file_id) const { return closed_.contains(file_id); }
  // It is gone: what has this number later is another file.
  void forget(std::uint32_t file_id) {
    closed_.erase(file_id);
    lengths_.erase(file_id);
  }

  // The file's length in pages; kEnd as long as nobody has said it.
  std::uint64_t pages_of(std::uint32_t file_id) const;
  void set_pages_of(std::uint32_t file_id, std::uint64_t pages) { lengths_[file_id] = pages; }

 private:
  std::map<std::uint64_t, Pfn> pages_;  // by file and index: a file's pages are neighbours
  std::set<std::uint32_t> closed_;
  std::map<std::uint32_t, std::uint64_t> lengths_;
};

enum class FaultResult : std::uint8_t { kHandled, kSegv };

// mlock() and its like: pages may go; they are there, and stay; they stay once they have come.
enum class Lock : std::uint8_t { kNone, kNow, kOnFault };

// What mremap() is asked for. Length 0: a further mapping of the same pages.
struct Remap {
  std::uint64_t start = 0, length = 0, new_length = 0;
  std::uint64_t new_address = 0;  // 0: in place, or where there is room
  bool dont_unmap = false;        // MREMAP_DONTUNMAP: the old mapping stays, without pages
};

class Mm {
 public:
  Mm(System& system, PageCache& cache, cpu::Core& core);

  // Address-space calls. Ranges are page-aligned by the caller.
  // Address 0, unless `fixed`: the kernel chooses; else the range is mapped there, whatever was
  // there before.
  std::uint64_t mmap(Vma vma, std::uint64_t length, std::uint64_t address, cpu::Core& core,
                     bool fixed = false);
  // False if nothing was mapped there.
  bool munmap(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  bool mprotect(std::uint64_t start, std::uint64_t end, bool r, bool w, bool x, cpu::Core& core);
  // What gives pages up is refused (false) from the first locked VMA on, unless `locked_too`.
  bool madvise_dontneed(std::uint64_t start, std::uint64_t end, bool locked_too, cpu::Core& core);
  bool madvise_free(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  void mlock(std::uint64_t start, std::uint64_t end, Lock lock, cpu::Core& core);
  // mlockall(): of all VMAs (`current`), of those that come (`future`); kNone: munlockall().
  void mlock_all(Lock lock, bool current, bool future, cpu::Core& core);
  // VM_LOCKED of a mapping that comes (def_flags).
  void lock_if_asked(Vma& vma) const;
  // __mm_populate(): writable private memory is written to, so that it needs no copy later; what
  // is to stay on fault does not come.
  void populate_mapping(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  void madvise_collapse(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  bool madvise_cold(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  bool madvise_pageout(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  // False, and no pages from there on: a VMA that has no guard pages.
  bool guard_install(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  bool guard_remove(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  // Faults without exceptions, as the kernel does them for a caller (MADV_POPULATE_READ, _WRITE).
  void populate(std::uint64_t start, std::uint64_t end, bool write, cpu::Core& core);
  // The pages of a file that are mapped from `start` on; nullopt: no file there.
  std::optional<FileRange> file_range(std::uint64_t start, std::uint64_t length);
  // unmap_mapping_range(): the file's own pages leave this address space, and private copies of
  // them if `even_copies`.
  void unmap_file(const FileRange& range, bool even_copies, cpu::Core& core);
  // The files that nobody can open and that are mapped in the range, whole.
  std::vector<FileRange> anonymous_files(std::uint64_t start, std::uint64_t end) const;
  bool maps(std::uint32_t file_id) const;
  void madvise_huge(std::uint64_t start, std::uint64_t end, HugeAdvice advice, cpu::Core& core);
  void madvise_fork(std::uint64_t start, std::uint64_t end, bool dont_fork, cpu::Core& core);
  // MADV_WIPEONFORK and MADV_KEEPONFORK; false: of what is not private and anonymous.
  bool madvise_wipe(std::uint64_t start, std::uint64_t end, bool wipe, cpu::Core& core);
  // The new address; 0 if `start` is not mapped, or the call makes no sense of what is.
  std::uint64_t mremap(const Remap& remap, cpu::Core& core);
  void set_brk(std::uint64_t address, cpu::Core& core);
  // dup_mmap(): copies VMAs and page tables into `child`, then flushes this address space.
  void fork_into(Mm& child, cpu::Core& core);
  // exit_mmap(): everything goes, in one gather of the full mm; then the root itself.
  void exit(cpu::Core& core);
  // setup_arg_pages(): the stack that exec has written to gets its final place and size.
  void finish_stack(std::uint64_t top, std::uint64_t bytes, cpu::Core& core);

  // handle_mm_fault(): the access may be repeated, or is a SIGSEGV.
  FaultResult handle_fault(VirtAddr va, bool write, bool exec, cpu::Core& core);

  Pfn root() const { return root_; }
  const VmaTree& vmas() const { return vmas_; }
  void set_mmap_base(std::uint64_t base) { vmas_.set_mmap_base(base); }

  // Nobody can fault there without the stack growing first.
  bool grows_at(std::uint64_t va) { return vmas_.find(va) == nullptr; }
  bool any_hugetlb(std::uint64_t start, std::uint64_t end) const;
  // vma_start_write() of each VMA that has a part of [start, end) or is a neighbour.
  void start_write(std::uint64_t start, std::uint64_t end, cpu::Core& core);

  AddressSpace space;
  MmLocks locks;
  std::uint64_t brk_start = 0, brk = 0;
  ProgramPlacement placement;
  unsigned users = 1;                   // tasks
  std::vector<OpenFile> program_files;  // if credentials have a key

 private:
  // Calls fn(entry's address, va, next) for each level 2 entry that is not empty; next is the end
  // of what the entry maps, or `end`.
  template <class OnPmd>
  void for_pmds(std::uint64_t start, std::uint64_t end, cpu::Core& core, OnPmd&& on_pmd);
  PhysAddr pte(Pfn table, std::uint64_t va) const {
    return address_of(table) + ((va >> kPageShift) & (kEntriesPerTable - 1)) * 8;
  }
  mmu::Descriptor read(cpu::Core& core, PhysAddr entry) const {
    return {system_.tables.read(core, entry)};
  }
  // How many entries from `entry` on (at most `most`) map consecutive pages of one large folio.
  unsigned folio_batch(cpu::Core& core, PhysAddr entry, mmu::Descriptor first, unsigned most) {
    const Page& page = system_.page(first.pfn());
    const unsigned rest = (1u << page.order) - page.offset;
    return rest == 1 ? 1 : count_batch(core, entry, first, std::min(most, rest));
  }
  // The same of a folio that has more pages behind `first`.
  unsigned count_batch(cpu::Core& core, PhysAddr entry, mmu::Descriptor first, unsigned most);
  // Splits VMAs and huge pages so that [start, end) has boundaries of its own.
  void isolate(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  // Where another core has acted since `before` (System::changes()): is the entry no longer `old`?
  // pte_same(), under its lock; what was prepared for `old` is given back.
  bool overtaken(PhysAddr entry, mmu::Descriptor old, std::uint64_t before, cpu::Core& core) const {
    return system_.changes() != before && read(core, entry).raw != old.raw;
  }
  void merge_within(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  // VMAs in [start, end) have been stored in the tree.
  void stored(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  void prepare_anon_vma(Vma& vma);
  std::uint64_t anon_vmas() const;  // VMAs that have one
  std::uint64_t unmapped_area(const Vma& vma, std::uint64_t length) const;
  std::uint64_t map(Vma vma, std::uint64_t length, std::uint64_t address, cpu::Core& core,
                    bool fixed = false);

  // What MADV_FREE, MADV_COLD and MADV_PAGEOUT have in common: whole folios. One that the range
  // covers in part is split first, unless others map it too; then it is left alone.
  using OnHuge = std::function<void(PhysAddr pmd, std::uint64_t va)>;
  using OnEntries =
      std::function<void(PhysAddr entry, std::uint64_t va, unsigned n, const Page& folio)>;
  void for_folios(const Vma& vma, std::uint64_t start, std::uint64_t end, cpu::Core& core,
                  const OnHuge& on_huge, const OnEntries& on_entries);

  // Unmapping.
  // All entries, as the VMA goes; all but guards; only pages that belong to the file.
  enum class Zap : std::uint8_t { kAll, kKeepGuards, kFilePages };
  void zap(Gather& gather, const Vma& vma, std::uint64_t start, std::uint64_t end, cpu::Core& core,
           Zap which = Zap::kAll);
  std::uint64_t zap_ptes(Gather& gather, const Vma& vma, Pfn table, std::uint64_t va,
                         std::uint64_t end, Zap which, cpu::Core& core);
  bool zap_huge(Gather& gather, PhysAddr pmd, std::uint64_t va, cpu::Core& core);
  // The VMAs [first, last) go; their tables too where no VMA outside [floor, ceiling) needs them.
  void unlink_file(const Vma& vma, cpu::Core& core);
  void free_tables(Gather& gather, const VmaTree::Map& vmas, std::uint64_t floor,
                   std::uint64_t ceiling, cpu::Core& core);
  void free_range(Gather& gather, std::uint64_t start, std::uint64_t end, std::uint64_t floor,
                  std::uint64_t ceiling, cpu::Core& core);
  bool free_level(Gather& gather, Pfn table, unsigned level, std::uint64_t start, std::uint64_t end,
                  std::uint64_t floor, std::uint64_t ceiling, cpu::Core& core);

  // Huge pages.
  bool folio_allowed(const Vma& vma, std::uint64_t va, unsigned order) const;
  unsigned folio_order(const Vma& vma, PhysAddr entry, std::uint64_t va, cpu::Core& core);
  bool grow_stack(std::uint64_t va, cpu::Core& core);
  bool behind_the_end(const Vma& vma, std::uint64_t va) const;
  bool huge_fault(Vma& vma, std::uint64_t va, bool write, cpu::Core& core);
  bool huge_write_fault(Vma& vma, PhysAddr pmd, std::uint64_t va, cpu::Core& core);
  void huge_set_accessed(PhysAddr pmd, mmu::Descriptor old, std::uint64_t va, bool write,
                         cpu::Core& core);
  void split_huge(PhysAddr pmd, std::uint64_t va, cpu::Core& core, bool migrating = false);
  void collapse(const Vma& vma, std::uint64_t va, cpu::Core& core);
  void split_huge_at(std::uint64_t va, cpu::Core& core);
  void copy_huge(Mm& child, PhysAddr pmd, std::uint64_t va, cpu::Core& core);
  bool split_folio(Pfn head, std::uint64_t va, cpu::Core& core);
  void free_huge(Gather& gather, PhysAddr pmd, std::uint64_t va, cpu::Core& core);
  void protect_huge(Gather& gather, const Vma& vma, PhysAddr pmd, std::uint64_t va,
                    cpu::Core& core);
  // vma_modify_flags(): `change` gives the VMAs of the range a flag, unless all of them have it.
  void change_flags(std::uint64_t start, std::uint64_t end, cpu::Core& core,
                    const std::function<bool(const Vma&)>& differs,
                    const std::function<void(Vma&)>& change);
  void set_lock(Vma& vma, Lock lock, cpu::Core& core);
  void mlock_walk(const Vma& vma, cpu::Core& core);
  void grow_in_place(const Remap& remap, cpu::Core& core);
  std::uint64_t move_vma(const Remap& remap, cpu::Core& core);
  void install_guards(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  bool anything_mapped(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  // set_tlb_ubc_flush_pending(): a page's flush that is waited for later, with others. Whoever
  // looks at entries next under their lock flushes all (flush_tlb_batched_pending()): no one has
  // noted that they have been waited for.
  void flush_later(FlushSite site, std::uint64_t va, cpu::Core& core);
  void flush_batched(FlushSite site, cpu::Core& core);
  bool unmap_page(PhysAddr entry, std::uint64_t va, cpu::Core& core);
  void free_reclaimed(std::vector<Pfn>& folios, bool& pending, cpu::Core& core);
  void reclaim(const Vma& vma, const std::vector<std::uint64_t>& pages, cpu::Core& core);
  Pfn withdraw_table();

  // Reserved huge pages (mm_hugetlb.cc). `entry` is the first of a page's.
  template <class OnPage>
  void for_hugetlb(const HugetlbSize& size, std::uint64_t start, std::uint64_t end, cpu::Core& core,
                   OnPage&& on_page);
  void pass(const HugetlbSize& size, cpu::Core& core) const;
  mmu::Descriptor hugetlb_entry(const HugetlbSize& size, PhysAddr entry, cpu::Core& core);
  mmu::Descriptor hugetlb_clear(const HugetlbSize& size, PhysAddr entry, cpu::Core& core);
  mmu::Descriptor hugetlb_break(const HugetlbSize& size, PhysAddr entry, std::uint64_t va,
                                FlushSite site, cpu::Core& core);
  void hugetlb_store(const HugetlbSize& size, PhysAddr entry, mmu::Descriptor d, cpu::Core& core);
  void hugetlb_set(const HugetlbSize& size, PhysAddr entry, std::uint64_t va, mmu::Descriptor d,
                   cpu::Core& core);
  void hugetlb_set_access(const HugetlbSize& size, PhysAddr entry, std::uint64_t va,
                          mmu::Descriptor d, bool write, cpu::Core& core);
  std::optional<Pfn> shared_table(const Vma& vma, std::uint64_t va, cpu::Core& core);
  PhysAddr hugetlb_alloc(const HugetlbSize& size, const Vma& vma, std::uint64_t va,
                         cpu::Core& core);
  bool hugetlb_unshare(Gather& gather, const HugetlbSize& size, std::uint64_t va, cpu::Core& core);
  void hugetlb_no_page(const HugetlbSize& size, Vma& vma, PhysAddr entry, std::uint64_t va,
                       bool write, cpu::Core& core);
  void hugetlb_write(const HugetlbSize& size, Vma& vma, PhysAddr entry, std::uint64_t va,
                     cpu::Core& core);
  void hugetlb_fault(Vma& vma, std::uint64_t address, bool write, cpu::Core& core);
  void hugetlb_copy(Mm& child, const Vma& vma, cpu::Core& core);
  void hugetlb_zap(Gather& gather, const Vma& vma, std::uint64_t start, std::uint64_t end,
                   cpu::Core& core, Zap which);
  void hugetlb_close(const Vma& vma);
  void hugetlb_protect(const Vma& vma, cpu::Core& core);
  void hugetlb_move(const Vma& vma, const Vma& target, std::uint64_t length, cpu::Core& core);
  bool hugetlb_populate(const Vma& vma, std::uint64_t start, std::uint64_t end, bool write,
                        cpu::Core& core);

  // The lock of the table that `entry` is in: pte_offset_map_lock(), pmd_lock(), huge_pte_lock().
  PageTableLock lock_of(PhysAddr entry, cpu::Core& core) {
    return {system_.tables, core, Target(frame_of(entry))};
  }

  // Faults.
  // Read-only; writable when hardware has marked it dirty; writable and dirty.
  enum class Rights : std::uint8_t { kReadOnly, kClean, kDirty };
  void map_page(PhysAddr entry, std::uint64_t va, Pfn pfn, const Vma& vma, Rights rights,
                cpu::Core& core);
  void write_fault(Vma& vma, PhysAddr entry, mmu::Descriptor old, std::uint64_t va,
                   cpu::Core& core);
  bool populate_pages(std::uint64_t start, std::uint64_t end, bool write, cpu::Core& core);
  void file_fault(Vma& vma, PhysAddr pmd, std::uint64_t va, bool write, cpu::Core& core);
  void anonymous_fault(Vma& vma, PhysAddr pmd, std::uint64_t va, bool write, cpu::Core& core);
  // The entry for `va` in the table that `pmd` leads to; PhysAddr(0): it leads to a huge page.
  PhysAddr pte_alloc(PhysAddr pmd, std::uint64_t va, cpu::Core& core) {
    return system_.next_entry(core, root_, pmd, VirtAddr(va), 2, true);
  }

  // Entries of user pages, through the contpte layer: set_ptes(), clear_full_ptes() and its like
  // (the first old entry), wrprotect_ptes(), ptep_set_access_flags().
  void set_ptes(PhysAddr entry, std::uint64_t va, mmu::Descriptor d, unsigned n, cpu::Core& core) {
    if (n == 1) return set_one_pte(entry, va, d, core);
    set_many_ptes(entry, va, d, n, core);
  }
  void set_one_pte(PhysAddr entry, std::uint64_t va, mmu::Descriptor d, cpu::Core& core);
  void set_many_ptes(PhysAddr entry, std::uint64_t va, mmu::Descriptor d, unsigned n,
                     cpu::Core& core);
  mmu::Descriptor clear_ptes(PhysAddr entry, std::uint64_t va, unsigned n, cpu::Core& core);
  void wrprotect_ptes(PhysAddr entry, std::uint64_t va, unsigned n, cpu::Core& core);
  void set_writable(PhysAddr entry, std::uint64_t va, cpu::Core& core);
  void make_old(PhysAddr entry, std::uint64_t va, unsigned n, bool clean, cpu::Core& core);
  void convert_run(PhysAddr entry, std::uint64_t va, mmu::Descriptor d, cpu::Core& core);
  void unfold(PhysAddr entry, std::uint64_t va, cpu::Core& core);
  void unfold_edges(PhysAddr entry, std::uint64_t va, unsigned n, cpu::Core& core);
  void fold(PhysAddr entry, std::uint64_t va, mmu::Descriptor d, cpu::Core& core);

  void copy_range(Mm& child, const Vma& vma, cpu::Core& core);
  mmu::Descriptor changed_protection(const Vma& vma, mmu::Descriptor old, unsigned level);
  void change_protection(Gather& gather, const Vma& vma, std::uint64_t start, std::uint64_t end,
                         cpu::Core& core);
  void move_tables(std::uint64_t from, std::uint64_t to, std::uint64_t length, bool stack,
                   cpu::Core& core);
  bool may_align_down(std::uint64_t at, bool stack);
  void move_stack(std::uint64_t top, cpu::Core& core);
  bool move_pmd(std::uint64_t from, std::uint64_t to, cpu::Core& core);

  System& system_;
  PageCache& cache_;
  Pfn root_;
  VmaTree vmas_;
  MapleTree maple_;
  std::uint64_t forked_vmas_ = 0;  // of system_.vma_slabs
  std::vector<Pfn> deposited_;     // page tables kept for the splits of huge pages
  Lock future_ = Lock::kNone;      // def_flags: of mappings that come
  bool batched_ = false;           // flush_later() since the last flush_batched()
};

template <class OnPmd>
void Mm::for_pmds(std::uint64_t start, std::uint64_t end, cpu::Core& core, OnPmd&& on_pmd) {
  for (std::uint64_t va = start; va < end;) {
    Pfn table = root_;
    for (unsigned level = 0;; ++level) {
      const unsigned shift = mmu::level_shift(level);
      const PhysAddr entry = entry_of(table, VirtAddr(va), level);
      const std::uint64_t boundary = align_down(va, 1ull << shift) + (1ull << shift);
      const mmu::Descriptor d = read(core, entry);
      if (!is_none(d) && level < 2) {
        table = d.pfn();
        continue;
      }
      const std::uint64_t next = std::min(boundary, end);
      if (!is_none(d)) {
        on_pmd(entry, va, next);
      } else {
        core.execute_loop(system_.path().pmd_none);
      }
      va = next;
      break;
    }
  }
}

}  // namespace kpksim::kernel
