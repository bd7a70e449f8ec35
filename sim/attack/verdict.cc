#include "sim/attack/verdict.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/poe/permission.h"

namespace kpksim::attack {
namespace {

std::string_view kind_of(const mmu::Fault& fault) {
  if (fault.kind == mmu::FaultKind::kTagCheck) return "tag check fault";
  if (fault.stage2) return "stage 2 permission fault";
  if (fault.kind == mmu::FaultKind::kTranslation) return "translation fault";
  if (fault.kind == mmu::FaultKind::kPermission) {
    return fault.overlay ? "overlay fault" : "permission fault";
  }
  return "fault";
}

// On x86-64 a page fault, whose error code has no level.
std::string fault_text(const mmu::Fault& fault, bool x86) {
  if (x86) return fault.overlay ? "page fault, protection key" : "page fault";
  if (fault.kind == mmu::FaultKind::kTagCheck) return std::string(kind_of(fault));
  return fmt::format("{}, level {}", kind_of(fault), fault.level);
}

// The fault that stopped it: the kernel's own, or the first that a strike met.
std::string stopped_text(const Verdict& verdict) {
  if (verdict.oops) return fault_text(verdict.blows.back().fault, verdict.x86) + " (oops)";
  for (const Blow& blow : verdict.blows) {
    if (blow.fault) return fault_text(blow.fault, verdict.x86);
  }
  return "fault";
}

std::string_view became(const Blow& blow) {
  if (!blow.happened) return "never happens";
  if (blow.on_freed_table) return "hits a freed table";
  return blow.on_table ? "hits a page table" : "hits no page table";
}

// How two leaves of an address differ, as far as they decide who may store.
std::string leaves(const Blow& blow, const Blow& without) {
  if (blow.walk.empty() || without.walk.empty()) return {};
  const mmu::Descriptor here = blow.walk.back().descriptor;
  const mmu::Descriptor there = without.walk.back().descriptor;
  std::string out;
  const auto differ = [&](std::string_view name, std::uint64_t a, std::uint64_t b) {
    if (a != b)
      out += fmt::format("{}{} is {} in the leaf, not {}", out.empty() ? "" : ", ", name, a, b);
  };
  if (here.valid() != there.valid()) return "its mapping is taken away";
  differ("POIndex", mmu::field::kPoIndex.get(here.raw), mmu::field::kPoIndex.get(there.raw));
  differ("AP[2] (read-only)", mmu::field::kAp2.get(here.raw), mmu::field::kAp2.get(there.raw));
  return out;
}

}  // namespace

std::pair<double, double> wilson(unsigned hits, unsigned n) {
  constexpr double kZ = 1.959963984540054;  // of the normal distribution, 2.5 % beyond
  const double p = double(hits) / n, z2 = kZ * kZ / n;
  const double middle = (p + z2 / 2) / (1 + z2);
  const double half = kZ * std::sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2);
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

std::string_view name_of(Outcome outcome) {
  constexpr std::array<std::string_view, 7> kNames = {"stopped",   "allocator",   "freed table",
                                                      "no effect", "no occasion", "not modelled",
                                                      "succeeded"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::string text_of(const Verdict& verdict) {
  if (verdict.successes < verdict.draws && verdict.draws > 1) {
    const unsigned detected = verdict.draws - verdict.successes;
    const auto [low, high] = wilson(detected, verdict.draws);
    return fmt::format("detected, p = {:.2f} ({:.2f} to {:.2f})", double(detected) / verdict.draws,
                       low, high);
  }
  switch (verdict.outcome) {
    case Outcome::kStoppedByFault:
      return stopped_text(verdict);
    case Outcome::kStoppedByAllocator:
      return "allocator: no table is hit";
    case Outcome::kFreedTable:
      return "freed table: no walk reads it any more";
    case Outcome::kNoEffect:
      return "no effect";
    case Outcome::kNoOccasion:
      return "no such moment";
    case Outcome::kNotModelled:
      return "not modelled";
    case Outcome::kSucceeded:
      break;
  }
  if (verdict.points != 0) {
    return fmt::format("succeeds, {} of {} points", verdict.points_succeeded, verdict.points);
  }
  return "succeeds";
}

std::string first_difference(const Verdict& verdict, const Verdict& without) {
  const std::size_t both = std::min(verdict.blows.size(), without.blows.size());
  for (std::size_t i = 0; i < both; ++i) {
    const Blow& here = verdict.blows[i];
    const Blow& there = without.blows[i];
    const std::string strike = fmt::format("strike {} ({})", i + 1, here.what);
    if (here.what != there.what) {
      return fmt::format("{} comes where without protection {} does", strike, there.what);
    }
    if (became(here) != became(there)) {
      return fmt::format("{} {}; without protection it {}", strike, became(here), became(there));
    }
    if (bool(here.fault) == bool(there.fault)) continue;
    if (!here.fault) {
      return fmt::format("{} goes through; without protection it is refused: {}", strike,
                         fault_text(there.fault, verdict.x86));
    }
    const std::string why = leaves(here, there);
    return fmt::format("{} is refused: {}; without protection it goes through{}", strike,
                       fault_text(here.fault, verdict.x86), why.empty() ? "" : ": " + why);
  }
  if (verdict.blows.size() > both) {
    const Blow& here = verdict.blows[both];
    return fmt::format("{} comes, and nothing of the kind without protection", here.what);
  }
  if (without.blows.size() > both) {
    return fmt::format("{} never comes, which it does without protection",
                       without.blows[both].what);
  }
  if (verdict.outcome != without.outcome) {
    return fmt::format("all strikes fall alike; the goal is {} and is {} without protection",
                       verdict.outcome == Outcome::kSucceeded ? "reached" : "not reached",
                       without.outcome == Outcome::kSucceeded ? "reached" : "not reached");
  }
  return {};
}

}  // namespace kpksim::attack
