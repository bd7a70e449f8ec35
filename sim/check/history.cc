#include "sim/check/history.h"

#include <fmt/core.h>

#include <array>
#include <string_view>
#include <utility>

#include "sim/kernel/cause.h"
#include "sim/mmu/descriptor.h"

namespace kpksim::check {

using mmu::Descriptor;

namespace {

constexpr std::array<std::string_view, 5> kBarriers = {"DSB ISHST", "DSB NSH", "DSB ISH", "DSB OSH",
                                                       "ISB"};

std::string what(const History::Event& e) {
  using Kind = History::Kind;
  switch (e.kind) {
    case Kind::kWritten:
      return fmt::format("descriptor at {:#x}: {:#x} -> {:#x}", e.entry.value, e.before, e.now);
    case Kind::kUpdated:
      return fmt::format("descriptor at {:#x}: {:#x} -> {:#x}, by hardware", e.entry.value,
                         e.before, e.now);
    case Kind::kCached:
      return fmt::format("cached for {:#x}, ASID {}: descriptor {:#x} at {:#x}", e.va.value,
                         e.asid.value, e.now, e.entry.value);
    case Kind::kFlush:
      return fmt::format("flush '{}' begins",
                         kernel::kFlushSiteNames[static_cast<std::size_t>(e.site)]);
    case Kind::kTlbi: {
      const std::string_view name = mmu::kTlbiInfo[e.detail].name;
      if (e.effect.all_addresses) {
        return fmt::format("TLBI {}{}", name,
                           e.effect.by_asid ? fmt::format(", ASID {}", e.effect.asid.value) : "");
      }
      return fmt::format("TLBI {} of {:#x} to {:#x}", name, e.effect.start, e.effect.end);
    }
    case Kind::kDsb:
    case Kind::kIsb:
      return std::string(kBarriers[e.detail]);
    case Kind::kFreed:
      return fmt::format("{} frames from {:#x} on are free", e.count, address_of(e.pfn).value);
    case Kind::kTaken:
      return fmt::format("page {:#x} becomes a page table", address_of(e.pfn).value);
    case Kind::kMarked:
      return fmt::format("{} pages from {:#x} on are marked", e.count, address_of(e.pfn).value);
    case Kind::kUnmarked:
      return fmt::format("{} pages from {:#x} on are unmarked", e.count, address_of(e.pfn).value);
    case Kind::kRegister:
      return fmt::format("key register written: {:#x}", e.now);
    case Kind::kException:
      return fmt::format("exception from EL{}", e.now);
    case Kind::kReturn:
      return fmt::format("return to EL{}", e.now);
  }
  return {};
}

}  // namespace

History::History() : events_(kEvents) {}

template <class Concerns>
std::vector<std::string> History::tell(Concerns&& concerns) const {
  std::vector<std::string> told;
  for (std::uint64_t i = next_ > kEvents ? next_ - kEvents : 0; i < next_; ++i) {
    const Event& e = events_[i % kEvents];
    if (!concerns(e)) continue;
    told.push_back(
        fmt::format("#{} core {}, {}: {}", i + 1, e.core, kernel::kCauseNames[e.cause], what(e)));
  }
  if (told.size() > kTold) told.erase(told.begin(), told.end() - kTold);
  return told;
}

std::vector<std::string> History::of_entry(PhysAddr entry, VirtAddr va, Asid asid) const {
  bool waits = false;  // a TLBI that concerns it has no DSB yet
  bool written = false;
  const mmu::CachedRange page{va.value, kPageShift, asid, false, mmu::kLastLevel, kPageShift};
  return tell([&](const Event& e) {
    switch (e.kind) {
      case Kind::kWritten:
      case Kind::kUpdated:
      case Kind::kCached:
        written |= e.kind == Kind::kWritten && e.entry == entry && Descriptor{e.before}.valid();
        return e.entry == entry;
      case Kind::kTlbi: {
        mmu::TlbiEffect any_level = e.effect;
        any_level.ttl_level = 0;
        const bool named = any_level.drops_leaf(page);
        waits |= named;
        return named;
      }
      case Kind::kDsb:
        return std::exchange(waits, waits && e.detail == 0);
      case Kind::kFlush:
        return std::exchange(written, false);
      default:
        return false;
    }
  });
}

std::vector<std::string> History::of_page(Pfn pfn) const {
  return tell([&](const Event& e) {
    switch (e.kind) {
      case Kind::kWritten:
        return Descriptor{e.before}.pfn() == pfn || Descriptor{e.now}.pfn() == pfn;
      case Kind::kCached:
        return Descriptor{e.now}.pfn() == pfn;
      case Kind::kFreed:
      case Kind::kTaken:
      case Kind::kMarked:
      case Kind::kUnmarked:
        return pfn >= e.pfn && pfn < e.pfn + e.count;
      default:
        return false;
    }
  });
}

std::vector<std::string> History::of_barriers(unsigned core) const {
  return tell([&](const Event& e) {
    return e.core == core && (e.kind == Kind::kTlbi || e.kind == Kind::kDsb ||
                              e.kind == Kind::kFlush || e.kind == Kind::kReturn);
  });
}

std::vector<std::string> History::of_register(unsigned core) const {
  return tell([&](const Event& e) {
    return e.core == core && (e.kind == Kind::kRegister || e.kind == Kind::kIsb ||
                              e.kind == Kind::kException || e.kind == Kind::kReturn);
  });
}

}  // namespace kpksim::check
