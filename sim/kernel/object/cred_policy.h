#pragma once
// Credentials as a choice of a protection: parameters that one with several keys declares.

#include <optional>
#include <string>
#include <vector>

#include "sim/kernel/object/cred.h"
#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {

std::vector<ParameterInfo> cred_parameters();
// Where the pages of credentials come from under a policy's protection; nothing: they have no key.
std::optional<CredPages> cred_pages_of(const ProtectionInfo& info, const GivenParameters& given);
// A reason against a combination, or an empty text; of a protection that declares the parameters.
std::string against_cred(const Combination& combination);

}  // namespace kpksim::kernel
