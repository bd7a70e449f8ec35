#pragma once
// Policies by name in a JSON file, whose schema is docs/policies.schema.json.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/base/setting.h"
#include "sim/kernel/policy.h"

namespace kpksim::kernel {

extern const char* const kPoliciesSchema;

struct NamedPolicy {
  std::string name;  // empty: what text_of() says
  Policy policy;
};

// In the order of the file. InputError with line and column: malformed, a name twice, or parts that
// do not go together.
std::vector<NamedPolicy> read_policies(const std::string& path);

// A policy as an object of its parts, as in such a file but for its name, with the parameters that
// were given.
nlohmann::ordered_json policy_json(const Policy& policy);
// And back. InputError, which begins with `place`: what is in the object is not a policy's.
Policy policy_of_json(const nlohmann::json& value, const std::string& place);
// Its linear map as documents have it: the name, or with all parameters if any was given.
nlohmann::ordered_json map_json(const Policy& policy);
// All parameters of its parts with the values that they have, given or not.
nlohmann::ordered_json parameters_json(const Policy& policy);

// The policy with values set in that object ("/allocator/reserve"). A part's name alone may be set
// too ("/allocator" to "pba"): its parameters go with it.
Policy with_settings(const Policy& policy, const std::vector<Setting>& settings);

}  // namespace kpksim::kernel
