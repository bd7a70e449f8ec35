// The sanitizer's rules of page tables and pages: made, freed, marked, mapped twice.

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "sim/check/core_watch.h"
#include "sim/check/judge.h"
#include "sim/mmu/regime.h"
#include "sim/mmu/stage2.h"

namespace kpksim::check {

using Kind = History::Kind;
using mmu::Descriptor;

namespace {

History::Event of_page(Kind kind, const cpu::Core& core, Pfn pfn, std::uint64_t count) {
  History::Event event;
  event.kind = kind;
  event.core = static_cast<std::uint16_t>(core.id());
  event.cause = core.cause();
  event.pfn = pfn;
  event.count = count;
  return event;
}

// How many bytes an entry of a TLB may map by such a descriptor, at most.
std::uint64_t largest_of(Descriptor leaf) {
  if (!leaf.table_or_page()) return kPudSize;
  return leaf.contiguous() ? kContiguousEntries * kPageSize : kPageSize;
}

// Must the old translation be gone before there is the new one? (Arm ARM D8.16, break-before-make.)
// `sizes`: a change of size alone may be made in place (FEAT_BBM level 2, as the kernel's map of
// memory is split).
bool needs_break(Descriptor old, Descriptor now, bool sizes) {
  if (old.output() != now.output()) {
    const bool moved = old.table_or_page() == now.table_or_page();
    return moved || !sizes;
  }
  return !sizes &&
         (old.contiguous() != now.contiguous() || old.table_or_page() != now.table_or_page());
}

}  // namespace

void Sanitizer::check_break(cpu::Core& on, PhysAddr entry, Descriptor old, Descriptor now) {
  const bool sizes = is(frames_.kernel, frame_of(entry));
  const std::uint8_t level = level_of(entry);
  const bool link = level < mmu::kLastLevel && now.table_or_page();
  if (old.valid()) {
    if (!needs_break(old, now, sizes)) return;
    // A table over what mapped the same memory: the split of a block.
    if (sizes && link && !old.table_or_page()) return;
    report_.add(Rule::kBreakBeforeMake, on,
                fmt::format("an entry is changed in place, and is not broken before: descriptor at "
                            "{:#x}, {:#x} -> {:#x}",
                            entry.value, old.raw, now.raw),
                [&] { return history_.of_entry(entry, VirtAddr(0), Asid(0)); });
    return;
  }
  Judge judge(*this);
  const auto found = [&](unsigned c, VirtAddr va, Asid asid, PhysAddr at) {
    report_.add(Rule::kBreakBeforeMake, on,
                fmt::format("an entry is made, and a core has the one before it cached: core {}, "
                            "{:#x}, ASID {}",
                            c, va.value, asid.value),
                [&] { return history_.of_entry(at, va, asid); });
  };
  const auto look = [&](const Place& place) {
    bool cached = false;
    if (place.table) {
      each_table(place, [&](unsigned c, const mmu::WalkCache::Entry& e) {
        cached = true;
        if (link && now.output() == place.next) return;
        if (judge.stale(c, e)) found(c, e.va(), e.asid, entry);
      });
      return cached;
    }
    each_leaf(place, [&](unsigned c, const mmu::TlbEntry& e) {
      cached = true;
      const Descriptor before = e.leaf.descriptor;
      const bool same_run = before.contiguous() && now.contiguous();
      const bool differs = same_run ? false : needs_break(before, now, sizes);
      if (differs && judge.usable(c, e)) found(c, e.va(), e.asid, entry);
    });
    return cached;
  };
  places_.sift(entry, look);
  const auto before = unhooked_.find(entry.value);
  if (before == unhooked_.end()) return;
  const Pfn table = before->second;
  unhooked_.erase(before);
  // Freed since, or in use elsewhere: what is cached is not of this entry any more.
  if (!is(frames_.tables, table) || hooked_.contains(table.value)) return;
  if (link && now.pfn() == table) return;
  places_.sift_table(table, [&](PhysAddr below, const Place& place) {
    if (place.table) return true;
    bool cached = false;
    each_leaf(place, [&](unsigned c, const mmu::TlbEntry& e) {
      cached = true;
      if (judge.usable(c, e)) found(c, e.va(), e.asid, below);
    });
    return cached;
  });
}

void Sanitizer::check_alias(cpu::Core& on, PhysAddr entry, Descriptor now) {
  const std::uint64_t frames = 1ull << (9 * (mmu::kLastLevel - level_of(entry)));
  for (std::uint64_t i = 0; i < frames; ++i) {
    const Pfn pfn = now.pfn() + i;
    if (!is(frames_.marked, pfn)) continue;
    const PkeyIndex key = system_.linear_map.key_of(memory_, pfn);
    const PkeyIndex here = now.po_index(poe::kMostIndexBits);
    if (key == here) continue;
    report_.add(
        Rule::kAlias, on,
        fmt::format("a page table is mapped a second time, with another key: page {:#x} has "
                    "key {}, and key {} by the descriptor at {:#x}",
                    address_of(pfn).value, key.value, here.value, entry.value),
        [&] { return history_.of_page(pfn); });
    return;
  }
}

void Sanitizer::check_tables_at_rest(cpu::Core& on) {
  const std::vector<Pfn> fresh = std::exchange(fresh_tables_[on.id()], {});
  if (!protects_) return;
  for (const Pfn table : fresh) {
    if (open_tables_.contains(table.value)) {  // on another core: for now all cores may write it
      looked_at_later_[table.value] = on.id();
    } else {
      check_at_rest(on, table);
    }
  }
}

void Sanitizer::check_at_rest(cpu::Core& on, Pfn table) {
  const bool root = level_of(address_of(table)) == 0;
  if (!is(frames_.tables, table) || !(root || hooked_.contains(table.value))) return;
  if (!system_.exposure.writable_at_rest(on, table)) return;
  report_.add(Rule::kWritableTable, on,
              fmt::format("a page table in use can be written at rest: page {:#x}",
                          address_of(table).value),
              [&] { return history_.of_page(table); });
}

// Its section let this core alone write it.
void Sanitizer::object_stored(cpu::Core& on, Pfn page) {
  if (!system_.exposure.writable_at_rest(on, page)) return;
  report_.add(Rule::kWritableTable, on,
              fmt::format("an object with a key can be written at rest: page {:#x}",
                          address_of(page).value),
              [&] { return history_.of_page(page); });
}

void Sanitizer::window_opening(cpu::Core&, const kernel::Target& target) {
  for (const Pfn table : target) ++open_tables_[table.value];
}

void Sanitizer::window_ended(cpu::Core&, const kernel::Target& target) {
  for (const Pfn table : target) {
    const auto open = open_tables_.find(table.value);
    if (open == open_tables_.end() || --open->second != 0)
      continue;  // or from before there was this
    open_tables_.erase(open);
    const auto later = looked_at_later_.find(table.value);
    if (later == looked_at_later_.end()) continue;
    cpu::Core& hooked_in_by = core(later->second);
    looked_at_later_.erase(later);
    check_at_rest(hooked_in_by, table);
  }
}

// What the hypervisor has changed: its own cache, and the entries that hold both stages.
void Sanitizer::check_stage2(cpu::Core& on) {
  const auto check = [&](unsigned c, const mmu::Stage2& stage2, PhysAddr ipa, const mmu::Leaf& leaf,
                         const char* where) {
    const mmu::Stage2Result now = mmu::walk_stage2(memory_, stage2.regime(), ipa, [] {});
    if (now.fault == mmu::FaultKind::kNone && now.rights == leaf.stage2_rights) return;
    report_.add(Rule::kStaleEntry, on,
                fmt::format("a translation of stage 2 is stale, in {}: of core {}, IPA {:#x}",
                            where, c, ipa.value),
                [&] { return history_.of_barriers(on.id()); });
  };
  const std::uint64_t breaks = system_.protection->bbm_violations();
  if (std::exchange(stage2_breaks_, breaks) != breaks) {
    report_.add(Rule::kBreakBeforeMake, on,
                "an entry of stage 2 is made, and a TLB has the block before it",
                [&] { return history_.of_barriers(on.id()); });
  }
  for (unsigned c = 0; c < system_.machine.core_count(); ++c) {
    const mmu::Mmu& mmu = core(c).mmu();
    const mmu::Stage2* const stage2 = mmu.stage2();
    if (stage2 == nullptr) continue;
    for (const mmu::TlbEntry& entry : stage2->cache().entries()) {
      if (entry.valid) check(c, *stage2, PhysAddr(entry.va().value), entry.leaf, "its own cache");
    }
    for (const mmu::Tlb* tlb : {&mmu.l1d(), &mmu.l1i(), &mmu.l2()}) {
      for (const mmu::TlbEntry& entry : tlb->entries()) {
        if (!entry.valid) continue;
        check(c, *stage2, mmu::ipa_of(entry.leaf, entry.va()), entry.leaf, "a TLB");
      }
    }
  }
}

void Sanitizer::check_walked(cpu::Core& on, Pfn table, const char* what) {
  Judge judge(*this);
  for (unsigned c = 0; c < system_.machine.core_count(); ++c) {
    const mmu::Mmu& mmu = core(c).mmu();
    if (mmu.empty()) continue;
    for (const mmu::WalkCache::Entry& entry : mmu.walk_cache().entries()) {
      if (!entry.valid || entry.next.table != address_of(table) || !judge.stale(c, entry)) continue;
      report_.add(Rule::kTableFreed, on,
                  fmt::format("a page table is {} while a walk cache has it: page {:#x}, core {}, "
                              "for {:#x}, ASID {}; {}",
                              what, address_of(table).value, c, entry.va().value, entry.asid.value,
                              on.outstanding_tlbis() != 0 ? "a TLBI waits for its DSB"
                                                          : "no TLBI is outstanding"),
                  [&] { return history_.of_page(table); });
      return;
    }
  }
}

void Sanitizer::table_taken(cpu::Core& on, Pfn table, Pfn root) {
  history_.add(of_page(Kind::kTaken, on, table, 1));
  check_walked(on, table, "reused");
  put(frames_.tables, table, true);
  put(frames_.kernel, table, root == system_.linear_map.root());
  put(frames_.linear, table, false);
  if (index_of(table) < frames_.levels.size()) {
    frames_.levels[index_of(table)] = table == root ? 0 : kNoLevel;
  }
  if (table == root && protects_) fresh_tables_[on.id()].push_back(table);
}

void Sanitizer::table_freed(cpu::Core& on, Pfn table) {
  check_walked(on, table, "freed");
  if (const auto at = hooked_.find(table.value); at != hooked_.end()) {
    const PhysAddr entry = at->second;
    const Descriptor d{memory_.read64(entry)};
    if (is(frames_.tables, frame_of(entry)) && d.table_or_page() && d.pfn() == table) {
      report_.add(Rule::kTableFreed, on,
                  fmt::format("a page table is freed, and a descriptor still leads to it: page "
                              "{:#x}, descriptor at {:#x}",
                              address_of(table).value, entry.value),
                  [&] { return history_.of_page(table); });
    }
    hooked_.erase(at);
  }
  for (std::vector<bool>* set : {&frames_.tables, &frames_.kernel, &frames_.linear}) {
    put(*set, table, false);
  }
  if (index_of(table) < frames_.levels.size()) frames_.levels[index_of(table)] = kNoLevel;
}

void Sanitizer::frames_freed(Pfn first, unsigned order) {
  const std::uint64_t count = 1ull << order;
  History::Event event;
  event.kind = Kind::kFreed;
  event.pfn = first;
  event.count = count;
  history_.add(event);
  if (protects_) check_given_back(first, count);
  if (freed_reported_) return;
  const PhysAddr start = address_of(first), end = start + count * kPageSize;
  Judge judge(*this);
  for (std::size_t by = 0; by < outstanding_.size(); ++by) {
    for (const Outstanding& o : outstanding_[by]) {
      // vfree() gives pages back at once, and invalidates later (lazy purge).
      if (o.place.table || mmu::upper_half(o.place.va)) continue;
      const std::uint64_t most = largest_of(o.old);  // looking into TLBs is dear
      const PhysAddr mapped(align_down(o.old.output().value, most));
      if (mapped >= end || mapped + most <= start) continue;
      each_leaf(o.place, [&](unsigned c, const mmu::TlbEntry& e) {
        if (e.leaf.base >= end || e.leaf.base + (1ull << e.leaf.page_bits) <= start) return;
        if (freed_reported_ || !judge.usable(c, e)) return;
        freed_reported_ = true;
        report_.add(Rule::kPageFreed, core(by),
                    fmt::format("a page is freed while a core can use a translation to it: page "
                                "{:#x}, core {}, {:#x}, ASID {}; {}",
                                start.value, c, e.va().value, e.asid.value,
                                core(by).outstanding_tlbis() != 0 ? "a TLBI waits for its DSB"
                                                                  : "no TLBI is outstanding"),
                    [&] { return history_.of_entry(o.entry, o.place.va, o.place.asid); });
      });
    }
  }
}

// What was a page table must be writable for whoever gets it next.
void Sanitizer::check_given_back(Pfn first, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const Pfn pfn = first + i;
    if (!is(frames_.ever_marked, pfn)) continue;
    put(frames_.ever_marked, pfn, false);
    if (system_.exposure.writable_at_rest(core(0), pfn)) continue;
    report_.add(Rule::kTableFreed, core(0),
                fmt::format("a page is given back, and is still protected: page {:#x}",
                            address_of(pfn).value),
                [&] { return history_.of_page(pfn); });
  }
}

void Sanitizer::marked(cpu::Core& on, Pfn first, std::uint64_t count) {
  history_.add(of_page(Kind::kMarked, on, first, count));
  for (std::uint64_t i = 0; i < count; ++i) {
    const Pfn pfn = first + i;
    put(frames_.marked, pfn, true);
    put(frames_.ever_marked, pfn, true);
    if (system_.page(pfn).mapcount == 0) continue;
    report_.add(Rule::kAlias, on,
                fmt::format("a page becomes a page table, and a process has it mapped: page {:#x}",
                            address_of(pfn).value),
                [&] { return history_.of_page(pfn); });
  }
}

void Sanitizer::unmarking(cpu::Core& on, Pfn first, std::uint64_t count) {
  history_.add(of_page(Kind::kUnmarked, on, first, count));
  for (std::uint64_t i = 0; i < count; ++i) {
    const Pfn pfn = first + i;
    put(frames_.marked, pfn, false);
    if (!is(frames_.tables, pfn)) continue;
    report_.add(Rule::kTableFreed, on,
                fmt::format("a page table in use is unmarked: page {:#x}", address_of(pfn).value),
                [&] { return history_.of_page(pfn); });
  }
}

}  // namespace kpksim::check
