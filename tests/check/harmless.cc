// Sites of fault injection from which nothing follows, and why.

#include <string>

#include "sim/kernel/fault_site.h"
#include "tests/check/mutation_table.h"

namespace kpksim::check {
namespace {

// What can be left out may come later, too.
Harmless as_skipped() {
  Harmless all;
  for (const auto& [site, why] : harmless_if_skipped()) {
    if (kernel::find_fault_site(site).moves) all.emplace(site, "as if it were skipped");
  }
  return all;
}

}  // namespace

const Harmless& harmless_if_skipped() {
  static const Harmless all = {
      {"dsb-before.set-memory-pkey",
       "each leaf that is written has a DSB ISHST of its own behind it (`__set_pte_complete()`), "
       "or "
       "the lazy section has one at its end; nothing is written between that and the flush"},
      {"save.switch",
       "no window is open at a switch (rule open-window), so what is saved is the value at rest, "
       "which every thread has"},
      {"save.fork", "the same, of the child"},
      {"isb.set-table",
       "a table is hooked in before it has entries; what is mapped through it has an ISB of its "
       "own, "
       "or is used after an ERET"},
      {"isb.kernel-range",
       "the DSB before it has completed the TLBIs for all later accesses; the ISB is for "
       "instructions that were fetched already, and no code is mapped by what is flushed here"},
      {"isb.asid-rollover", "the same: user code is fetched after the ERET"},
      {"isb.stage2", "the same: the return from EL2 synchronises"},
      {"dsb.alone",
       "the `__switch_to()` that follows has a DSB ISH before the thread runs; an exec's new "
       "address "
       "space has run on no other core"},
      {"dsb.switch",
       "each flush waits for its own TLBIs (rule missing-dsb), so that nothing is outstanding "
       "here"},
      {"isb.switch", "it is for keys of pointer authentication, which no page table depends on"},
      {"isb.kernel-thread", "the same"},
      {"isb.entry-keys", "the same"},
      {"isb.switch-mm",
       "no user memory is accessed between the switch and the next ISB or ERET (rule missing-isb "
       "looks at each walk)"},
      {"isb.clock", "it keeps the counter's read in its place, and no page table depends on that"},
      {"dsb.entry", "it ends a sequence against speculation, at which nothing was written"},
      {"isb.entry", "the same"},
      {"isb.fork", "no register and no mapping of the kernel's is written before it"},
      {"isb.exit", "the same"},
  };
  return all;
}

const Harmless& harmless_if_delayed() {
  static const Harmless all = as_skipped();
  return all;
}

const Harmless& harmless_if_swapped() {
  static const Harmless all = [] {
    Harmless more = as_skipped();
    more.merge(Harmless{
        {"dsb-after.exit-mm",
         "the tables wait for a grace period of RCU, and the next operation comes before its end"},
        {"dsb-after.vmalloc-purge",
         "it changes places with the ISB behind it (isb.kernel-range), from which nothing follows"},
        {"dsb-after.set-memory-pkey", "the same"},
        {"dsb-after.set-memory", "the same"},
        {"dsb-after.asid-rollover", "the same, with isb.asid-rollover"},
        {"dsb-after.stage2-rights", "the same, with isb.stage2"},
        {"dsb-after.stage2-split", "the same"},
        {"dsb-after.thp-split",
         "the next operation belongs to the store of the table's address to a local variable "
         "(`pmd_populate()` for `pte_offset_map()`), before an entry is made"},
        {"dsb.set-table",
         "it changes places with the ISB behind it (isb.set-table), from which nothing follows"},
        {"mark.user-leaf",
         "the next operation belongs to the store that hooks the table in, its window or its "
         "barrier, before the core returns"},
        {"mark.user", "the same"},
        {"mark.kernel", "the same"},
        {"mark.pool", "the next operation belongs to the zeroing of a page, before it is a table"},
        {"mark.cred", "it is the end of the section that makes the slab's first credentials"},
    });
    return more;
  }();
  return all;
}

}  // namespace kpksim::check
