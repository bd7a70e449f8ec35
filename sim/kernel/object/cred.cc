#include "sim/kernel/object/cred.h"

#include "sim/base/error.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kWord = 8;
// In the middle of a free object (calculate_sizes()), away from where an overflow of its neighbour
// would reach.
constexpr std::uint64_t kFreePointer = Creds::kBytes / 2;
// What stands where a callback's function does. The model calls by the kind of callback.
constexpr std::uint64_t kPutCredRcu = 1;
// The runs of the credentials' own pool, as pba has them.
const std::vector<std::uint64_t>& orders() {
  static const std::vector<std::uint64_t> kOrders = {9, 4, 2};
  return kOrders;
}

std::unique_ptr<SlabPages> make_pages(CredPages pages, const AllocatorContext& c,
                                      PageTableAllocator& tables, KeyedPool* own) {
  if (pages == CredPages::kOrdinary) return std::make_unique<OrdinaryPages>(c.buddy);
  const SlabKey key(c.linear_map, kPkeyCred, c.tables.taps());
  if (pages == CredPages::kSingle) {
    return std::make_unique<SinglePages>(c.buddy, key);
  }
  KeyedPool* const pool = pages == CredPages::kPool ? own : tables.pool();
  if (pool == nullptr) throw ModelError("this allocator has no pool to share");
  return std::make_unique<PooledPages>(*pool, key);
}

}  // namespace

Creds::Creds(const AllocatorContext& context, PageTableAllocator& tables, Rcu& rcu,
             std::uint64_t guard, CredPages pages)
    : tables_(context.tables),
      rcu_(rcu),
      key_(context.protection,
           pages == CredPages::kOrdinary ? std::nullopt : std::optional(kPkeyCred), guard,
           context.tables.taps()),
      ordinary_key_(context.protection, std::nullopt, 0, context.tables.taps()),
      ordinary_pages_(context.buddy),
      ordinary_(ordinary_key_, ordinary_pages_, kBytes, kFreePointer),
      own_pool_(std::make_unique<KeyedPool>(context.buddy, orders())),
      made_pages_(make_pages(pages, context, tables, own_pool_.get())),
      pages_(*made_pages_),
      slabs_(key_, pages_, kBytes, kFreePointer) {
  rcu.set_heads(*this);
}

Creds::Creds(const AllocatorContext& context, Rcu& rcu, const ObjectKey& key, SlabPages& pages)
    : tables_(context.tables),
      rcu_(rcu),
      key_(key),
      ordinary_key_(context.protection, std::nullopt, 0, context.tables.taps()),
      ordinary_pages_(context.buddy),
      ordinary_(ordinary_key_, ordinary_pages_, kBytes, kFreePointer),
      pages_(pages),
      slabs_(key_, pages_, kBytes, kFreePointer) {
  rcu.set_heads(*this);
}

PreparedCred Creds::fresh(cpu::Core& core) {
  const PhysAddr object = ordinary_.allocate(core);
  ObjectKey::Section ordinary(ordinary_key_, core);
  for (std::uint64_t i = 0; i < kWords; ++i) ordinary.store(object + i * kWord, 0);
  return {object};
}

PreparedCred Creds::prepare(cpu::Core& core, LiveCred of) {
  const PhysAddr object = ordinary_.allocate(core);
  ObjectKey::Section ordinary(ordinary_key_, core);
  for (std::uint64_t i = 0; i < kWords; ++i) {
    ordinary.store(object + i * kWord, ObjectKey::load(core, of.object + i * kWord));
  }
  ordinary.store(object + kUsage, 0);
  return {object};
}

// The slab's page is keyed before the section: it is page tables that are written then.
LiveCred Creds::commit(cpu::Core& core, PreparedCred prepared) {
  const LiveCred cred{slabs_.allocate(core)};
  {
    ObjectKey::Section section(key_, core);
    for (std::uint64_t i = 0; i < kWords; ++i) {
      section.store(cred.object + i * kWord, ObjectKey::load(core, prepared.object + i * kWord));
    }
    get(core, cred, kOfTask);
  }
  ordinary_.free(core, prepared.object);
  ++committed_;
  return cred;
}

void Creds::get(cpu::Core& core, LiveCred cred, std::uint64_t references) {
  ObjectKey::Section section(key_, core);
  const PhysAddr usage = cred.object + kUsage;
  section.store(usage, ObjectKey::load(core, usage) + references);
}

// What hands the object to RCU is inside: a section in a section.
void Creds::put(cpu::Core& core, LiveCred cred, std::uint64_t references) {
  ObjectKey::Section section(key_, core);
  const PhysAddr usage = cred.object + kUsage;
  const std::uint64_t before = ObjectKey::load(core, usage);
  if (before < references) throw ModelError("credentials are put more often than they were taken");
  section.store(usage, before - references);
  if (before == references) rcu_.call_for_cred(core, cred.object);
}

// call_rcu(): the head that is added is filled in, and the one before it points to it.
void Creds::queued(cpu::Core& core, PhysAddr last, PhysAddr added) {
  ObjectKey::Section section(key_, core);
  if (added.value != 0) {
    section.store(added + kRcuFunction, kPutCredRcu);
    section.store(added + kRcuNext, 0);
  }
  if (last.value != 0) section.store(last + kRcuNext, added.value);
}

void Creds::spliced(cpu::Core& core, PhysAddr last, PhysAddr next) {
  ObjectKey::Section section(key_, core);
  if (last.value != 0) section.store(last + kRcuNext, next.value);
}

void Creds::called(cpu::Core& core, PhysAddr object) {
  ObjectKey::Section section(key_, core);
  if (object.value != 0) section.store(object + kRcuFunction, 0);
}

// put_cred_rcu(), in the softirq: what it has interrupted may be a lazy MMU section.
void Creds::free(cpu::Core& core, PhysAddr object) {
  const InterruptContext softirq(tables_);
  slabs_.free(core, object);
  ++freed_;
}

CredStatistics Creds::statistics() const {
  CredStatistics s;
  s.sections = key_.sections();
  s.switches = key_.switches();
  s.committed = committed_;
  s.freed = freed_;
  s.slabs_keyed = slabs_.made();
  s.slabs_unkeyed = slabs_.gone();
  s.borrowed = pages_.borrowed();
  s.live = slabs_.live();
  s.cached = pages_.cached();
  return s;
}

}  // namespace kpksim::kernel
