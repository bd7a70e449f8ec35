#include "sim/cpu/profile.h"

#include <cmath>

#include "sim/base/profile_reader.h"

namespace kpksim::cpu {

CoreProfile read_core_profile(const std::string& path) {
  ProfileReader in(path);
  CoreProfile profile;
  profile.name = in.name();
  profile.description = in.description();
  const auto tlb = [&](const std::string& name) {
    return mmu::TlbGeometry{in.count("tlb", name + "_sets"), in.count("tlb", name + "_ways")};
  };
  profile.mmu.l1i = tlb("l1i");
  profile.mmu.l1d = tlb("l1d");
  profile.mmu.l2 = tlb("l2");
  profile.mmu.walk_cache_entries = in.count("tlb", "walk_cache_entries");
  if (profile.mmu.l2.sets * profile.mmu.l2.ways < profile.mmu.l1d.sets * profile.mmu.l1d.ways) {
    in.fail("/tlb", "the L2 TLB is smaller than the L1 data TLB");
  }
  profile.clock_ghz = in.number("core", "clock_ghz");
  profile.tlb_range = in.flag("core", "tlb_range");
  profile.pauth = in.flag("core", "pauth");
  profile.sve = in.flag("core", "sve");
  profile.hafdbs = in.flag("core", "hafdbs");
  profile.repeat_tlbi = in.flag("core", "repeat_tlbi");
  profile.asid_bits = in.choice("core", "asid_bits", {"8", "16"}) == 0 ? 8 : 16;
  const auto cost = [&](Event event, const std::string& name) {
    profile.millicycles[static_cast<std::size_t>(event)] =
        static_cast<std::uint64_t>(std::llround(in.number("cycles", name) * 1000));
  };
  cost(Event::kTlbiFirst, "tlbi_issue");
  for (unsigned i = 1; i < 10; ++i) profile.millicycles[i] = profile.millicycles[0];
  cost(Event::kIsb, "isb");
  cost(Event::kDsbIsh, "dsb_ish");
  cost(Event::kDsbIshst, "dsb_ishst");
  cost(Event::kDsbNsh, "dsb_nsh");
  cost(Event::kDsbOsh, "dsb_ish");
  cost(Event::kMsrPor, "msr_por_el1");
  cost(Event::kMrsPor, "mrs_por_el1");
  cost(Event::kMsrTtbr, "msr_ttbr");
  cost(Event::kExceptionEl0, "exception_entry");
  cost(Event::kExceptionEl1, "exception_entry");
  cost(Event::kEret, "eret");
  cost(Event::kLoad, "load");
  cost(Event::kStore, "store");
  cost(Event::kUserAccess, "load");
  cost(Event::kL2TlbHit, "l2_tlb_hit");
  cost(Event::kWalk, "walk");
  cost(Event::kWalkRead, "walk_read");
  cost(Event::kHardwareUpdate, "walk_read");
  cost(Event::kInstruction, "instruction");
  cost(Event::kPageZero, "page_zero");
  cost(Event::kPageCopy, "page_copy");
  in.refuse_unknown();
  return profile;
}

}  // namespace kpksim::cpu
