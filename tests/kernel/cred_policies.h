#pragma once
// Policies as the parameters of tests, and those of them that protect credentials.

#include <gtest/gtest.h>

#include <cctype>
#include <ostream>
#include <string>
#include <vector>

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {

inline void PrintTo(const Policy& policy, std::ostream* os) { *os << text_of(policy); }

inline std::string test_name(const testing::TestParamInfo<Policy>& info) {
  std::string name = text_of(info.param);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

// All that combine, with pages from each place that credentials' may come from.
inline std::vector<Policy> cred_policies() {
  std::vector<Policy> out;
  for (Policy policy : every_policy(core_profile())) {
    for (const char* pages : {"single", "pool", "shared"}) {
      policy.protection.parameters = {{"cred", "on"}, {"cred_pages", pages}};
      try {
        if (!reason_against(policy)) out.push_back(policy);
      } catch (const InputError&) {
        break;  // a protection that does not know credentials
      }
    }
  }
  return out;
}

}  // namespace kpksim::kernel
