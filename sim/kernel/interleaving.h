#pragma once
// What a system has where its cores are interleaved: who runs next, and the locks.

#include <bit>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "sim/kernel/lock.h"

namespace kpksim::kernel {

struct Interleaving {
  explicit Interleaving(cpu::Machine& machine) : locks(machine), page_tables(locks) {
    // Eight for each CPU (hugetlb_init()).
    for (std::size_t n = std::bit_ceil(8 * machine.core_count()); n != 0; --n) {
      hugetlb_faults.emplace_back(LockKind::kHugetlbFault);
    }
  }

  Locks locks;
  PageTableLocks page_tables;
  // i_mmap_rwsem, by file.
  std::map<std::uint32_t, SleepingLock> file_mappings;
  SleepingLock& file_mapping(std::uint32_t file) {
    return file_mappings.try_emplace(file, LockKind::kFileMapping).first->second;
  }
  // hugetlb_fault_mutex_table: of page `index` of what is mapped. The hash is the model's own.
  std::deque<SleepingLock> hugetlb_faults;
  SleepingLock& hugetlb_fault(std::uint64_t mapping, std::uint64_t index) {
    const std::uint64_t hash = (mapping * 0x9e3779b97f4a7c15 + index) * 0xbf58476d1ce4e5b9;
    return hugetlb_faults[(hash >> 32) % hugetlb_faults.size()];
  }
};

// The locks of an address space. mmap_lock is a rw semaphore. A fault that a program takes does not
// need it, but the lock of its VMA (lock_vma_under_rcu()), unless a writer of mmap_lock has that
// VMA write-locked (vma_start_write()), until it drops mmap_lock (vma_end_write_all()): then the
// fault waits for mmap_lock. The model keeps VMA locks as addresses: of faults under way, and
// ranges of VMAs that are write-locked.
class MmLocks {
 public:
  explicit MmLocks(Locks* locks) : locks_(locks) {}

  // A scope that has mmap_lock.
  class Write {
   public:
    Write(MmLocks& mm, cpu::Core& core) : mm_(mm), held_(mm.locks_, mm.mmap_, core) {}
    ~Write() { mm_.written_.clear(); }
    Write(const Write&) = delete;
    Write& operator=(const Write&) = delete;

   private:
    MmLocks& mm_;
    Holding held_;
  };
  class Read {
   public:
    Read(MmLocks& mm, cpu::Core& core) : held_(mm.locks_, mm.mmap_, core, Holding::How::kShared) {}

   private:
    Holding held_;
  };
  // A fault of a program at `va`: under the VMA's lock, or mmap_lock.
  class Fault {
   public:
    // `by_vma`: it may do without mmap_lock.
    Fault(MmLocks& mm, std::uint64_t va, bool by_vma, cpu::Core& core);
    ~Fault();
    Fault(const Fault&) = delete;
    Fault& operator=(const Fault&) = delete;

   private:
    MmLocks& mm_;
    cpu::Core& core_;
    const std::uint64_t va_;
    bool vma_ = false;
    std::optional<Holding> mmap_;
  };

  // vma_start_write() of the VMAs in [start, end), by who has mmap_lock to write: waits for faults
  // in them.
  void start_write(std::uint64_t start, std::uint64_t end, cpu::Core& core);
  // There is nothing to note.
  bool off() const { return locks_ == nullptr || !locks_->on(); }

 private:
  bool faults_in(std::uint64_t start, std::uint64_t end) const;

  Locks* const locks_;
  SleepingLock mmap_{LockKind::kMmap};
  std::vector<std::uint64_t> faults_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> written_;
  Locks::Strand* writer_ = nullptr;  // waits for faults in:
  std::uint64_t writer_start_ = 0, writer_end_ = 0;
};

}  // namespace kpksim::kernel
