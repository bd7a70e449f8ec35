#include "sim/kernel/keyed_pool.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/span.h"

namespace kpksim::kernel {

using Share = KeyedPool::Share;

// Its splits may use the reserve.
class KeyedPool::Refill {
 public:
  Refill(KeyedPool& pool, cpu::Core& core)
      : pool_(pool),
        span_(pool.taps_, core, Work::kRefill),
        mutex_(pool.locks_, pool.mutex_, core) {
    pool_.refilling_ = true;
  }
  ~Refill() { pool_.refilling_ = false; }
  Refill(const Refill&) = delete;
  Refill& operator=(const Refill&) = delete;

 private:
  KeyedPool& pool_;
  const Span span_;
  const Holding mutex_;
};

KeyedPool::KeyedPool(Buddy& buddy, std::vector<std::uint64_t> orders)
    : buddy_(buddy), orders_(std::move(orders)) {}
KeyedPool::~KeyedPool() = default;

Share& KeyedPool::join(PoolClient& client, const Settings& settings) {
  return shares_.emplace_back(*this, client, settings);
}

// pba_init() fills the cache when nothing can be marked yet; pba_init_late() marks that run.
void Share::fill(cpu::Core& core) {
  const auto [run, order] = allocate_run(core);
  cache(run, order, false);
  client_.mark_run(core, run, 1ull << order);
}

Pfn Share::take(cpu::Core& core) {
  if (cached_.size() > settings_.reserve) return pop();
  const Because keying(core, Cause::kKeying);
  // The mutex is not held yet: another share's reserve can still be filled up for the splits to
  // come. Inside, its refill would wait for the mutex that this one holds.
  for (Share& other : pool_.shares_) {
    if (&other != this) other.replenish(core);
  }
  if (Share* from = lender()) {
    const Pfn pfn = from->lend();
    ++borrowed_;
    cached_.add_run(pfn, 0);  // it is keyed, and can go back, by itself
    const Refill refill(pool_, core);
    client_.mark_run(core, pfn, 1);
    return pfn;
  }
  return refill(core, true);
}

Pfn Share::take_reserved() {
  if (cached_.empty()) throw InputError("out of memory: the pool has no page for a split");
  return pop();
}

void Share::give_back(Pfn pfn) { cached_.put(pfn); }

void Share::replenish(cpu::Core& core) {
  if (pool_.refilling() || cached_.size() >= settings_.reserve) return;
  ++replenished_;
  refill(core, false);
}

Pfn Share::pop() {
  const Pfn pfn = cached_.take();
  unneeded_ = scanned_ ? cached_.size() : std::min(unneeded_, cached_.size());
  scanned_ = false;
  return pfn;
}

// The largest run that there is. Without one the reserve stays, and the allocation fails.
std::pair<Pfn, unsigned> Share::allocate_run(const cpu::Core& core) {
  for (std::size_t i = 0; i < pool_.orders_.size(); ++i) {
    const auto order = static_cast<unsigned>(pool_.orders_[i]);
    const auto run = pool_.buddy_.allocate(core, order, Mobility::kUnmovable);
    if (!run) continue;
    ++refills_[i];
    return {*run, order};
  }
  throw InputError("out of memory: the pool cannot refill (give the machine more --memory)");
}

Pfn Share::refill(cpu::Core& core, bool hand_out) {
  const auto [run, order] = allocate_run(core);
  {
    const Refill refill(pool_, core);
    client_.mark_run(core, run, 1ull << order);
  }
  cache(run, order, hand_out);
  return run;
}

// split_page(): the pages are single ones from now on. Each is put by itself: the last comes first.
void Share::cache(Pfn run, unsigned order, bool without_first) {
  cached_.add_run(run, order);
  for (std::uint64_t i = without_first ? 1 : 0; i < 1ull << order; ++i) cached_.put(run + i);
}

// The share that could give most pages back; nullptr: none could.
Share* Share::lender() {
  Share* most = nullptr;
  for (Share& other : pool_.shares_) {
    if (&other == this || other.spare() == 0) continue;
    if (most == nullptr || other.spare() > most->spare()) most = &other;
  }
  return most;
}

// The page that has waited longest. Its block is none from now on: a page of it has another key.
Pfn Share::lend() {
  const Pfn pfn = cached_.oldest();
  cached_.remove(pfn);
  cached_.cut_out(pfn);
  return pfn;
}

}  // namespace kpksim::kernel
