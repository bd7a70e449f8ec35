#include "sim/kernel/object/cred_policy.h"

#include <algorithm>

#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

constexpr std::string_view kCred = "cred", kPages = "cred_pages";

}  // namespace

std::vector<ParameterInfo> cred_parameters() {
  ParameterInfo on = switch_parameter(
      kCred, "credentials have a key of their own, which guarded sections alone let be written");
  ParameterInfo pages = choice_parameter(
      kPages,
      "with cred=on, pages for credentials: keyed one by one, from a pool of their own, or from "
      "that of page tables",
      "single", {"single", "pool", "shared"});
  on.quiet = pages.quiet = true;
  return {on, pages};
}

std::optional<CredPages> cred_pages_of(const ProtectionInfo& info, const GivenParameters& given) {
  const auto& declared = info.parameters;
  if (std::none_of(declared.begin(), declared.end(),
                   [](const ParameterInfo& p) { return p.name == kCred; })) {
    return std::nullopt;
  }
  const Parameters settings(std::string(info.name), declared, given);
  if (!settings.is_on(kCred)) return std::nullopt;
  const std::string& pages = settings.choice(kPages);
  if (pages == "pool") return CredPages::kPool;
  return pages == "shared" ? CredPages::kShared : CredPages::kSingle;
}

std::string against_cred(const Combination& combination) {
  const std::string& pages = combination.protection_parameters.choice(kPages);
  if (!combination.protection_parameters.is_on(kCred)) {
    return pages == "single" ? "" : "cred_pages=" + pages + " says nothing without cred=on";
  }
  if (pages != "shared" || combination.allocator.lends) return {};
  return "cred_pages=shared needs an allocator whose pool others can share, which '" +
         std::string(combination.allocator.name) + "' has not: use 'pba'";
}

}  // namespace kpksim::kernel
