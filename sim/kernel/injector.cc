#include "sim/kernel/injector.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sim/base/error.h"

namespace kpksim::kernel {
namespace {

constexpr std::array<std::string_view, 4> kActions = {"none", "skip", "delay", "swap"};

std::uint64_t parse_occurrence(std::string_view text, std::string_view whole) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n == 0) {
    throw InputError(fmt::format(
        "'{}': '{}' is no occurrence; expected a whole number from 1, the first one", whole, text));
  }
  return n;
}

}  // namespace

Injection parse_injection(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    throw InputError(fmt::format(
        "'{}' is no fault; expected ACTION:SITE or ACTION:SITE:N, as skip:tlbi.unmap", text));
  }
  const std::string_view name = text.substr(0, colon);
  const auto action = std::find(kActions.begin() + 1, kActions.end(), name);
  if (action == kActions.end()) {
    throw InputError(fmt::format("'{}': a site cannot be '{}'{}", text, name,
                                 suggest(std::string(name), {"skip", "delay", "swap"})));
  }
  std::string_view site = text.substr(colon + 1);
  Injection injection;
  injection.action = static_cast<FaultAction>(action - kActions.begin());
  if (const std::size_t n = site.find(':'); n != std::string_view::npos) {
    injection.occurrence = parse_occurrence(site.substr(n + 1), text);
    site = site.substr(0, n);
  }
  const FaultSiteInfo& info = find_fault_site(site);
  if (!info.moves && injection.action != FaultAction::kSkip) {
    throw InputError(fmt::format("'{}': {} can be skipped, not delayed or swapped", text, site));
  }
  injection.site = info.site;
  return injection;
}

std::string text_of(const Injection& injection) {
  const std::vector<FaultSiteInfo>& sites = fault_sites();
  const auto at = std::find_if(sites.begin(), sites.end(),
                               [&](const FaultSiteInfo& s) { return s.site == injection.site; });
  std::string text =
      fmt::format("{}:{}", kActions[static_cast<std::size_t>(injection.action)], at->name);
  if (injection.occurrence != 0) text += fmt::format(":{}", injection.occurrence);
  return text;
}

Injector::Injector(const std::vector<Injection>& plan) {
  for (const Injection& injection : plan) plan_.push_back({injection});
}

FaultAction Injector::find(FaultSite site) {
  FaultAction action = FaultAction::kNone;
  for (Done& d : plan_) {
    if (d.injection.site != site) continue;
    ++d.occurrences;
    if (d.injection.occurrence != 0 && d.injection.occurrence != d.occurrences) continue;
    ++d.broken;
    action = d.injection.action;
  }
  return action;
}

void Injector::put_off(cpu::Core& core, FaultAction action, Operation operation) {
  if (action == FaultAction::kSkip) return;
  std::vector<PutOff>& list = action == FaultAction::kDelay ? delayed_ : swapped_;
  list.push_back({&core, std::move(operation)});
}

void Injector::perform(cpu::Core& core, FaultSite site, Operation operation) {
  // What waits for this operation. The rest waits for the next one of its own core.
  std::vector<PutOff> after;
  const auto own = std::stable_partition(swapped_.begin(), swapped_.end(),
                                         [&](const PutOff& p) { return p.core != &core; });
  std::move(own, swapped_.end(), std::back_inserter(after));
  swapped_.erase(own, swapped_.end());
  const FaultAction action = find(site);
  if (action == FaultAction::kNone) {
    operation(core);
  } else {
    put_off(core, action, std::move(operation));
  }
  for (const PutOff& p : after) p.operation(core);
}

void Injector::do_delayed() {
  const std::vector<PutOff> now = std::exchange(delayed_, {});
  for (const PutOff& p : now) p.operation(*p.core);
}

}  // namespace kpksim::kernel
