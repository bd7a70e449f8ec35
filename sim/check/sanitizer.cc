#include "sim/check/sanitizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "sim/check/core_watch.h"
#include "sim/check/judge.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/span.h"
#include "sim/mmu/regime.h"

namespace kpksim::check {

using Kind = History::Kind;
using mmu::Descriptor;

namespace {

// What hardware looks at: a change of the other bits needs no invalidation.
constexpr std::uint64_t kHardwareBits = ~mmu::field::kSoftware.mask();

History::Event event_of(Kind kind, const cpu::Core& core) {
  History::Event event;
  event.kind = kind;
  event.core = static_cast<std::uint16_t>(core.id());
  event.cause = core.cause();
  return event;
}

mmu::CachedRange range_of(const Place& place) {
  const bool global = !place.table && mmu::upper_half(place.va);
  return {place.va.value, kPageShift, place.asid, global, mmu::kLastLevel, kPageShift};
}

PhysAddr run_of(PhysAddr entry) {
  return PhysAddr(align_down(entry.value, kContiguousEntries * 8));
}

}  // namespace

bool Sanitizer::is_cached(const Place& place) {
  bool found = false;
  const auto note = [&](unsigned, const auto&) { found = true; };
  if (place.table) {
    each_table(place, note);
  } else {
    each_leaf(place, note);
  }
  return found;
}

Sanitizer::Sanitizer(kernel::Kernel& kernel, const Options& options)
    : kernel_(kernel),
      system_(kernel.system()),
      memory_(system_.machine.memory()),
      options_(options),
      x86_(system_.flush.x86() != nullptr),
      protects_(!system_.protection_info.marks.empty() &&
                kernel::Allocators::find(system_.config.policy.allocator.name, "allocator").marks),
      outstanding_(system_.machine.core_count()),
      fresh_tables_(system_.machine.core_count()) {
  const std::size_t frames = system_.buddy.size();
  for (std::vector<bool>* set :
       {&frames_.tables, &frames_.marked, &frames_.linear, &frames_.kernel, &frames_.ever_marked}) {
    set->resize(frames);
  }
  frames_.levels.assign(frames, kNoLevel);
  stage2_breaks_ = system_.protection->bbm_violations();
  adopt_boot_tables();
  system_.set_observer(this);
  for (unsigned c = 0; c < system_.machine.core_count(); ++c) {
    watches_.push_back(std::make_unique<CoreWatch>(*this, core(c)));
    core(c).set_observer(watches_.back().get());
  }
  check_tables_at_rest(core(0));
}

Sanitizer::~Sanitizer() {
  system_.set_observer(nullptr);
  for (unsigned c = 0; c < system_.machine.core_count(); ++c) core(c).set_observer(nullptr);
}

// swapper_pg_dir is no table to look at: it is read-only after boot in another way.
void Sanitizer::adopt_boot_tables() {
  const Pfn root = system_.linear_map.root();
  adopt(root, 0, true);
  put(frames_.tables, root, false);
}

void Sanitizer::adopt(Pfn table, unsigned level, bool linear) {
  put(frames_.tables, table, true);
  put(frames_.marked, table, protects_);
  put(frames_.kernel, table, true);
  put(frames_.linear, table, linear);
  if (index_of(table) < frames_.levels.size()) {
    frames_.levels[index_of(table)] = static_cast<std::uint8_t>(level);
  }
  if (level != 0) fresh_tables_[0].push_back(table);
  if (level == mmu::kLastLevel) return;
  for (unsigned i = 0; i < kEntriesPerTable; ++i) {
    const PhysAddr entry = address_of(table) + i * 8;
    const Descriptor d{memory_.read64(entry)};
    if (!d.table_or_page()) continue;
    hooked_[d.pfn().value] = entry;
    adopt(d.pfn(), level + 1, level == 0 ? i < kEntriesPerTable / 2 : linear);
  }
}

void Sanitizer::leaf_cached(cpu::Core& on, PhysAddr entry, VirtAddr va, Asid asid,
                            const mmu::Leaf& leaf) {
  const VirtAddr start(align_down(mmu::without_tag(va).value, 1ull << leaf.page_bits));
  const PhysAddr at = leaf.descriptor.contiguous() ? run_of(entry) : entry;
  places_.add(at, {start, asid, false, PhysAddr(0), 0}, on.id());
  History::Event event = event_of(Kind::kCached, on);
  event.entry = entry;
  event.va = start;
  event.asid = asid;
  event.now = leaf.descriptor.raw;
  history_.add(event);
  if (!mmu::upper_half(va)) return;
  for (const auto& watch : watches_) watch->check_published(on, entry, va);
}

void Sanitizer::table_cached(cpu::Core& on, PhysAddr entry, VirtAddr va, Asid asid, PhysAddr next) {
  places_.add(entry, {va, asid, true, next, 0}, on.id());
  for (const auto& watch : watches_) watch->check_published(on, entry, va);
}

void Sanitizer::updating(cpu::Core& on, PhysAddr entry, std::uint64_t now) {
  History::Event event = event_of(Kind::kUpdated, on);
  event.entry = entry;
  event.before = memory_.read64(entry);
  event.now = now;
  history_.add(event);
}

// Windows are closed by destructors, from which nothing may be thrown: these spans begin in none.
void Sanitizer::begun(const kernel::Span& span) {
  using kernel::Work;
  const Work work = span.work();
  const bool safe = kernel::is_call(work) || work == kernel::work_of(kernel::Trigger::kPageFault) ||
                    work == Work::kSpawn || work == Work::kAllocateTable || work == Work::kVmalloc;
  if (safe && work != Work::kAllocateTable) {
    purges_.leave(span.core().id());
    stage2_changes_.leave(span.core().id());
  }
  if (++events_ <= options_.most_events || !safe || std::uncaught_exceptions() != 0) return;
  throw TooLong(fmt::format("more than {} events", options_.most_events));
}

void Sanitizer::writing(cpu::Core& on, PhysAddr entry, std::uint64_t raw) {
  ++events_;
  const Descriptor old{memory_.read64(entry)}, now{raw};
  // Not all that a helper writes is a table: __split_huge_pmd_locked() fills a local variable.
  if (!is(frames_.tables, frame_of(entry)) && frame_of(entry) != system_.linear_map.root()) {
    watches_[on.id()]->writing(false, entry);
    return;
  }
  const std::uint8_t level = level_of(entry);
  const bool above = level < mmu::kLastLevel;  // its table can lead to tables
  const bool link = above && now.table_or_page();
  const bool kernel = is(frames_.kernel, frame_of(entry));
  watches_[on.id()]->writing(now.valid() && !old.valid() && (kernel || link), entry);
  if (old == now) return;
  History::Event event = event_of(Kind::kWritten, on);
  event.entry = entry;
  event.before = old.raw;
  event.now = raw;
  history_.add(event);
  if (old.valid() && ((old.raw ^ raw) & kHardwareBits) != 0) {
    changed(on, entry, old);
    if (above && old.table_or_page() && (!link || old.pfn() != now.pfn())) {
      unhook(on, entry, old.pfn());
    }
  }
  if (!now.valid()) return;
  if (!x86_) check_break(on, entry, old, now);
  if (link) {
    hook(on, entry, old, now.pfn(), level);
  } else if (protects_ && level != kNoLevel && !is(frames_.linear, frame_of(entry))) {
    check_alias(on, entry, now);
  }
}

void Sanitizer::note(cpu::Core& on, PhysAddr entry, const Place& place, Descriptor old) {
  std::vector<Outstanding>& list = outstanding_[on.id()];
  const auto same = [&](const Outstanding& o) {
    return o.place.va == place.va && o.place.asid == place.asid && o.place.table == place.table;
  };
  const bool fresh = list.size() > watches_[on.id()]->published();
  if (fresh && same(list.back())) return;
  list.push_back({entry, place, old, false});
}

void Sanitizer::changed(cpu::Core& on, PhysAddr entry, Descriptor old) {
  const auto look = [&](const Place& place) {
    if (!is_cached(place)) return false;
    note(on, entry, place, old);
    return true;
  };
  places_.sift(entry, look);
  if (old.contiguous() && run_of(entry) != entry) places_.sift(run_of(entry), look);
}

// What was found through the table is found no more, though its descriptors stay as they are.
void Sanitizer::unhook(cpu::Core& on, PhysAddr entry, Pfn table) {
  hooked_.erase(table.value);
  unhooked_[entry.value] = table;
  places_.sift_table(table, [&](PhysAddr below, const Place& place) {
    if (!is_cached(place)) return false;
    note(on, below, place, Descriptor{memory_.read64(below)});
    return true;
  });
}

void Sanitizer::hook(cpu::Core& on, PhysAddr entry, Descriptor old, Pfn table, unsigned level) {
  hooked_[table.value] = entry;
  const bool linear = level == 0 ? (entry.value & (kPageSize - 1)) < kPageSize / 2 &&
                                       is(frames_.kernel, frame_of(entry))
                                 : is(frames_.linear, frame_of(entry));
  put(frames_.linear, table, linear);
  if (index_of(table) < frames_.levels.size()) {
    frames_.levels[index_of(table)] = static_cast<std::uint8_t>(level + 1);
  }
  if (protects_) fresh_tables_[on.id()].push_back(table);
  watches_[on.id()]->hooking(table, old.valid() && is(frames_.kernel, frame_of(entry)));
}

void Sanitizer::judged(cpu::Core& on, VirtAddr va, const poe::Access& access) {
  for (auto w = watched_.begin(); w != watched_.end(); ++w) {
    if (w->core != on.id() || va < w->va || va >= w->va + w->bytes) continue;
    constexpr const char* kKinds[] = {"read", "write", "read and write", "execute"};
    report_.add(Rule::kStaleUse, on,
                fmt::format("a stale translation is used: {} of {:#x}, ASID {}",
                            kKinds[static_cast<unsigned>(access.kind)], va.value, w->asid.value),
                [&] { return history_.of_entry(w->entry, w->va, w->asid); });
    watched_.erase(w);
    return;
  }
}

void Sanitizer::tlbi(cpu::Core& on, const mmu::TlbiEffect& effect) {
  if (x86_) return;
  mmu::TlbiEffect any = effect;
  any.ttl_level = any.granule_shift = 0;
  const std::vector<Outstanding>& list = outstanding_[on.id()];
  for (std::size_t i = watches_[on.id()]->published(); i < list.size(); ++i) {
    const Outstanding& o = list[i];
    const mmu::CachedRange range = range_of(o.place);
    if (!(o.place.table ? any.drops_table(range) : any.drops_leaf(range))) continue;
    report_.add(Rule::kMissingDsb, on,
                fmt::format("a TLBI is issued, and no DSB has published the write before it: "
                            "descriptor at {:#x}",
                            o.entry.value),
                [&] { return history_.of_entry(o.entry, o.place.va, o.place.asid); });
  }
}

void Sanitizer::dsb(cpu::Core& on) {
  std::vector<Outstanding>& list = outstanding_[on.id()];
  CoreWatch& watch = *watches_[on.id()];
  if (watch.waited_for_tlbis()) {
    std::erase_if(list, [&](const Outstanding& o) {
      return watch.may_have_dropped(range_of(o.place), o.place.table) && !is_cached(o.place);
    });
    watch.forget_tlbis();
  }
  watch.publish(list.size());
}

bool Sanitizer::settle(cpu::Core& on, const Outstanding& o, Judge& judge) {
  if (!o.place.table && mmu::upper_half(o.place.va) && kernel_.memory().waiting(o.place.va)) {
    return false;
  }
  const auto tell = [&] { return history_.of_entry(o.entry, o.place.va, o.place.asid); };
  if (o.place.table) {
    each_table(o.place, [&](unsigned c, const mmu::WalkCache::Entry& entry) {
      if (!judge.stale(c, entry)) return;
      report_.add(Rule::kStaleEntry, on,
                  fmt::format("a table that is no more is in a walk cache: of core {}, for {:#x}, "
                              "ASID {}",
                              c, entry.va().value, entry.asid.value),
                  tell);
    });
    return true;
  }
  each_leaf(o.place, [&](unsigned c, const mmu::TlbEntry& entry) {
    if (!judge.stale(c, entry)) return;
    report_.add(Rule::kStaleEntry, on,
                fmt::format("a translation is stale at the return to EL0: of core {}, {:#x}, ASID "
                            "{}",
                            c, entry.va().value, entry.asid.value),
                tell);
    watch(c, o, entry);
  });
  return true;
}

// Its accesses come to judged() from now on. The first ones say enough.
void Sanitizer::watch(unsigned c, const Outstanding& o, const mmu::TlbEntry& entry) {
  constexpr std::size_t kMost = 64;
  const std::uint64_t bytes = 1ull << entry.leaf.page_bits;
  for (const Watched& w : watched_) {
    if (w.core == c && w.va == entry.va()) return;
  }
  if (watched_.size() == kMost) watched_.erase(watched_.begin());
  watched_.push_back({c, entry.va(), bytes, o.entry, o.place.asid});
  core(c).mmu().watch(o.place.va, o.place.asid);
}

void Sanitizer::returning(cpu::Core& on) {
  freed_reported_ = false;
  if (on.outstanding_tlbis() != 0) {
    report_.add(Rule::kMissingDsb, on,
                fmt::format("no DSB has waited for TLBIs up to the return to EL0: {} of them",
                            on.outstanding_tlbis()),
                [&] { return history_.of_barriers(on.id()); });
  }
  Judge judge(*this);
  const std::vector<Outstanding> list = std::exchange(outstanding_[on.id()], {});
  watches_[on.id()]->publish(0);
  for (const Outstanding& o : list) {
    if (is_cached(o.place) && !settle(on, o, judge)) put_off_.push_back(o);
  }
  purges_.leave(on.id());
  stage2_changes_.leave(on.id());
  if (purges_.over()) {
    std::erase_if(put_off_, [&](const Outstanding& o) { return settle(on, o, judge); });
  }
  if (stage2_changes_.over()) check_stage2(on);
  check_tables_at_rest(on);
}

void Sanitizer::flushing(cpu::Core& on, kernel::FlushSite site) {
  History::Event event = event_of(Kind::kFlush, on);
  event.site = site;
  history_.add(event);
  if (site == kernel::FlushSite::kVmallocPurge) purges_.begin(on.id());
  if (site != kernel::FlushSite::kStage2Rights && site != kernel::FlushSite::kStage2Split) return;
  stage2_changes_.begin(on.id());
  watches_[on.id()]->stage2_written();
}

void Sanitizer::handling(cpu::Core& on) {
  watches_[on.id()]->check_window("in the handler of an exception");
}

void Sanitizer::switching(cpu::Core& on) {
  watches_[on.id()]->check_window("at a switch to another thread");
  if (x86_) check_pcid(on);
}

bool Sanitizer::awaits_return(unsigned c, const mmu::TlbEntry& entry) const {
  const std::uint64_t bytes = 1ull << entry.leaf.page_bits;
  return std::any_of(outstanding_.begin(), outstanding_.end(), [&](const auto& list) {
    return std::any_of(list.begin(), list.end(), [&](const Outstanding& o) {
      return !o.place.table && o.place.asid == entry.asid && (o.place.cores >> (c % 64) & 1) != 0 &&
             align_down(o.place.va.value, bytes) == entry.va().value;
    });
  });
}

// A PCID that is given to another address space: what it had cached must be gone. What another core
// changes of this address space at that moment may still be cached: the core that has just loaded
// it is in mm_cpumask() by then, and is interrupted for the flush. The return of who changed it is
// when that is looked at.
void Sanitizer::check_pcid(cpu::Core& on) {
  Judge judge(*this);
  const mmu::Mmu& mmu = on.mmu();
  const Asid pcid = mmu.registers().asid();
  for (const mmu::Tlb* tlb : {&mmu.l1d(), &mmu.l1i(), &mmu.l2()}) {
    for (const mmu::TlbEntry& entry : tlb->entries()) {
      if (!entry.valid || entry.leaf.global || entry.asid != pcid) continue;
      if (!judge.stale(on.id(), entry) || awaits_return(on.id(), entry)) continue;
      report_.add(Rule::kStaleEntry, on,
                  fmt::format("a translation of another address space is cached under this one's "
                              "PCID: {:#x}, PCID {}",
                              entry.va().value, pcid.value),
                  [] { return std::vector<std::string>(); });
      return;
    }
  }
}

void Sanitizer::generation_flushed(cpu::Core& on) {
  const mmu::Mmu& mmu = on.mmu();
  for (const mmu::Tlb* tlb : {&mmu.l1d(), &mmu.l1i(), &mmu.l2()}) {
    for (const mmu::TlbEntry& entry : tlb->entries()) {
      if (!entry.valid || entry.leaf.global) continue;
      report_.add(Rule::kStaleEntry, on,
                  fmt::format("a translation has outlived its generation of ASIDs: {:#x}, ASID {}",
                              entry.va().value, entry.asid.value),
                  [] { return std::vector<std::string>(); });
      return;
    }
  }
}

}  // namespace kpksim::check
