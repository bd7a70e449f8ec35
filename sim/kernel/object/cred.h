#pragma once
// Credentials (struct cred, kernel/cred.c) with a key of their own, the second user of kpkeys
// (series on credentials, RFC v2). prepare_creds() makes a copy in ordinary memory, which its
// caller changes freely; commit_creds() moves it into a slab whose pages carry the key, and from
// then on each write is a guarded section: the count of references, RCU's head, which lies in the
// object, and the slab's free list.
//
// RCU cannot tell whose head it writes: a section stands around each write to a head or to a list
// of them. That a child's copy (copy_creds()) moves as at a commit is how the model reads the
// series.
//
// What the paths of the kernel execute for credentials anyway is in their lengths. Loads, stores
// and the copy of a commit come once more here, a few cycles each.

#include <array>
#include <cstdint>
#include <memory>

#include "sim/base/statistic.h"
#include "sim/kernel/object/slabs.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/rcu.h"

namespace kpksim::kernel {

struct CredStatistics {
  std::uint64_t sections = 0, switches = 0;
  std::uint64_t committed = 0, freed = 0;
  std::uint64_t slabs_keyed = 0, slabs_unkeyed = 0, borrowed = 0;
  std::uint64_t live = 0, cached = 0;
};
inline constexpr std::array<Statistic<CredStatistics>, 9> kCredStatistics = {{
    {"sections", "sections", "guarded sections of credentials", &CredStatistics::sections},
    {"switches", "writes", "register writes for credentials", &CredStatistics::switches},
    {"committed", "objects", "credentials committed", &CredStatistics::committed},
    {"freed", "objects", "credentials freed", &CredStatistics::freed},
    {"slabs_keyed", "slabs", "slabs of credentials made", &CredStatistics::slabs_keyed},
    {"slabs_unkeyed", "slabs", "slabs of credentials given back", &CredStatistics::slabs_unkeyed},
    {"borrowed", "pages", "pages keyed anew, which page tables had spare",
     &CredStatistics::borrowed},
    {"live", "objects", "credentials live", &CredStatistics::live, true},
    {"cached", "pages", "pages held for credentials, keyed and unused", &CredStatistics::cached,
     true},
}};

// Where slabs' pages come from: keyed one by one, from a pool of the credentials' own, or from the
// one that page tables have; or they are ordinary memory without a key.
enum class CredPages : std::uint8_t { kSingle, kPool, kShared, kOrdinary };

// In ordinary memory, before its commit; and after it.
struct PreparedCred {
  PhysAddr object{0};
};
struct LiveCred {
  PhysAddr object{0};
};

class Creds final : public RcuHeads {
 public:
  // Where its words stand (struct cred of 6.12, 64-bit: 184 bytes, aligned to cache lines).
  static constexpr std::uint64_t kBytes = 192, kWords = 23;
  static constexpr std::uint64_t kUsage = 0, kRcuNext = 168, kRcuFunction = 176;

  // `guard`: instructions of a section.
  Creds(const AllocatorContext& context, PageTableAllocator& tables, Rcu& rcu, std::uint64_t guard,
        CredPages pages);
  // As a class of `kpksim keys`: it says what a section may do, and has the slabs' pages.
  Creds(const AllocatorContext& context, Rcu& rcu, const ObjectKey& key, SlabPages& pages);

  // The first of a process that has no parent.
  PreparedCred fresh(cpu::Core& core);
  PreparedCred prepare(cpu::Core& core, LiveCred of);
  // With the two references of a task: what it is, and what it acts as.
  LiveCred commit(cpu::Core& core, PreparedCred prepared);
  // get_cred_many() and put_cred_many(); the last one hands the object to RCU.
  void get(cpu::Core& core, LiveCred cred, std::uint64_t references = 1);
  void put(cpu::Core& core, LiveCred cred, std::uint64_t references = 1);

  void queued(cpu::Core& core, PhysAddr last, PhysAddr added) override;
  void spliced(cpu::Core& core, PhysAddr last, PhysAddr next) override;
  void called(cpu::Core& core, PhysAddr object) override;
  void free(cpu::Core& core, PhysAddr object) override;
  void free_task(cpu::Core& core, PhysAddr cred) override { put(core, {cred}, kOfTask); }

  // Cores are interleaved; of credentials that are no class of `kpksim keys`.
  void set_locks(Locks& locks) { own_pool_->set_locks(locks); }
  std::uint64_t shrink(cpu::Core& core) { return pages_.shrink(core); }
  CredStatistics statistics() const;

 private:
  static constexpr std::uint64_t kOfTask = 2;

  PageTables& tables_;
  Rcu& rcu_;
  ObjectKey key_, ordinary_key_;
  OrdinaryPages ordinary_pages_;
  Slabs ordinary_;
  std::unique_ptr<KeyedPool> own_pool_;
  std::unique_ptr<SlabPages> made_pages_;
  SlabPages& pages_;
  Slabs slabs_;
  std::uint64_t committed_ = 0, freed_ = 0;
};

}  // namespace kpksim::kernel
