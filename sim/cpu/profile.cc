#include "sim/cpu/profile.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kpksim::cpu {
namespace {

std::vector<Event> every_tlbi() {
  std::vector<Event> events;
  for (auto e = static_cast<unsigned>(Event::kTlbiFirst);
       e <= static_cast<unsigned>(Event::kTlbiLast); ++e) {
    events.push_back(static_cast<Event>(e));
  }
  return events;
}

std::uint64_t milli(double cycles) {
  return static_cast<std::uint64_t>(std::llround(cycles * 1000));
}

// `name` of the group cache: its size in KB and ways, lines of 64 bytes.
CacheGeometry cache(ProfileReader& in, const std::string& name) {
  const std::uint64_t lines = (std::uint64_t{in.count("cache", name + "_kib")} << 10) >> kLineShift;
  const unsigned ways = in.count("cache", name + "_ways");
  if (ways > lines || lines % ways != 0) {
    in.fail("/cache/" + name + "_ways/value", "does not divide the number of lines");
  }
  return {static_cast<std::uint32_t>(lines / ways), ways};
}

void read_caches(ProfileReader& in, CoreProfile& profile) {
  profile.l1i = cache(in, "l1i");
  profile.l1d = cache(in, "l1d");
  profile.l2 = cache(in, "l2");
  profile.llc = cache(in, "llc");
  if (profile.l2.lines() < profile.l1d.lines()) {
    in.fail("/cache/l2_kib/value", "the L2 is smaller than the L1D");
  }
  if (profile.llc.lines() < profile.l2.lines()) {
    in.fail("/cache/llc_kib/value", "the LLC is smaller than the L2");
  }
  struct Level {
    std::string name;
    double cycles;
  };
  const Level levels[] = {
      {"l1d_latency", in.number("cache", "l1d_latency")},
      {"l2_latency", in.number("cache", "l2_latency")},
      {"llc_latency", in.number("cache", "llc_latency")},
      {"dram_latency_ns", in.number("cache", "dram_latency_ns") * profile.clock_ghz}};
  const double exposed = in.number("cache", "exposed");
  if (exposed > 1) in.fail("/cache/exposed/value", "expected a part of 1");
  constexpr Event kMisses[] = {Event::kCacheL2, Event::kCacheLlc, Event::kCacheDram};
  for (std::size_t i = 1; i < std::size(levels); ++i) {
    if (levels[i].cycles <= levels[i - 1].cycles) {
      in.fail("/cache/" + levels[i].name + "/value",
              "expected more than at the level before, " + levels[i - 1].name);
    }
    profile.millicycles[static_cast<std::size_t>(kMisses[i - 1])] =
        milli((levels[i].cycles - levels[0].cycles) * exposed);
  }
}

}  // namespace

const std::vector<Price>& prices() {
  static const std::vector<Price> all = {
      {"isb", {Event::kIsb}},
      {"in_flight", {Event::kInFlight}},
      {"msr_por_el1", {Event::kMsrPor}},
      {"mrs_por_el1", {Event::kMrsPor}},
      {"msr_ttbr", {Event::kMsrTtbr}},
      {"mov_to_cr0", {Event::kMovToCr0}},
      {"mov_from_cr0", {Event::kMovFromCr0}},
      {"dsb_ish", {Event::kDsbIsh, Event::kDsbOsh}},
      {"dsb_ishst", {Event::kDsbIshst, Event::kStoreDrain}},
      {"dsb_nsh", {Event::kDsbNsh}},
      {"tlbi_issue", every_tlbi()},
      {"dvm_sync", {Event::kDvmSync}},
      {"dvm_core", {Event::kDvmCore}},
      {"dvm_rival", {Event::kDvmRival}},
      {"exception_entry", {Event::kExceptionEl0, Event::kExceptionEl1}},
      {"eret", {Event::kEret}},
      {"hvc", {Event::kHvc}},
      {"ipi", {Event::kIpi}},
      {"user_access", {Event::kUserAccess}},
      {"atomic", {Event::kAtomic}},
      {"prefetched", {Event::kCachePrefetched}},
      {"l2_tlb_hit", {Event::kL2TlbHit}},
      {"walk", {Event::kWalk}},
      {"walk_read", {Event::kWalkRead, Event::kHardwareUpdate}},
      {"instruction", {Event::kInstruction}},
      {"loop_instruction", {Event::kLoopInstruction}},
      {"list_instruction", {Event::kListInstruction}},
      {"guard_instruction", {Event::kGuardInstruction}},
      {"user_instruction", {Event::kUserInstruction}},
      {"code_line", {Event::kCodeLine}},
      {"page_zero", {Event::kPageZero}},
      {"page_copy", {Event::kPageCopy}},
      {"tag_load", {Event::kTagLoad}},
      {"tag_store", {Event::kTagStore}},
  };
  return all;
}

void CoreProfile::set_price(std::string_view what, std::uint64_t price) {
  for (const Price& p : prices()) {
    if (p.name != what) continue;
    for (const Event e : p.events) millicycles[static_cast<std::size_t>(e)] = price;
    return;
  }
  throw ModelError("no such price: " + std::string(what));
}

CoreProfile read_core_profile(ProfileReader in) {
  CoreProfile profile;
  profile.name = in.name();
  profile.description = in.description();
  profile.architecture =
      static_cast<Architecture>(in.choice("core", "architecture", {"aarch64", "x86-64"}));
  profile.clock_ghz = in.number("core", "clock_ghz");
  if (profile.clock_ghz <= 0 || profile.clock_ghz > 10) {
    in.fail("/core/clock_ghz/value", "expected more than 0, up to 10");
  }
  profile.window = in.count("core", "window");
  profile.entry_instructions = in.count("core", "entry_instructions", 0);
  profile.entry_barriers = in.flag("core", "entry_barriers");
  profile.tlb_range = in.flag("core", "tlb_range");
  profile.sve = in.flag("core", "sve");
  profile.hafdbs = in.flag("core", "hafdbs");
  profile.repeat_tlbi = in.flag("core", "repeat_tlbi");
  profile.pauth = in.flag("core", "pauth");
  profile.mte = in.flag("core", "mte");
  profile.bbm_level = static_cast<unsigned>(in.choice("core", "bbm_level", {"0", "1", "2", "3"}));
  constexpr unsigned kAsidBits[] = {8, 12, 16};  // 12: PCIDs
  profile.asid_bits = kAsidBits[in.choice("core", "asid_bits", {"8", "12", "16"})];
  const auto tlb = [&](const std::string& name) {
    return mmu::TlbGeometry{in.count("tlb", name + "_sets"), in.count("tlb", name + "_ways")};
  };
  profile.mmu.l1i = tlb("l1i");
  profile.mmu.l1d = tlb("l1d");
  profile.mmu.l2 = tlb("l2");
  profile.mmu.walk_cache_entries = in.count("tlb", "walk_cache_entries");
  profile.mmu.tlbi_empties_l1 = in.flag("tlb", "tlbi_empties_l1");
  if (profile.mmu.l2.sets * profile.mmu.l2.ways < profile.mmu.l1d.sets * profile.mmu.l1d.ways) {
    in.fail("/tlb", "the L2 TLB is smaller than the L1 data TLB");
  }
  read_caches(in, profile);
  for (const Price& p : prices()) {
    const std::string name(p.name);
    const double cycles = in.number("cycles", name);
    if (cycles == 0 && name.ends_with("instruction")) {
      in.fail("/cycles/" + name + "/value", "an instruction takes time");
    }
    profile.set_price(name, milli(cycles));
  }
  // AArch64's reach ipi pays for each core.
  profile.millicycles[static_cast<std::size_t>(Event::kIpiMore)] =
      profile.architecture == Architecture::kX86
          ? milli(in.number("cycles", "ipi_more"))
          : profile.millicycles[static_cast<std::size_t>(Event::kIpi)];
  in.refuse_unknown();
  profile.entries = in.entries();
  return profile;
}

CoreProfile read_core_profile(const std::string& path) {
  return read_core_profile(ProfileReader(path, kCoreRanges));
}

CoreProfile draw_core_profile(const std::string& path, std::uint64_t seed) {
  ProfileReader in(path, kCoreRanges);
  in.draw(seed);
  return read_core_profile(std::move(in));
}

}  // namespace kpksim::cpu
