#include "sim/kernel/protect/protection.h"

#include <fmt/core.h>

#include "sim/base/error.h"

namespace kpksim::kernel {

const std::vector<PolicyInfo>& protections() {
  static const std::vector<PolicyInfo> all = {
      {"none", "page tables are writable everywhere in the kernel"},
      {"kpkeys-poe", "page-table pages carry an overlay key, writable only in a POR_EL1 window"},
      {"kpkeys-pks", "the same on x86-64, by a key for supervisor pages and IA32_PKRS"},
  };
  return all;
}

std::unique_ptr<Protection> make_protection(const std::string& name, bool batching) {
  if (name == "none") return make_none();
  if (name == "kpkeys-poe") return make_kpkeys_poe(batching);
  if (name == "kpkeys-pks") return make_kpkeys_pks(batching);
  std::vector<std::string> names;
  for (const PolicyInfo& p : protections()) names.emplace_back(p.name);
  throw InputError(fmt::format("'{}' is not a protection{}", name, suggest(name, names)));
}

}  // namespace kpksim::kernel
