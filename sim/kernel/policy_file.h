#pragma once
// Policies by name in a JSON file, whose schema is docs/policies.schema.json.

#include <string>
#include <vector>

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

}  // namespace kpksim::kernel
